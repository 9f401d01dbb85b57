// The definition of every kernel, as plain loops. Also the table of CPUs without a better one.
#include <cstdint>
#include <initializer_list>

#include "kernels/half.h"
#include "kernels/tables.h"

namespace fourfold {
namespace {

constexpr int kLanes = 16;

float add_lanes(float* lanes) {
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) lanes[j] = lanes[j] + lanes[j + width];
  }
  return lanes[0];
}

float dot(const float* a, const float* b, int n) {
  float lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) {
    lanes[i % kLanes] = __builtin_fmaf(a[i], b[i], lanes[i % kLanes]);
  }
  return add_lanes(lanes);
}

// Round to nearest even for |x| < 2^22.
float round_even(float x) {
  constexpr float kMagic = 12582912.0f;
  return (x + kMagic) - kMagic;
}

// exp by Cody-Waite reduction and the polynomial of Cephes' expf, every step by fma.
// 0 below −87.3, clamped above 88, NaN stays NaN.
float exp_f32(float x) {
  if (x < -87.3f) return 0.0f;
  if (x != x) return x;
  x = x < 88.0f ? x : 88.0f;
  const float n = round_even(x * 1.44269504f);
  float r = __builtin_fmaf(n, -0.693359375f, x);
  r = __builtin_fmaf(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = __builtin_fmaf(p, r, 1.3981999507e-3f);
  p = __builtin_fmaf(p, r, 8.3334519073e-3f);
  p = __builtin_fmaf(p, r, 4.1665795894e-2f);
  p = __builtin_fmaf(p, r, 1.6666665459e-1f);
  p = __builtin_fmaf(p, r, 5.0000001201e-1f);
  p = __builtin_fmaf(p, r * r, r) + 1.0f;
  const auto bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(n) + 127) << 23;
  return p * __builtin_bit_cast(float, bits);
}

void rms_norm(const float* x, const float* weight, int n, float eps, float* out) {
  const float mean = dot(x, x, n) / static_cast<float>(n);
  const float r = 1.0f / __builtin_sqrtf(mean + eps);
  for (int i = 0; i < n; ++i) out[i] = weight ? x[i] * r * weight[i] : x[i] * r;
}

void add(float* x, const float* y, int n) {
  for (int i = 0; i < n; ++i) x[i] = x[i] + y[i];
}

void add_scaled(float* x, const float* y, float s, int n) {
  for (int i = 0; i < n; ++i) x[i] = __builtin_fmaf(s, y[i], x[i]);
}

void scale(float* x, float s, int n) {
  for (int i = 0; i < n; ++i) x[i] = x[i] * s;
}

void multiply(const float* a, const float* b, int n, float* out) {
  for (int i = 0; i < n; ++i) out[i] = a[i] * b[i];
}

void multiply_lanes(float* x, const float* factors, int n) {
  for (int i = 0; i < n; ++i) x[i] *= factors[i % kLanes];
}

void transpose(const float* x, std::int64_t stride, float* out, std::int64_t out_stride) {
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) out[j * out_stride + i] = x[i * stride + j];
  }
}

// 0.5·x·(1 + tanh u) = x / (1 + exp(−2u)), u = sqrt(2/π)·(x + 0.044715·x³).
float gelu(float x) {
  const float u = 0.79788456f * __builtin_fmaf(0.044715f * x * x, x, x);
  return x / (1.0f + exp_f32(-2.0f * u));
}

void gelu_multiply(const float* gate, const float* up, int n, float* out) {
  for (int i = 0; i < n; ++i) out[i] = gelu(gate[i]) * up[i];
}

void sigmoid_multiply(const float* a, const float* b, int n, float* out) {
  for (int i = 0; i < n; ++i) out[i] = a[i] / (1.0f + exp_f32(-b[i]));
}

void clamp(const float* x, float low, float high, int n, float* out) {
  for (int i = 0; i < n; ++i) {
    const float y = high < x[i] ? high : x[i];
    out[i] = low > y ? low : y;
  }
}

// tanh y = 1 − 2 / (exp(2y) + 1).
void softcap(float* x, int n, float cap) {
  for (int i = 0; i < n; ++i) {
    const float e = exp_f32(2.0f * (x[i] / cap));
    x[i] = cap * (1.0f - 2.0f / (e + 1.0f));
  }
}

