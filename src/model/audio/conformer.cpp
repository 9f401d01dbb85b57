#include "model/audio/conformer.h"

#include <algorithm>

#include "base/math.h"

namespace fourfold {
namespace {

constexpr float kSoftcap = 50.0f;
constexpr int kPastRows = kDepthwiseTaps - 1;

MatView view(std::vector<float>& buffer, std::int64_t n_rows, std::int64_t n_cols) {
  const auto n = static_cast<std::size_t>(n_rows * n_cols);
  if (buffer.size() < n) buffer.resize(n);
  return {buffer.data(), n_rows, n_cols, n_cols};
}

// Keeps the last n_kept of n_rows rows, at the front.
void keep_last_rows(std::vector<float>& rows, std::int64_t n_rows, std::int64_t n_kept,
                    std::int64_t width) {
  if (n_kept == n_rows) return;
  std::copy_n(rows.begin() + (n_rows - n_kept) * width, n_kept * width, rows.begin());
}

}  // namespace

Conformer::Conformer(const AudioWeights& weights, const AudioConfig& config, Ops& ops)
    : w_(weights), config_(config), ops_(ops), past_(weights.layers.size()) {
  reset();
}

// Keys before the first row do not exist; rows before it are zero for the convolution.
void Conformer::reset() {
  for (Past& past : past_) {
    past.n_keys = 0;
    past.gated.assign(static_cast<std::size_t>(kPastRows * config_.width), 0.0f);
  }
}

// The clamps to ±1e10 of the reference never act on f32 values (audio.md 5).
void Conformer::forward(MatView x, const AudioTap* tap) {
  for (std::size_t i = 0; i < past_.size(); ++i) {
    const ConformerWeights& w = w_.layers[i];
    feed_forward(w.first, x);
    attention(w, past_[i], x);
    light_convolution(w, past_[i], x);
    feed_forward(w.second, x);
    ops_.rms_norm(x, w.out_norm, config_.rms_eps, x);
    if (tap) (*tap)("layer", static_cast<int>(i), x);
  }
}

// Half a step: its result counts half.
void Conformer::feed_forward(const AudioFeedForward& w, MatView x) {
  const MatView normed = view(normed_, x.n_rows, config_.width);
  const MatView wide = view(wide_, x.n_rows, config_.ffn_width);
  const MatView back = view(back_, x.n_rows, config_.width);
  ops_.rms_norm(x, w.pre_norm, config_.rms_eps, normed);
  multiply(w.up, clipped(normed, w.up.in), wide);
  silu(wide);
  multiply(w.down, clipped(wide, w.down.in), back);
  add_normed(x, back, w.post_norm, 0.5f);
}

void Conformer::attention(const ConformerWeights& w, Past& past, MatView x) {
  const std::int64_t D = config_.width;
  const std::int64_t n_keys = past.n_keys + x.n_rows;
  const MatView normed = view(normed_, x.n_rows, D);
  const MatView q = view(q_, x.n_rows, D);
  const MatView k = view(past.k, n_keys, D).rows(past.n_keys, x.n_rows);
  const MatView v = view(past.v, n_keys, D).rows(past.n_keys, x.n_rows);
  ops_.rms_norm(x, w.pre_attn_norm, config_.rms_eps, normed);
  // The three have the same bounds in files seen so far: the input is prepared once then.
  Activations& in = clipped(normed, w.q.in);
  multiply(w.q, in, q);
  multiply(w.k, w.k.in == w.q.in ? in : clipped(normed, w.k.in), k);
  multiply(w.v, w.v.in == w.k.in ? in : clipped(normed, w.v.in), v);
  const auto key_scale =
      static_cast<float>(math::log(1.0 + math::exp(1.0)) / math::log(2.0));  // softplus(1) / ln 2
  ops_.scale(k, key_scale);

  const MatView heads = view(heads_, x.n_rows, D);
  attend(w, past, q, heads);
  const MatView back = view(back_, x.n_rows, D);
  multiply(w.post, clipped(heads, w.post.in), back);
  add_normed(x, back, w.post_attn_norm, 1.0f);

  past.n_keys = std::min<std::int64_t>(config_.left_keys - 1, n_keys);
  keep_last_rows(past.k, n_keys, past.n_keys, D);
  keep_last_rows(past.v, n_keys, past.n_keys, D);
}

// Each query sees itself and the left_keys − 1 rows before it, as far as they exist.
void Conformer::attend(const ConformerWeights& w, const Past& past, MatView q, MatView out) {
  const std::int64_t D = config_.width;
  const int C = config_.width / config_.n_heads;
  const Kernels& kernels = ops_.kernels();
  ops_.for_rows(q.n_rows, [&](std::int64_t t) {
    const std::int64_t last = past.n_keys + t;
    const std::int64_t first = std::max<std::int64_t>(0, last + 1 - config_.left_keys);
    const int n = static_cast<int>(last + 1 - first);
    float scores[kMaxLeftKeys], relative[kMaxLeftKeys];
    for (int head = 0; head < config_.n_heads; ++head) {
      const int at = head * C;
      float* query = q.row(t) + at;
      kernels.multiply(query, w.q_scale.data(), C, query);
      kernels.matmul_f32(past.k.data() + first * D + at, D, n, query, D, 1, C, scores, n);
      kernels.matmul_f32(w.relative.data() + (config_.left_keys - n) * D + at, D, n, query, D, 1, C,
                         relative, n);
      kernels.add(scores, relative, n);
      kernels.softcap(scores, n, kSoftcap);
      const float sum = kernels.exp_sum(scores, n, *std::max_element(scores, scores + n));
      kernels.scale(scores, 1.0f / sum, n);
      float* mixed = out.row(t) + at;
      std::fill_n(mixed, C, 0.0f);
      for (int j = 0; j < n; ++j) {
        kernels.add_scaled(mixed, past.v.data() + (first + j) * D + at, scores[j], C);
      }
    }
  });
}

void Conformer::light_convolution(const ConformerWeights& w, Past& past, MatView x) {
  const std::int64_t D = config_.width;
  const int n_cols = config_.width;
  const Kernels& kernels = ops_.kernels();
  const MatView normed = view(normed_, x.n_rows, D);
  const MatView wide = view(wide_, x.n_rows, 2 * D);
  const MatView gated = view(past.gated, kPastRows + x.n_rows, D);
  const MatView mixed = view(heads_, x.n_rows, D);
  ops_.rms_norm(x, w.pre_conv_norm, config_.rms_eps, normed);
  multiply(w.conv_start, clipped(normed, w.conv_start.in), wide);
  ops_.for_rows(x.n_rows, [&](std::int64_t t) {
    kernels.sigmoid_multiply(wide.row(t), wide.row(t) + D, n_cols, gated.row(kPastRows + t));
  });
  ops_.for_rows(x.n_rows, [&](std::int64_t t) {
    float* out = mixed.row(t);
    kernels.multiply(w.taps.data(), gated.row(t), n_cols, out);
    for (int j = 1; j < kDepthwiseTaps; ++j) {
      const float* taps = w.taps.data() + j * D;
      const float* row = gated.row(t + j);
      for (int c = 0; c < n_cols; ++c) out[c] += taps[c] * row[c];
    }
    kernels.rms_norm(out, w.conv_norm, n_cols, config_.rms_eps, out);
  });
  silu(mixed);
  const MatView back = view(back_, x.n_rows, D);
  multiply(w.conv_end, clipped(mixed, w.conv_end.in), back);
  ops_.add(x, back);
  keep_last_rows(past.gated, kPastRows + x.n_rows, kPastRows, D);
}

Activations& Conformer::clipped(MatView x, const Clip& clip) {
  if (!clip.clips()) {
    activations_.set(x);
    return activations_;
  }
  const MatView inside = view(clipped_, x.n_rows, x.n_cols);
  ops_.for_rows(x.n_rows, [&](std::int64_t r) {
    ops_.kernels().clamp(x.row(r), clip.low, clip.high, static_cast<int>(x.n_cols), inside.row(r));
  });
  activations_.set(inside);
  return activations_;
}

void Conformer::multiply(const ClippedLinear& w, Activations& x, MatView out) {
  ops_.matmul(w.weight, x, out);
  if (!w.out.clips()) return;
  ops_.for_rows(out.n_rows, [&](std::int64_t r) {
    ops_.kernels().clamp(out.row(r), w.out.low, w.out.high, static_cast<int>(out.n_cols),
                         out.row(r));
  });
}

void Conformer::silu(MatView x) {
  ops_.for_rows(x.n_rows, [&](std::int64_t r) {
    ops_.kernels().sigmoid_multiply(x.row(r), x.row(r), static_cast<int>(x.n_cols), x.row(r));
  });
}

void Conformer::add_normed(MatView x, MatView y, const float* weight, float factor) {
  const int n = static_cast<int>(x.n_cols);
  ops_.for_rows(x.n_rows, [&](std::int64_t r) {
    ops_.kernels().rms_norm(y.row(r), weight, n, config_.rms_eps, y.row(r));
    ops_.kernels().add_scaled(x.row(r), y.row(r), factor, n);
  });
}

}  // namespace fourfold
