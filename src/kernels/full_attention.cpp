// 16 queries of one head are, in eight bits, a panel of weights, as in a matrix product: the keys
// are its tokens, and so the scores lie by key, 16 queries a row. What softmax makes of them is a
// panel again, whose tokens are the channels of the values. A thread takes two such panels, which
// share what is loaded of the keys and values.
#include "kernels/full_attention.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/checked.h"
#include "kernels/aligned_vector.h"

namespace fourfold {
namespace {

// Keys that meet a panel of queries at a time: their scores stay in the L1 cache.
constexpr int kStretch = 256;
constexpr int kQueries = kPanelRows;
constexpr int kPanels = 2;
constexpr float kLog2e = 1.44269504f;

template <class Buffer>
void grow(Buffer& buffer, std::int64_t n) {
  if (static_cast<std::int64_t>(buffer.size()) < n) buffer.resize(static_cast<std::size_t>(n));
}

// out[c, r] = x[r, c]
void turn(const Kernels& kernels, MatView x, float* out, std::int64_t out_stride) {
  constexpr std::int64_t kSide = 16;  // of a square that the kernel turns
  const std::int64_t n_rows = x.n_rows / kSide * kSide;
  const std::int64_t n_cols = x.n_cols / kSide * kSide;
  for (std::int64_t r = 0; r < n_rows; r += kSide) {
    for (std::int64_t c = 0; c < n_cols; c += kSide) {
      kernels.transpose(x.row(r) + c, x.stride, out + c * out_stride + r, out_stride);
    }
  }
  for (std::int64_t r = 0; r < x.n_rows; ++r) {
    for (std::int64_t c = r < n_rows ? n_cols : 0; c < x.n_cols; ++c) {
      out[c * out_stride + r] = x.row(r)[c];
    }
  }
}

}  // namespace

// Rows of small integers, one behind the other: what quantize() makes of rows of `width` values.
struct FullAttention::QuantRows {
  std::int64_t width = 0;
  std::vector<std::int8_t> q;
  std::vector<float> scales;
  std::vector<std::int32_t> sums;

  void resize(std::int64_t n_rows, std::int64_t row_width) {
    width = row_width;
    grow(q, n_rows * width);
    grow(scales, n_rows * width / kActivationBlock);
    grow(sums, n_rows * width / kSumBlock);
  }

  // n values of a row, from column `first` on.
  void put(const Kernels& kernels, std::int64_t row, std::int64_t first, const float* x, int n,
           bool pairs) {
    const std::int64_t at = row * width + first;
    std::int8_t* to = q.data() + at;
    float* to_scales = scales.data() + at / kActivationBlock;
    std::int32_t* to_sums = sums.data() + at / kSumBlock;
    pairs ? kernels.quantize_pairs(x, n, to, to_scales, to_sums)
          : kernels.quantize(x, n, to, nullptr, to_scales, to_sums);
  }

  QuantView view(std::int64_t row, std::int64_t first) const {
    const std::int64_t at = row * width + first;
    return {.q = q.data() + at,
            .q_fine = nullptr,
            .scales = scales.data() + at / kActivationBlock,
            .sums = sums.data() + at / kSumBlock,
            .q_stride = width,
            .scale_stride = width / kActivationBlock,
            .sum_stride = width / kSumBlock};
  }
};

struct FullAttention::Integers {
  std::int64_t n_keys = 0;  // rounded up to whole blocks
  std::int64_t width = 0;   // channels, rounded up likewise
  // Queries and keys have one scale for each two blocks.
  bool pairs() const { return width % (2 * kActivationBlock) == 0; }
  QuantRows q, k;  // [n_heads · n_keys, width]
  QuantRows v;     // [n_heads · channels, n_keys]
};

struct FullAttention::QueryPanel {
  AlignedVector<std::uint8_t> q;
  AlignedVector<float> q_scales;  // [width / 32, 16]
  AlignedVector<float> scores = AlignedVector<float>(kStretch * kQueries);
  AlignedVector<std::uint8_t> p = AlignedVector<std::uint8_t>(kStretch * kQueries);
  AlignedVector<float> p_scales = AlignedVector<float>(kStretch / kActivationBlock * kQueries);
  AlignedVector<float> values;  // [channels, 16] running Σ p·v
  float max[kQueries], sum[kQueries], correction[kQueries];

  // Σ p·v of the keys so far, as if their maximum had been today's.
  void correct_values(const Kernels& kernels, int channels) {
    kernels.multiply_lanes(values.data(), correction, channels * kQueries);
  }

