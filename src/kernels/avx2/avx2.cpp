// AVX2 with FMA and F16C: two registers of 8 weight rows, four k a lane.
#include "kernels/avx2/lanes.h"
// After lanes.h:
#include "kernels/generic/kernels.inc"

namespace fourfold {
namespace {

// The panel keeps signed weights as [k / 4][row][4]. vpmaddubsw wants one unsigned side, so the
// sign of the weight moves to the activation: |w|·(±x). With |x| <= 127 and |w| <= 128 a pair
// stays below 2^15.
constexpr int kPanelZero = 0;

void pack_panel(const std::int8_t* q, std::int64_t stride, int k, std::uint8_t* out) {
  for (int i = 0; i < k; i += 4, out += 64) {
    for (int r = 0; r < kPanelRows; ++r) __builtin_memcpy(out + 4 * r, q + r * stride + i, 4);
  }
}

void pack_q4_0(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out) {
  const __m128i low_mask = _mm_set1_epi8(15);
  const __m128i eight = _mm_set1_epi8(8);
  for (int r = 0; r < kPanelRows; ++r) {
    const std::uint8_t* block = rows + r * stride;
    for (int b = 0; b < k / 32; ++b, block += 18) {
      std::uint16_t half;
      __builtin_memcpy(&half, block, 2);
      out.scales[b * kPanelRows + r] = _cvtsh_ss(half);
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 2));
      alignas(16) std::uint8_t q[32];
      auto* halves = reinterpret_cast<__m128i*>(q);
      halves[0] = _mm_sub_epi8(_mm_and_si128(bytes, low_mask), eight);
      halves[1] = _mm_sub_epi8(_mm_and_si128(_mm_srli_epi16(bytes, 4), low_mask), eight);
      std::uint8_t* to = out.q + b * 512 + 4 * r;
      for (int i = 0; i < 8; ++i) __builtin_memcpy(to + 64 * i, q + 4 * i, 4);
    }
  }
}

void pack_q8_0(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out) {
  for (int r = 0; r < kPanelRows; ++r) {
    const std::uint8_t* block = rows + r * stride;
    for (int b = 0; b < k / 32; ++b, block += 34) {
      std::uint16_t half;
      __builtin_memcpy(&half, block, 2);
      out.scales[b * kPanelRows + r] = _cvtsh_ss(half);
      std::uint8_t* to = out.q + b * 512 + 4 * r;
      for (int i = 0; i < 8; ++i) __builtin_memcpy(to + 64 * i, block + 2 + 4 * i, 4);
    }
  }
}

inline __m256i add_dots(__m256i dots, __m256i weights, __m256i magnitudes, const std::int8_t* q) {
  std::int32_t four;
  __builtin_memcpy(&four, q, 4);
  const __m256i signed_x = _mm256_sign_epi8(_mm256_set1_epi32(four), weights);
  const __m256i pairs = _mm256_maddubs_epi16(magnitudes, signed_x);
  return _mm256_add_epi32(dots, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

// Eight rows, T tokens.
template <int T, bool kFine>
inline void panel_tile(const PanelView& w, const QuantView& x, int first_row, float* acc) {
  const int n_sums = w.group / kSumBlock;
  __m256 sum[T];
  for (int t = 0; t < T; ++t) sum[t] = _mm256_loadu_ps(acc + t * kPanelRows + first_row);
  const std::uint8_t* wq = w.q + 4 * first_row;
  for (int g = 0; g < w.k / w.group; ++g) {
    const __m256 w_scale = _mm256_loadu_ps(w.scales + g * kPanelRows + first_row);
    __m256i dots[T];
    __m256i fine_dots[T];
    for (int t = 0; t < T; ++t) dots[t] = fine_dots[t] = _mm256_setzero_si256();
    for (int i = 0; i < w.group / 4; ++i, wq += 64) {
      const __m256i weights = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(wq));
      const __m256i magnitudes = _mm256_abs_epi8(weights);
      for (int t = 0; t < T; ++t) {
        const std::int64_t at = t * x.q_stride + g * w.group + 4 * i;
        dots[t] = add_dots(dots[t], weights, magnitudes, x.q + at);
        if constexpr (kFine) {
          fine_dots[t] = add_dots(fine_dots[t], weights, magnitudes, x.q_fine + at);
        }
      }
    }
    for (int t = 0; t < T; ++t) {
      if constexpr (kFine) {
        dots[t] = _mm256_add_epi32(_mm256_slli_epi32(dots[t], 7), fine_dots[t]);
      }
      const __m256 x_scale =
          _mm256_set1_ps(x.scales[t * x.scale_stride + g * w.group / kActivationBlock]);
      sum[t] =
          _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[t]), _mm256_mul_ps(w_scale, x_scale), sum[t]);
      if (w.offsets) {
        const std::int32_t* sums = x.sums + t * x.sum_stride + g * n_sums;
        const std::int32_t x_sum = n_sums == 2 ? sums[0] + sums[1] : sums[0];
        const __m256 offset = _mm256_loadu_ps(w.offsets + g * kPanelRows + first_row);
        sum[t] = _mm256_fmadd_ps(_mm256_set1_ps(static_cast<float>(x_sum)),
                                 _mm256_mul_ps(offset, x_scale), sum[t]);
      }
    }
  }
  for (int t = 0; t < T; ++t) _mm256_storeu_ps(acc + t * kPanelRows + first_row, sum[t]);
}

template <int T>
inline void panel_rows(const PanelView& w, const QuantView& x, float* acc) {
  for (int first_row = 0; first_row < kPanelRows; first_row += 8) {
    x.q_fine ? panel_tile<T, true>(w, x, first_row, acc)
             : panel_tile<T, false>(w, x, first_row, acc);
  }
}

void matmul_panel(const PanelView& w, const QuantView& x, int n_tokens, float* acc) {
  int t = 0;
  while (t < n_tokens) {
    const QuantView rest = from_token(x, t);
    const bool four = t + 4 <= n_tokens;
    four ? panel_rows<4>(w, rest, acc + t * kPanelRows)
         : panel_rows<1>(w, rest, acc + t * kPanelRows);
    t += four ? 4 : 1;
  }
}

}  // namespace

const Kernels kAvx2Kernels = {
    .name = "avx2",
#include "kernels/generic/table.inc"
    .pack_panel = pack_panel,
    .panel_zero = kPanelZero,
    .q4_0 = {.pack = pack_q4_0, .zero = 0},
    .q5_0 = {},
    .q8_0 = {.pack = pack_q8_0, .zero = 0},
    .q4_k = {},
    .q5_k = {},
    .q6_k = {},
    .iq4_nl = {},
    .matmul_panel = matmul_panel,
    .attend_block = attend_block,
};

}  // namespace fourfold
