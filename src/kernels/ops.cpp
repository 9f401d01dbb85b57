#include "kernels/ops.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/checked.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

// Weights are unpacked in stretches of this many k, so that a panel stays in the L1 cache.
constexpr int kPanelDepth = 1024;
// matmul in f32: rows dequantised at a time, tokens that meet them while they are in the cache.
constexpr int kExactRows = 16;
constexpr int kExactTokens = 16;
// Attention: query vectors of one tile, keys of one span (merged in ascending order).
constexpr int kTileQueries = 32;
constexpr std::int64_t kSpan = 512;
constexpr std::int64_t kSpanBlocks = kSpan / kKeyBlock;

bool is_aligned(const void* p, std::size_t n) {
  return reinterpret_cast<std::uintptr_t>(p) % n == 0;
}

// One row of any weight type as f32: into `buffer`, or in place when it is f32 already.
const float* row_as_f32(const Kernels& kernels, const Matrix& w, std::int64_t r, float* buffer) {
  const std::byte* row = w.row(r);
  const int n = static_cast<int>(w.n_cols);
  if (w.dtype == DType::F32 && is_aligned(row, alignof(float))) {
    return reinterpret_cast<const float*>(row);
  }
  if (w.dtype == DType::BF16 && is_aligned(row, 2)) {
    kernels.f32_from_bf16(reinterpret_cast<const std::uint16_t*>(row), n, buffer);
  } else if (w.dtype == DType::F16 && is_aligned(row, 2)) {
    kernels.f32_from_f16(reinterpret_cast<const std::uint16_t*>(row), n, buffer);
  } else {
    dequantize(w.dtype, row, w.n_cols, buffer);
  }
  return buffer;
}

// How the table packs a type straight from the file, if it does.
Packer packer_of(const Kernels& kernels, DType type) {
  switch (type) {
    case DType::Q4_0: return kernels.q4_0;
    case DType::Q5_0: return kernels.q5_0;
    case DType::Q8_0: return kernels.q8_0;
    case DType::Q4_K: return kernels.q4_k;
    case DType::Q5_K: return kernels.q5_k;
    case DType::Q6_K: return kernels.q6_k;
    case DType::IQ4_NL: return kernels.iq4_nl;
    default: return {};
  }
}

}  // namespace

struct Ops::Scratch {
  // matmul by panels
  std::vector<std::int8_t> rows = std::vector<std::int8_t>(kPanelRows * kPanelDepth);
  std::vector<std::uint8_t> panel = std::vector<std::uint8_t>(kPanelRows * kPanelDepth);
  std::vector<float> row_scales = std::vector<float>(kPanelDepth / kSumBlock);
  std::vector<float> row_offsets = std::vector<float>(kPanelDepth / kSumBlock);
  std::vector<float> scales = std::vector<float>(kPanelRows * kPanelDepth / kSumBlock);
  std::vector<float> offsets = std::vector<float>(kPanelRows * kPanelDepth / kSumBlock);
  std::vector<float> acc;
  // matmul in f32
  std::vector<float> weights;
  // attention
  std::vector<float> q, k, v, out, max, sum;
  std::vector<float> span_out, span_max, span_sum;
  std::vector<int> first, last;

  static void grow(std::vector<float>& buffer, std::int64_t n) {
    if (static_cast<std::int64_t>(buffer.size()) < n) buffer.resize(static_cast<std::size_t>(n));
  }
  static void grow(std::vector<int>& buffer, std::int64_t n) {
    if (static_cast<std::int64_t>(buffer.size()) < n) buffer.resize(static_cast<std::size_t>(n));
  }
};

Ops::Ops(const Kernels& kernels, ThreadPool& pool, bool exact)
    : kernels_(kernels), pool_(pool), exact_(exact) {
  for (int i = 0; i < pool.n_threads(); ++i) scratch_.push_back(std::make_unique<Scratch>());
}

Ops::~Ops() = default;

void Ops::matmul(const Matrix& w, Activations& x, MatView out) {
  CHECK(x.x_.n_cols == w.n_cols && out.n_cols == w.n_rows && out.n_rows == x.x_.n_rows);
  if (out.n_rows == 0) return;
  if (traits(w.dtype).quantised() && !exact_) {
    matmul_panels(w, quantized(x, w.fine), out);
  } else {
    matmul_exact(w, x.x_, out);
  }
  if (w.scale != 1.0f) scale(out, w.scale);
}