  // out [n, channels]: Σ p·v / Σ p of the first n queries.
  void finish(const Kernels& kernels, MatView out) {
    for (int r = 0; r < kQueries; ++r) correction[r] = 1.0f / sum[r];
    correct_values(kernels, static_cast<int>(out.n_cols));
    turn(kernels, {values.data(), out.n_cols, out.n_rows, kQueries}, out.data, out.stride);
  }
};

struct FullAttention::Worker {
  std::vector<float> row;      // one head, padded
  std::vector<float> columns;  // of V: some channels, by key
  QueryPanel panels[kPanels];
};

FullAttention::FullAttention(Ops& ops) : ops_(ops), integers_(std::make_unique<Integers>()) {
  for (int i = 0; i < ops.pool().n_threads(); ++i) workers_.push_back(std::make_unique<Worker>());
}

FullAttention::~FullAttention() = default;

void FullAttention::begin(std::int64_t n_rows, int n_heads, int channels) {
  n_rows_ = n_rows;
  n_heads_ = n_heads;
  channels_ = channels;
  if (ops_.exact()) {
    kv_.layout = {.type = KvType::F32, .n_heads = n_heads, .channels = channels};
    kv_.n_blocks = round_up(n_rows, kKeyBlock) / kKeyBlock;
    grow(kv_bytes_, kv_.n_blocks * kv_.layout.block_bytes());
    kv_blocks_.clear();
    for (std::int64_t b = 0; b < kv_.n_blocks; ++b) {
      kv_blocks_.push_back(kv_bytes_.data() + b * kv_.layout.block_bytes());
    }
    kv_.blocks = kv_blocks_.data();
    grow(queries_, n_rows * n_heads * channels);
    return;
  }
  Integers& kv = *integers_;
  kv.n_keys = round_up(n_rows, kActivationBlock);
  kv.width = round_up(channels, kActivationBlock);
  kv.q.resize(n_heads * kv.n_keys, kv.width);
  kv.k.resize(n_heads * kv.n_keys, kv.width);
  kv.v.resize(n_heads * std::int64_t{channels}, kv.n_keys);
}

void FullAttention::put(std::int64_t first, MatView q, MatView k, MatView v,
                        const std::function<void(std::int64_t)>& finish) {
  CHECK(first % kKeyBlock == 0 && first + k.n_rows <= n_rows_);
  if (ops_.exact()) {
    ops_.for_rows(k.n_rows, [&](std::int64_t r) {
      if (finish) finish(r);
      store_kv(ops_.kernels(), kv_, first + r, k.row(r), v.row(r));
      std::copy_n(q.row(r), q.n_cols, queries_.data() + (first + r) * q.n_cols);
    });
    return;
  }
  // Queries and keys row by row, as they lie; values head by head, since they are turned.
  const std::int64_t n = round_up(k.n_rows, kActivationBlock);
  ops_.pool().parallel_for(n, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    Worker& s = *workers_[static_cast<std::size_t>(worker)];
    for (std::int64_t r = begin; r < end; ++r) {
      const bool exists = r < k.n_rows;
      if (exists && finish) finish(r);
      put_row(first + r, exists ? q.row(r) : nullptr, integers_->q, s);
      put_row(first + r, exists ? k.row(r) : nullptr, integers_->k, s);
    }
  });
  ops_.pool().parallel_for(n_heads_, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t head = begin; head < end; ++head) {
      put_values(head, first, v.columns(head * channels_, channels_),
                 *workers_[static_cast<std::size_t>(worker)]);
    }
  });
}

// A row of all heads. One that does not exist is null: its zeros fill the last block.
void FullAttention::put_row(std::int64_t row, const float* x, QuantRows& rows, Worker& s) {
  const Integers& kv = *integers_;
  for (std::int64_t head = 0; head < n_heads_; ++head) {
    const float* values = x ? x + head * channels_ : nullptr;
    if (!values || kv.width != channels_) {
      s.row.assign(static_cast<std::size_t>(kv.width), 0.0f);
      if (values) std::copy_n(values, channels_, s.row.data());
      values = s.row.data();
    }
    rows.put(ops_.kernels(), head * kv.n_keys + row, 0, values, static_cast<int>(kv.width),
             kv.pairs());
  }
}

void FullAttention::put_values(std::int64_t head, std::int64_t first, MatView v, Worker& s) {
  constexpr std::int64_t kChannels = 16;  // turned at a time
  Integers& kv = *integers_;
  const std::int64_t n = round_up(v.n_rows, kActivationBlock);
  s.columns.assign(static_cast<std::size_t>(kChannels * n), 0.0f);
  for (std::int64_t c = 0; c < channels_; c += kChannels) {
    const std::int64_t n_channels = std::min<std::int64_t>(kChannels, channels_ - c);
    turn(ops_.kernels(), v.columns(c, n_channels), s.columns.data(), n);
    for (std::int64_t i = 0; i < n_channels; ++i) {
      kv.v.put(ops_.kernels(), head * channels_ + c + i, first, s.columns.data() + i * n,
               static_cast<int>(n), false);
    }
  }
}