float exp_sum(float* x, int n, float shift) {
  float lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) {
    x[i] = exp_f32(x[i] - shift);
    lanes[i % kLanes] = lanes[i % kLanes] + x[i];
  }
  return add_lanes(lanes);
}

void rope(float* x, const float* cos, const float* sin, int n_pairs, int distance) {
  for (int j = 0; j < n_pairs; ++j) {
    const float a = x[j];
    const float b = x[j + distance];
    x[j] = __builtin_fmaf(a, cos[j], -(b * sin[j]));
    x[j + distance] = __builtin_fmaf(b, cos[j], a * sin[j]);
  }
}

void f32_from_bf16(const std::uint16_t* x, int n, float* out) {
  for (int i = 0; i < n; ++i) {
    out[i] = __builtin_bit_cast(float, static_cast<std::uint32_t>(x[i]) << 16);
  }
}

void f32_from_f16(const std::uint16_t* x, int n, float* out) {
  for (int i = 0; i < n; ++i) out[i] = half_to_float(x[i]);
}

void bf16_from_f32(const float* x, int n, std::uint16_t* out) {
  for (int i = 0; i < n; ++i) out[i] = float_to_bfloat(x[i]);
}

void bf16_for_dots(const float* x, int n, std::uint16_t* out) {
  for (int i = 0; i < n; ++i) {
    out[i] = __builtin_fabsf(x[i]) < kLeastFactor ? std::uint16_t{0} : float_to_bfloat(x[i]);
  }
}

void f16_from_f32(const float* x, int n, std::uint16_t* out) {
  for (int i = 0; i < n; ++i) out[i] = float_to_half(x[i]);
}

void f32_from_q8_0(const std::uint8_t* x, int n, float* out) {
  for (int b = 0; b < n / 32; ++b, x += 34) {
    const float d = half_to_float(load_u16(x));
    for (int i = 0; i < 32; ++i) {
      out[32 * b + i] = d * static_cast<float>(static_cast<std::int8_t>(x[2 + i]));
    }
  }
}

float max_abs(const float* x, int n) {
  float m = 0.0f;
  for (int i = 0; i < n; ++i) {
    const float a = __builtin_fabsf(x[i]);
    m = a > m ? a : m;
  }
  return m;
}

void q8_0_from_f32(const float* x, int n, std::uint8_t* out) {
  for (int b = 0; b < n / 32; ++b, out += 34) {
    const float m = max_abs(x + 32 * b, 32);
    const float inverse = m > 0.0f ? 127.0f / m : 0.0f;
    store_u16(out, float_to_half(m / 127.0f));
    for (int i = 0; i < 32; ++i) {
      out[2 + i] =
          static_cast<std::uint8_t>(static_cast<std::int8_t>(round_even(x[32 * b + i] * inverse)));
    }
  }
}

// A scale in f16 and what values are multiplied with to be counted in it.
struct StepSize {
  std::uint16_t half;
  float scale;  // the same in f32
  float inverse;
};

StepSize step_size(float largest, float steps) {
  const std::uint16_t half = float_to_half(largest / steps);
  const float scale = half_to_float(half);
  const float inverse = 1.0f / scale;
  const float most = kMostSteps / largest;
  return {half, scale, largest > 0.0f ? (inverse < most ? inverse : most) : 0.0f};
}

float squared_error(const float* x, int n, StepSize step) {
  float lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) {
    const float whole = round_even(x[i] * step.inverse);
    const float error = __builtin_fmaf(-step.scale, whole, x[i]);
    lanes[i % kLanes] = __builtin_fmaf(error, error, lanes[i % kLanes]);
  }
  return add_lanes(lanes);
}

StepSize best_step_size(const float* x, int n) {
  const float m = max_abs(x, n);
  StepSize best = step_size(m, kTrialSteps[0]);
  float least = squared_error(x, n, best);
  for (int trial = 1; trial < kScaleTrials; ++trial) {
    const StepSize step = step_size(m, kTrialSteps[trial]);
    const float error = squared_error(x, n, step);
    if (error < least) least = error, best = step;
  }
  return best;
}

void fit_q8_0(const float* x, int n, bool pairs, std::uint8_t* out) {
  const int n_together = pairs ? 64 : 32;
  for (int first = 0; first < n; first += n_together) {
    const StepSize step = best_step_size(x + first, n_together);
    for (int i = first; i < first + n_together; ++i) {
      if (i % 32 == 0) store_u16(out + i / 32 * 34, step.half);
      out[i / 32 * 34 + 2 + i % 32] =
          static_cast<std::uint8_t>(static_cast<std::int8_t>(round_even(x[i] * step.inverse)));
    }
  }
}