QuantView Ops::quantized(Activations& x, bool fine) {
  Activations::Integers& form = fine ? x.fine_ : x.plain_;
  const std::int64_t k = x.x_.n_cols;
  if (!form.ready) {
    form.ready = true;
    const auto n = static_cast<std::size_t>(x.x_.n_rows * k);
    if (form.q.size() < n) {
      form.q.resize(n);
      if (fine) form.q_fine.resize(n);
      form.scales.resize(n / kActivationBlock);
      form.sums.resize(n / kSumBlock);
    }
    for_rows(x.x_.n_rows, [&](std::int64_t r) {
      kernels_.quantize(x.x_.row(r), static_cast<int>(k), form.q.data() + r * k,
                        fine ? form.q_fine.data() + r * k : nullptr,
                        form.scales.data() + r * k / kActivationBlock,
                        form.sums.data() + r * k / kSumBlock);
    });
  }
  return {.q = form.q.data(),
          .q_fine = fine ? form.q_fine.data() : nullptr,
          .scales = form.scales.data(),
          .sums = form.sums.data(),
          .q_stride = k,
          .scale_stride = k / kActivationBlock,
          .sum_stride = k / kSumBlock};
}

void Ops::matmul_exact(const Matrix& w, const MatView& x, MatView out) {
  const int k = static_cast<int>(w.n_cols);
  pool_.parallel_for(w.n_rows, kExactRows, [&](std::int64_t begin, std::int64_t end, int worker) {
    Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
    Scratch::grow(s.weights, kExactRows * w.n_cols);
    for (std::int64_t r = begin; r < end; r += kExactRows) {
      const int n_rows = static_cast<int>(std::min<std::int64_t>(kExactRows, end - r));
      const float* rows = s.weights.data();
      const bool in_place = w.dtype == DType::F32 && is_aligned(w.row(r), alignof(float));
      for (int i = 0; i < n_rows; ++i) {
        const float* row = row_as_f32(kernels_, w, r + i, s.weights.data() + i * w.n_cols);
        if (in_place && i == 0) rows = row;
      }
      for (std::int64_t t = 0; t < x.n_rows; t += kExactTokens) {
        const int n_tokens = static_cast<int>(std::min<std::int64_t>(kExactTokens, x.n_rows - t));
        kernels_.matmul_f32(rows, w.n_cols, n_rows, x.row(t), x.stride, n_tokens, k,
                            out.row(t) + r, out.stride);
      }
    }
  });
}

void Ops::matmul_panels(const Matrix& w, const QuantView& x, MatView out) {
  const std::int64_t n_panels = round_up(w.n_rows, kPanelRows) / kPanelRows;
  pool_.parallel_for(n_panels, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
    for (std::int64_t p = begin; p < end; ++p) panel_rows(w, x, p * kPanelRows, s, out);
  });
}