void FullAttention::attend(std::int64_t first, MatView out) {
  CHECK(first % kQueries == 0 && first + out.n_rows <= n_rows_);
  if (out.n_rows == 0) return;
  if (ops_.exact()) {
    kv_rows_.assign(static_cast<std::size_t>(out.n_rows),
                    {.kv = &kv_, .first_key = 0, .last_key = n_rows_});
    const std::int64_t width = std::int64_t{n_heads_} * channels_;
    ops_.attend(kv_rows_, {queries_.data() + first * width, out.n_rows, width, width}, n_heads_,
                out);
    return;
  }
  // Head by head, so that its keys and values stay in the cache.
  constexpr std::int64_t kTogether = kPanels * kQueries;
  const std::int64_t n_parts = round_up(out.n_rows, kTogether) / kTogether;
  ops_.pool().parallel_for(
      n_heads_ * n_parts, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t head = i / n_parts;
          const std::int64_t row = i % n_parts * kTogether;
          const std::int64_t n = std::min<std::int64_t>(kTogether, out.n_rows - row);
          attend_panels(head, first + row, out.rows(row, n).columns(head * channels_, channels_),
                        *workers_[static_cast<std::size_t>(worker)]);
        }
      });
}

// Sixteen queries, from the given row of all heads' on, as a panel whose scores are exponents of
// two.
void FullAttention::start(std::int64_t row, QueryPanel& panel) {
  const QuantRows& rows = integers_->q;
  const std::int64_t width = rows.width;
  const std::int64_t n_groups = width / kActivationBlock;
  grow(panel.q, kQueries * width);
  grow(panel.q_scales, kQueries * n_groups);
  ops_.kernels().pack_panel(rows.q.data() + row * width, width, static_cast<int>(width),
                            panel.q.data());
  const float* scales = rows.scales.data() + row * n_groups;
  for (std::int64_t r = 0; r < kQueries; ++r) {
    for (std::int64_t g = 0; g < n_groups; ++g) {
      panel.q_scales[static_cast<std::size_t>(g * kQueries + r)] =
          scales[r * n_groups + g] * kLog2e;
    }
  }
  grow(panel.values, std::int64_t{channels_} * kQueries);
  std::fill_n(panel.max, kQueries, -std::numeric_limits<float>::infinity());
  std::fill_n(panel.sum, kQueries, 0.0f);
}

void FullAttention::attend_panels(std::int64_t head, std::int64_t first, MatView out, Worker& s) {
  const Kernels& kernels = ops_.kernels();
  const Integers& kv = *integers_;
  const int n_panels = out.n_rows > kQueries ? 2 : 1;
  const auto multiply = [&](const PanelView panels[kPanels], const QuantView& x, int n,
                            const PanelSums sums[kPanels]) {
    if (n_panels == 2) {
      kernels.matmul_two_panels(panels, x, n, sums);
    } else {
      kernels.matmul_panel(panels[0], x, n, sums[0]);
    }
  };
  PanelView queries[kPanels] = {}, weights[kPanels] = {};
  PanelSums scores[kPanels] = {};
  PanelSums values[kPanels] = {};
  for (int p = 0; p < n_panels; ++p) {
    QueryPanel& panel = s.panels[p];
    start(head * kv.n_keys + first + p * kQueries, panel);
    queries[p] = {.q = panel.q.data(),
                  .scales = panel.q_scales.data(),
                  .offsets = nullptr,
                  .k = static_cast<int>(kv.width),
                  .group = kv.pairs() ? 2 * kActivationBlock : kActivationBlock,
                  .zero = kernels.panel_zero,
                  .starts = true};
    weights[p] = queries[p];
    weights[p].group = kActivationBlock;
    weights[p].q = panel.p.data();
    weights[p].scales = panel.p_scales.data();
    weights[p].zero = weights_zero(kernels.panel_zero);
    weights[p].bytes = true;
    scores[p] = {.first = panel.scores.data(), .stride = kPanelRows};
    values[p] = {.first = panel.values.data(), .stride = kPanelRows};
  }
  for (std::int64_t key = 0; key < kv.n_keys; key += kStretch) {
    const int n_keys = static_cast<int>(std::min<std::int64_t>(kStretch, kv.n_keys - key));
    multiply(queries, kv.k.view(head * kv.n_keys + key, 0), n_keys, scores);
    for (int p = 0; p < n_panels; ++p) {
      QueryPanel& panel = s.panels[p];
      kernels.softmax_panel(
          {.scores = scores[p].first,
           .n_keys = n_keys,
           .n_visible = static_cast<int>(std::min<std::int64_t>(n_keys, n_rows_ - key)),
           .max = panel.max,
           .sum = panel.sum,
           .correction = panel.correction,
           .panel = panel.p.data(),
           .scales = panel.p_scales.data()});
      if (key != 0) panel.correct_values(kernels, channels_);
      weights[p].k = n_keys;
      weights[p].starts = key == 0;
    }
    multiply(weights, kv.v.view(head * channels_, key), channels_, values);
  }
  for (int p = 0; p < n_panels; ++p) {
    const std::int64_t row = std::int64_t{p} * kQueries;
    s.panels[p].finish(kernels, out.rows(row, std::min<std::int64_t>(kQueries, out.n_rows - row)));
  }
}

}  // namespace fourfold