void matmul_f32(const float* w, std::int64_t w_stride, int n_rows, const float* x,
                std::int64_t x_stride, int n_tokens, int k, float* out, std::int64_t out_stride) {
  for (int t = 0; t < n_tokens; ++t) {
    for (int r = 0; r < n_rows; ++r) {
      out[t * out_stride + r] = dot(w + r * w_stride, x + t * x_stride, k);
    }
  }
}

void matmul_bf16(const std::uint16_t* w, std::int64_t w_stride, int n_rows, const float* x,
                 std::int64_t x_stride, int n_tokens, int k, float* out, std::int64_t out_stride) {
  for (int t = 0; t < n_tokens; ++t) {
    for (int r = 0; r < n_rows; ++r) {
      float lanes[kLanes] = {};
      for (int i = 0; i < k; ++i) {
        const float weight =
            __builtin_bit_cast(float, static_cast<std::uint32_t>(w[r * w_stride + i]) << 16);
        lanes[i % kLanes] = __builtin_fmaf(weight, x[t * x_stride + i], lanes[i % kLanes]);
      }
      out[t * out_stride + r] = add_lanes(lanes);
    }
  }
}

// n_together values share a scale.
void quantize_groups(const float* x, int n, int n_together, std::int8_t* q, std::int8_t* q_fine,
                     float* scales, std::int32_t* sums) {
  const float limit = q_fine ? static_cast<float>(kFineMax) : 127.0f;
  for (int s = 0; s < n / kSumBlock; ++s) sums[s] = 0;
  for (int b = 0; b < n / kActivationBlock; ++b) {
    const int first = b * kActivationBlock / n_together * n_together;
    const float m = max_abs(x + first, n_together);
    const float inverse = m > 0.0f ? limit / m : 0.0f;
    scales[b] = m / limit;
    for (int i = kActivationBlock * b; i < kActivationBlock * (b + 1); ++i) {
      const int value = static_cast<int>(round_even(x[i] * inverse));
      const int high = q_fine ? (value + kFineSteps / 2) >> 7 : value;  // rounds down
      q[i] = static_cast<std::int8_t>(high);
      if (q_fine) q_fine[i] = static_cast<std::int8_t>(value - kFineSteps * high);
      sums[i / kSumBlock] += value;
    }
  }
}

void quantize(const float* x, int n, std::int8_t* q, std::int8_t* q_fine, float* scales,
              std::int32_t* sums) {
  quantize_groups(x, n, kActivationBlock, q, q_fine, scales, sums);
}

void quantize_pairs(const float* x, int n, std::int8_t* q, float* scales, std::int32_t* sums) {
  quantize_groups(x, n, 2 * kActivationBlock, q, nullptr, scales, sums);
}

void pack_panel(const std::int8_t* q, std::int64_t stride, int k, std::uint8_t* out) {
  for (int i = 0; i < k; ++i) {
    for (int r = 0; r < kPanelRows; ++r) {
      out[i * kPanelRows + r] = static_cast<std::uint8_t>(q[r * stride + i]);
    }
  }
}

void matmul_panel(const PanelView& w, const QuantView& x, int n_tokens, PanelSums acc) {
  for (int t = 0; t < n_tokens; ++t) {
    float* sums = acc.first + t * acc.stride;
    const auto x_at = [&](int i) {
      const std::int64_t at = t * x.q_stride + i;
      return x.q_fine ? kFineSteps * x.q[at] + x.q_fine[at] : x.q[at];
    };
    for (int r = 0; r < kPanelRows; ++r) {
      float a = w.starts ? 0.0f : sums[r];
      for (int g = 0; g < w.k / w.group; ++g) {
        const int scales_at = (w.group == 64 ? 2 * g : g) * kPanelRows + r;
        const float x_scale = x.scales[t * x.scale_stride + g * w.group / kActivationBlock];
        std::int32_t dot_sum = 0;
        std::int32_t x_sum = 0;
        for (int i = g * w.group; i < (g + 1) * w.group; ++i) {
          dot_sum += static_cast<std::int8_t>(w.q[i * kPanelRows + r]) * x_at(i);
          x_sum += x_at(i);
        }
        dot_sum -= w.zero * x_sum;
        a = __builtin_fmaf(static_cast<float>(dot_sum), w.scales[scales_at] * x_scale, a);
        if (w.offsets) {
          a = __builtin_fmaf(static_cast<float>(x_sum), w.offsets[scales_at] * x_scale, a);
        }
      }
      sums[r] = a;
    }
  }
}