void Ops::panel_rows(const Matrix& w, const QuantView& x, std::int64_t first_row, Scratch& s,
                     MatView out) {
  const DTypeTraits& type = traits(w.dtype);
  const std::int64_t n_tokens = out.n_rows;
  const int n_rows = static_cast<int>(std::min<std::int64_t>(kPanelRows, w.n_rows - first_row));
  const Packer packer = packer_of(kernels_, w.dtype);
  const bool direct = packer.pack && n_rows == kPanelRows;
  Scratch::grow(s.acc, n_tokens * kPanelRows);
  std::fill_n(s.acc.begin(), n_tokens * kPanelRows, 0.0f);
  if (n_rows < kPanelRows) {  // rows that do not exist weigh nothing
    std::fill(s.rows.begin(), s.rows.end(), std::int8_t{0});
    std::fill(s.scales.begin(), s.scales.end(), 0.0f);
    std::fill(s.offsets.begin(), s.offsets.end(), 0.0f);
  }
  for (std::int64_t k = 0; k < w.n_cols; k += kPanelDepth) {
    const int depth = static_cast<int>(std::min<std::int64_t>(kPanelDepth, w.n_cols - k));
    const std::byte* start = w.row(first_row) + size_bytes(w.dtype, k);
    if (direct) {
      packer.pack(
          reinterpret_cast<const std::uint8_t*>(start), w.row_bytes(), depth,
          {.q = s.panel.data(), .scales = s.scales.data(), .offsets = s.offsets.data()});
    } else {
      const int n_groups = depth / type.group;
      for (int r = 0; r < n_rows; ++r) {
        unpack_blocks(w.dtype, start + r * w.row_bytes(), depth / type.block,
                      s.rows.data() + r * kPanelDepth, s.row_scales.data(),
                      type.has_min ? s.row_offsets.data() : nullptr);
        for (int g = 0; g < n_groups; ++g) s.scales[g * kPanelRows + r] = s.row_scales[g];
        if (!type.has_min) continue;
        for (int g = 0; g < n_groups; ++g) s.offsets[g * kPanelRows + r] = s.row_offsets[g];
      }
      kernels_.pack_panel(s.rows.data(), kPanelDepth, depth, s.panel.data());
    }
    QuantView stretch = x;
    stretch.q += k;
    if (stretch.q_fine) stretch.q_fine += k;
    stretch.scales += k / kActivationBlock;
    stretch.sums += k / kSumBlock;
    kernels_.matmul_panel({.q = s.panel.data(),
                           .scales = s.scales.data(),
                           .offsets = type.has_min ? s.offsets.data() : nullptr,
                           .k = depth,
                           .group = type.group,
                           .zero = direct ? packer.zero : kernels_.panel_zero},
                          stretch, static_cast<int>(n_tokens), s.acc.data());
  }
  for (std::int64_t t = 0; t < n_tokens; ++t) {
    std::memcpy(out.row(t) + first_row, s.acc.data() + t * kPanelRows,
                sizeof(float) * static_cast<std::size_t>(n_rows));
  }
}

void Ops::rms_norm(MatView x, const float* weight, float eps, MatView out) {
  for_rows(x.n_rows, [&](std::int64_t r) {
    kernels_.rms_norm(x.row(r), weight, static_cast<int>(x.n_cols), eps, out.row(r));
  });
}

void Ops::add(MatView x, MatView y) {
  for_rows(x.n_rows, [&](std::int64_t r) {
    kernels_.add(x.row(r), y.row(r), static_cast<int>(x.n_cols));
  });
}

void Ops::scale(MatView x, float factor) {
  for_rows(x.n_rows, [&](std::int64_t r) {
    kernels_.scale(x.row(r), factor, static_cast<int>(x.n_cols));
  });
}

void Ops::gelu_multiply(MatView gate, MatView up, MatView out) {
  for_rows(gate.n_rows, [&](std::int64_t r) {
    kernels_.gelu_multiply(gate.row(r), up.row(r), static_cast<int>(gate.n_cols), out.row(r));
  });
}

void Ops::softcap(MatView x, float cap) {
  for_rows(x.n_rows, [&](std::int64_t r) {
    kernels_.softcap(x.row(r), static_cast<int>(x.n_cols), cap);
  });
}

namespace {

// Query rows that share a sequence, times one KV head: one task of attention.
struct AttentionTile {
  int first_row = 0;
  int n_rows = 0;
  int kv_head = 0;
  std::int64_t first_span = 0;
  std::int64_t last_span = 0;  // one past
};

// Running softmax of n queries: maxima, sums, Σ p·v [n, channels].
struct Softmax {
  float* max;
  float* sum;
  float* out;

  void clear(int n, int channels) const {
    std::fill_n(max, n, -std::numeric_limits<float>::infinity());
    std::fill_n(sum, n, 0.0f);
    std::fill_n(out, static_cast<std::int64_t>(n) * channels, 0.0f);
  }
};

// total ⊕= part, per query; the order of spans is ascending, whoever computed them.
void merge(const Kernels& kernels, int n, int channels, const Softmax& part, const Softmax& total) {
  for (int i = 0; i < n; ++i) {
    if (part.sum[i] == 0.0f) continue;  // no key of this span is visible to the query
    float* to = total.out + static_cast<std::int64_t>(i) * channels;
    const float* from = part.out + static_cast<std::int64_t>(i) * channels;
    const float new_max = std::max(total.max[i], part.max[i]);
    float weights[2] = {total.max[i], part.max[i]};
    kernels.exp_sum(weights, 2, new_max);
    total.sum[i] = __builtin_fmaf(part.sum[i], weights[1], total.sum[i] * weights[0]);
    total.max[i] = new_max;
    kernels.scale(to, weights[0], channels);
    kernels.add_scaled(to, from, weights[1], channels);
  }
}

}  // namespace

void Ops::attend(std::span<const AttentionRow> rows, MatView q, int n_heads, MatView out) {
  if (rows.empty()) return;
  const KvLayout& layout = rows[0].kv->layout;
  const int channels = layout.channels;
  const int group = n_heads / layout.n_heads;  // query heads a KV head
  const int tile_rows = std::max(1, kTileQueries / group);

  std::vector<AttentionTile> tiles;
  std::int64_t n_spans_total = 0;
  for (int r = 0; r < static_cast<int>(rows.size());) {
    int end = r + 1;
    std::int64_t first_key = rows[r].first_key;
    std::int64_t last_key = rows[r].last_key;
    while (end < static_cast<int>(rows.size()) && end - r < tile_rows &&
           rows[end].kv == rows[r].kv) {
      first_key = std::min(first_key, rows[end].first_key);
      last_key = std::max(last_key, rows[end].last_key);
      ++end;
    }
    for (int h = 0; h < layout.n_heads; ++h) {
      tiles.push_back({.first_row = r,
                       .n_rows = end - r,
                       .kv_head = h,
                       .first_span = first_key / kSpan,
                       .last_span = (last_key + kSpan - 1) / kSpan});
      n_spans_total += tiles.back().last_span - tiles.back().first_span;
    }
    r = end;
  }

  const auto prepare = [&](const AttentionTile& tile, Scratch& s) {
    const std::int64_t n = tile.n_rows * group;
    Scratch::grow(s.q, n * channels);
    Scratch::grow(s.k, std::int64_t{kKeyBlock} * channels);
    Scratch::grow(s.v, std::int64_t{kKeyBlock} * channels);
    Scratch::grow(s.first, n);
    Scratch::grow(s.last, n);
    const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(group * channels);
    for (int r = 0; r < tile.n_rows; ++r) {
      std::memcpy(s.q.data() + static_cast<std::int64_t>(r) * group * channels,
                  q.row(tile.first_row + r) +
                      static_cast<std::int64_t>(tile.kv_head) * group * channels,
                  bytes);
    }
  };
  const auto attend_span = [&](const AttentionTile& tile, std::int64_t span, Scratch& s,
                               const Softmax& state) {
    const int n = tile.n_rows * group;
    state.clear(n, channels);
    const KvView& kv = *rows[tile.first_row].kv;
    for (std::int64_t b = span * kSpanBlocks; b < (span + 1) * kSpanBlocks; ++b) {
      const std::int64_t start = b * kKeyBlock;
      int first = kKeyBlock;
      int last = 0;
      for (int r = 0; r < tile.n_rows; ++r) {
        const AttentionRow& row = rows[tile.first_row + r];
        const auto clip = [&](std::int64_t key) {
          return static_cast<int>(std::clamp<std::int64_t>(key - start, 0, kKeyBlock));
        };
        for (int g = 0; g < group; ++g) {
          s.first[r * group + g] = clip(row.first_key);
          s.last[r * group + g] = clip(row.last_key);
        }
        if (clip(row.first_key) < clip(row.last_key)) {
          first = std::min(first, clip(row.first_key));
          last = std::max(last, clip(row.last_key));
        }
      }
      if (first >= last) continue;
      load_kv(kernels_, kv, tile.kv_head, b, first, last, s.k.data(), s.v.data());
      kernels_.attend_block({.q = s.q.data(),
                             .k = s.k.data(),
                             .v = s.v.data(),
                             .n_queries = n,
                             .channels = channels,
                             .first = s.first.data(),
                             .last = s.last.data(),
                             .max = state.max,
                             .sum = state.sum,
                             .out = state.out});
    }
  };
  const auto total_of = [&](const AttentionTile& tile, Scratch& s) {
    const std::int64_t n = tile.n_rows * group;
    Scratch::grow(s.max, n);
    Scratch::grow(s.sum, n);
    Scratch::grow(s.out, n * channels);
    const Softmax total{s.max.data(), s.sum.data(), s.out.data()};
    total.clear(static_cast<int>(n), channels);
    return total;
  };
  const auto write = [&](const AttentionTile& tile, const Softmax& total) {
    for (int r = 0; r < tile.n_rows; ++r) {
      float* to = out.row(tile.first_row + r) +
                  static_cast<std::int64_t>(tile.kv_head) * group * channels;
      for (int g = 0; g < group; ++g) {
        const int i = r * group + g;
        const float* from = total.out + static_cast<std::int64_t>(i) * channels;
        const float inverse = 1.0f / total.sum[i];
        std::memcpy(to + g * channels, from, sizeof(float) * static_cast<std::size_t>(channels));
        kernels_.scale(to + g * channels, inverse, channels);
      }
    }
  };

  const auto n_tiles = static_cast<std::int64_t>(tiles.size());
  const bool split_spans = n_tiles < 2 * pool_.n_threads() && n_spans_total > n_tiles;
  if (!split_spans) {
    pool_.parallel_for(n_tiles, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
      Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
      for (std::int64_t i = begin; i < end; ++i) {
        const AttentionTile& tile = tiles[static_cast<std::size_t>(i)];
        const int n = tile.n_rows * group;
        prepare(tile, s);
        Scratch::grow(s.span_max, n);
        Scratch::grow(s.span_sum, n);
        Scratch::grow(s.span_out, static_cast<std::int64_t>(n) * channels);
        const Softmax part{s.span_max.data(), s.span_sum.data(), s.span_out.data()};
        const Softmax total = total_of(tile, s);
        for (std::int64_t span = tile.first_span; span < tile.last_span; ++span) {
          attend_span(tile, span, s, part);
          merge(kernels_, n, channels, part, total);
        }
        write(tile, total);
      }
    });
    return;
  }

  // Few tiles, long contexts: the spans of a tile are computed apart and merged afterwards.
  struct SpanTask {
    std::int64_t tile;
    std::int64_t span;
    std::int64_t offset;  // of its state in partials_
  };
  std::vector<SpanTask> tasks;
  std::int64_t n_floats = 0;
  for (std::int64_t i = 0; i < n_tiles; ++i) {
    const AttentionTile& tile = tiles[static_cast<std::size_t>(i)];
    for (std::int64_t span = tile.first_span; span < tile.last_span; ++span) {
      tasks.push_back({i, span, n_floats});
      n_floats += static_cast<std::int64_t>(tile.n_rows) * group * (channels + 2);
    }
  }
  Scratch::grow(partials_, n_floats);
  const auto part_of = [&](const SpanTask& task) {
    const std::int64_t n = tiles[static_cast<std::size_t>(task.tile)].n_rows * group;
    float* start = partials_.data() + task.offset;
    return Softmax{start, start + n, start + 2 * n};
  };
  pool_.parallel_for(
      static_cast<std::int64_t>(tasks.size()), 1,
      [&](std::int64_t begin, std::int64_t end, int worker) {
        Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
        for (std::int64_t i = begin; i < end; ++i) {
          const SpanTask& task = tasks[static_cast<std::size_t>(i)];
          const AttentionTile& tile = tiles[static_cast<std::size_t>(task.tile)];
          prepare(tile, s);
          attend_span(tile, task.span, s, part_of(task));
        }
      });
  pool_.parallel_for(n_tiles, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
    for (const SpanTask& task : tasks) {
      if (task.tile < begin || task.tile >= end) continue;
      const AttentionTile& tile = tiles[static_cast<std::size_t>(task.tile)];
      if (task.span == tile.first_span) total_of(tile, s);
      const Softmax total{s.max.data(), s.sum.data(), s.out.data()};
      merge(kernels_, tile.n_rows * group, channels, part_of(task), total);
      if (task.span + 1 == tile.last_span) write(tile, total);
    }
  });
}

}  // namespace fourfold