void matmul_two_panels(const PanelView w[2], const QuantView& x, int n_tokens,
                       const PanelSums acc[2]) {
  for (int p = 0; p < 2; ++p) matmul_panel(w[p], x, n_tokens, acc[p]);
}

void attend_block(const AttendBlock& b) {
  for (int i = 0; i < b.n_queries; ++i) {
    if (b.first[i] >= b.last[i]) continue;
    const float* q = b.q + static_cast<std::int64_t>(i) * b.channels;
    float* out = b.out + static_cast<std::int64_t>(i) * b.channels;
    float p[kKeyBlock];
    float new_max = b.max[i];
    for (int j = 0; j < kKeyBlock; ++j) {
      const bool visible = j >= b.first[i] && j < b.last[i];
      p[j] = visible ? dot(q, b.k + static_cast<std::int64_t>(j) * b.channels, b.channels)
                     : -__builtin_inff();
      new_max = p[j] > new_max ? p[j] : new_max;
    }
    const float correction = exp_f32(b.max[i] - new_max);
    b.sum[i] = __builtin_fmaf(b.sum[i], correction, exp_sum(p, kKeyBlock, new_max));
    b.max[i] = new_max;
    for (int c = 0; c < b.channels; ++c) out[c] = out[c] * correction;
    for (int j = b.first[i]; j < b.last[i]; ++j) {
      add_scaled(out, b.v + static_cast<std::int64_t>(j) * b.channels, p[j], b.channels);
    }
  }
}

float bfloat(std::uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
}

// sum + a0·b0 + a1·b1, as vpdpbf16ps rounds it.
float add_pair(float sum, float a0, float b0, float a1, float b1) {
  return __builtin_fmaf(a0, b0, __builtin_fmaf(a1, b1, sum));
}

float score_of(const ScoreKeys& s, int i, int j) {
  const std::uint16_t* q = s.q + static_cast<std::int64_t>(i) * s.channels;
  float lanes[kLanes] = {};
  for (int p = 0; p < s.n_parts; ++p) {
    const std::uint16_t* k = s.parts[p].rows + j * s.parts[p].stride;
    for (int c = 0; c < s.parts[p].channels; c += 2) {
      float& lane = lanes[c / 2 % kLanes];
      lane = add_pair(lane, bfloat(q[c]), bfloat(k[c]), bfloat(q[c + 1]), bfloat(k[c + 1]));
    }
    q += s.parts[p].channels;
  }
  return add_lanes(lanes);
}

void score_keys(const ScoreKeys& s) {
  for (int i = 0; i < s.n_queries; ++i) {
    for (int j = s.first; j < s.last; ++j) s.scores[i * s.score_stride + j] = score_of(s, i, j);
  }
}

void softmax_span(const SoftmaxSpan& s) {
  float largest = -__builtin_inff();
  for (int j = s.first; j < s.last; ++j) largest = s.scores[j] > largest ? s.scores[j] : largest;
  float lanes[kLanes] = {};
  for (int j = 0; j < s.n_keys; ++j) {
    float weight = 0.0f;
    if (j >= s.first && j < s.last) {
      const float distance = s.scores[j] - largest;
      weight = distance < kLeastDistance ? 0.0f : exp_f32(distance);
    }
    s.weights[j] = float_to_bfloat(weight);
    lanes[j % kLanes] = lanes[j % kLanes] + bfloat(s.weights[j]);
  }
  *s.max = largest;
  *s.sum = add_lanes(lanes);
}

void weigh_values(const WeighValues& w) {
  const auto value = [&](int j, int c) {
    const bool counts = j >= w.first && j < w.last;
    return counts ? bfloat(w.v[static_cast<std::int64_t>(j) * w.channels + c]) : 0.0f;
  };
  for (int i = 0; i < w.n_queries; ++i) {
    const std::uint16_t* weights = w.weights + i * w.weight_stride;
    for (int c = 0; c < w.channels; ++c) {
      float& out = w.out[static_cast<std::int64_t>(i) * w.channels + c];
      for (int j = w.first / 2 * 2; j < w.last; j += 2) {
        out =
            add_pair(out, bfloat(weights[j]), value(j, c), bfloat(weights[j + 1]), value(j + 1, c));
      }
    }
  }
}

// 0 … 255, a whole number.
float panel_weight(float score, float largest) {
  float u = score - largest;
  u = u > kLeastExponent ? u : kLeastExponent;
  const float n = round_even(u);
  const float f = u - n;
  float p = kWeightTerms[3];
  for (int term = 2; term >= 0; --term) p = __builtin_fmaf(p, f, kWeightTerms[term]);
  const auto bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(n) + 127) << 23;
  return round_even(p * __builtin_bit_cast(float, bits));
}

void softmax_panel(const SoftmaxPanel& s) {
  const int n_groups = s.n_keys / kActivationBlock;
  for (int r = 0; r < kPanelRows; ++r) {
    const auto score = [&](int j) { return s.scores[j * kPanelRows + r]; };
    const auto visible = [&](int g) {
      const int n = s.n_visible - g * kActivationBlock;
      return n < kActivationBlock ? n : kActivationBlock;
    };
    const auto largest = [&](int g) {
      float m = -__builtin_inff();
      for (int i = 0; i < visible(g); ++i) {
        const float x = score(g * kActivationBlock + i);
        m = x > m ? x : m;
      }
      return m;
    };
    float new_max = s.max[r];
    for (int g = 0; g < n_groups; ++g) new_max = largest(g) > new_max ? largest(g) : new_max;
    s.correction[r] = exp_f32((s.max[r] - new_max) * kLn2);
    s.max[r] = new_max;
    float sum = s.sum[r] * s.correction[r];
    for (int g = 0; g < n_groups; ++g) {
      const float m = largest(g);
      float group_sum = 0.0f;
      for (int i = 0; i < kActivationBlock; ++i) {
        const int j = g * kActivationBlock + i;
        const float weight = i < visible(g) ? panel_weight(score(j), m) : 0.0f;
        s.panel[j * kPanelRows + r] =
            static_cast<std::uint8_t>(static_cast<int>(weight) + weights_zero(0));
        group_sum += weight;
      }
      const float scale = exp_f32((m - new_max) * kLn2) * (1.0f / kPanelWeight);
      s.scales[g * kPanelRows + r] = scale;
      sum = __builtin_fmaf(group_sum, scale, sum);
    }
    s.sum[r] = sum;
  }
}

}  // namespace

const Kernels kScalarKernels = {
    .name = "scalar",
    .dot = dot,
    .rms_norm = rms_norm,
    .add = add,
    .add_scaled = add_scaled,
    .scale = scale,
    .multiply = multiply,
    .multiply_lanes = multiply_lanes,
    .transpose = transpose,
    .gelu_multiply = gelu_multiply,
    .sigmoid_multiply = sigmoid_multiply,
    .softcap = softcap,
    .clamp = clamp,
    .exp_sum = exp_sum,
    .rope = rope,
    .f32_from_bf16 = f32_from_bf16,
    .f32_from_f16 = f32_from_f16,
    .bf16_from_f32 = bf16_from_f32,
    .bf16_for_dots = bf16_for_dots,
    .f16_from_f32 = f16_from_f32,
    .f32_from_q8_0 = f32_from_q8_0,
    .q8_0_from_f32 = q8_0_from_f32,
    .fit_q8_0 = fit_q8_0,
    .matmul_f32 = matmul_f32,
    .matmul_bf16 = matmul_bf16,
    .quantize = quantize,
    .quantize_pairs = quantize_pairs,
    .pack_panel = pack_panel,
    .panel_zero = 0,
    .q4_0 = {},
    .q5_0 = {},
    .q8_0 = {},
    .q4_k = {},
    .q5_k = {},
    .q6_k = {},
    .iq4_nl = {},
    .iq4_xs = {},
    .mxfp4 = {},
    .matmul_panel = matmul_panel,
    .matmul_two_panels = matmul_two_panels,
    .attend_block = attend_block,
    .softmax_panel = softmax_panel,
    .score_keys = score_keys,
    .softmax_span = softmax_span,
    .weigh_values = weigh_values,
};

}  // namespace fourfold
