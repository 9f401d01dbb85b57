// Attention over the K/V cache (text-model.md 3.5, 3.6).
//
// A tile is a few query rows of one sequence times the query heads of one KV head. It visits key
// blocks of 64 that start at absolute positions, in ascending order; spans of 512 keys have a
// softmax of their own and are merged in ascending order, always, so that with few tiles and long
// contexts the spans of one tile can be computed by several threads without another result.
//
// A span is computed in f32, block by block, or in bf16, as a whole; which of them, the type of the
// cache decides (docs/decisions/0011-attention-numbers.md).
#include <algorithm>
#include <cstring>
#include <limits>

#include "base/checked.h"
#include "kernels/ops.h"
#include "kernels/ops_scratch.h"

namespace fourfold {
namespace {

constexpr int kTileQueries = 64;
constexpr std::int64_t kSpanBlocks = kSpan / kKeyBlock;

// bf16 for caches that are no finer, in rows that the kernels can take.
bool attends_in_bf16(const KvLayout& layout) {
  const int unit = layout.folded() ? 64 : 32;
  return (layout.type == KvType::BF16 || layout.type == KvType::Q8_0) &&
         layout.channels % unit == 0 && layout.n_folded_pairs % 32 == 0;
}

// Running softmax of n queries: Σ p·v [n, channels], maxima, sums.
struct Softmax {
  float* out;
  float* max;
  float* sum;

  // Whole cache lines, if they are of 64 bytes.
  static std::int64_t n_floats(int n, int channels) {
    return round_up(std::int64_t{n} * (channels + 2), 16);
  }

  // Starts at `memory`, which holds n_floats.
  static Softmax at(float* memory, int n, int channels) {
    float* max = memory + std::int64_t{n} * channels;
    return {memory, max, max + n};
  }

  static Softmax empty(float* memory, int n, int channels) {
    const Softmax state = at(memory, n, channels);
    std::fill_n(state.max, n, -std::numeric_limits<float>::infinity());
    std::fill_n(state.sum, n, 0.0f);
    std::fill_n(state.out, std::int64_t{n} * channels, 0.0f);
    return state;
  }
};

// total ⊕= part, per query.
void merge(const Kernels& kernels, int n, int channels, const Softmax& part, const Softmax& total) {
  for (int i = 0; i < n; ++i) {
    if (part.sum[i] == 0.0f) continue;  // no key of this span is visible to the query
    float* to = total.out + std::int64_t{i} * channels;
    const float* from = part.out + std::int64_t{i} * channels;
    const float new_max = std::max(total.max[i], part.max[i]);
    float weights[2] = {total.max[i], part.max[i]};
    kernels.exp_sum(weights, 2, new_max);
    total.sum[i] = __builtin_fmaf(part.sum[i], weights[1], total.sum[i] * weights[0]);
    total.max[i] = new_max;
    kernels.scale(to, weights[0], channels);
    kernels.add_scaled(to, from, weights[1], channels);
  }
}

// The keys and values of a sequence count once for all of its rows.
void count_attention(std::span<const AttentionRow> rows, int n_heads, OpTimer& timer) {
  for (std::size_t r = 0; r < rows.size();) {
    const KvView* kv = rows[r].kv;
    const KvLayout& layout = kv->layout;
    std::int64_t first_key = rows[r].first_key;
    std::int64_t last_key = 0;
    std::int64_t n_visible = 0;
    for (; r < rows.size() && rows[r].kv == kv; ++r) {
      first_key = std::min(first_key, rows[r].first_key);
      last_key = std::max(last_key, rows[r].last_key);
      n_visible += rows[r].last_key - rows[r].first_key;
    }
    const std::int64_t channels = std::int64_t{n_heads} * layout.channels;
    timer.count(static_cast<double>((last_key - first_key) * layout.token_bytes()),
                static_cast<double>(2 * n_visible * channels));
  }
}

}  // namespace

// One call of attend: what all tiles share.
struct Ops::Attention {
  const Kernels& kernels;
  std::span<const AttentionRow> rows;
  MatView q;
  MatView out;
  int channels;
  int group;  // query heads of a KV head
  bool in_bf16;

  int n_queries(const AttentionTile& tile) const { return tile.n_rows * group; }

  // The columns of one KV head's query heads in a row of q or out.
  float* head_group(const MatView& m, const AttentionTile& tile, int row) const {
    return m.row(tile.first_row + row) + std::int64_t{tile.kv_head} * group * channels;
  }

  // The tile's query vectors, one behind the other.
  void gather_queries(const AttentionTile& tile, Scratch& s) const {
    const int n = n_queries(tile);
    Scratch::grow(s.first, n);
    Scratch::grow(s.last, n);
    const std::int64_t width = std::int64_t{group} * channels;
    if (in_bf16) {
      std::uint16_t* to = Scratch::room(s.q_bf16, n * std::int64_t{channels});
      for (int r = 0; r < tile.n_rows; ++r) {
        kernels.bf16_for_dots(head_group(q, tile, r), static_cast<int>(width), to + r * width);
      }
      return;
    }
    Scratch::grow(s.q, std::int64_t{n} * channels);
    Scratch::grow(s.k, std::int64_t{kKeyBlock} * channels);
    Scratch::grow(s.v, std::int64_t{kKeyBlock} * channels);
    for (int r = 0; r < tile.n_rows; ++r) {
      std::memcpy(s.q.data() + r * width, head_group(q, tile, r),
                  sizeof(float) * static_cast<std::size_t>(width));
    }
  }

  // Which of n keys, counted from `start` on, each query sees; returns those that any query sees.
  std::pair<int, int> visible_keys(const AttentionTile& tile, std::int64_t start, int n,
                                   Scratch& s) const {
    int first = n;
    int last = 0;
    for (int r = 0; r < tile.n_rows; ++r) {
      const AttentionRow& row = rows[static_cast<std::size_t>(tile.first_row + r)];
      const auto clip = [&](std::int64_t key) {
        return static_cast<int>(std::clamp<std::int64_t>(key - start, 0, n));
      };
      const int row_first = clip(row.first_key);
      const int row_last = clip(row.last_key);
      std::fill_n(s.first.begin() + r * group, group, row_first);
      std::fill_n(s.last.begin() + r * group, group, row_last);
      if (row_first >= row_last) continue;
      first = std::min(first, row_first);
      last = std::max(last, row_last);
    }
    return {first, last};
  }

  void attend_span(const AttentionTile& tile, std::int64_t span, Scratch& s,
                   const Softmax& state) const {
    in_bf16 ? attend_span_bf16(tile, span, s, state) : attend_span_f32(tile, span, s, state);
  }

  void attend_span_bf16(const AttentionTile& tile, std::int64_t span, Scratch& s,
                        const Softmax& state) const {
    const KvView& kv = *rows[static_cast<std::size_t>(tile.first_row)].kv;
    const auto [first, last] = visible_keys(tile, span * kSpan, kSpan, s);
    if (first >= last) return;
    const int n = n_queries(tile);
    const std::uint16_t* queries = Scratch::room(s.q_bf16, std::int64_t{n} * channels);
    float* scores = Scratch::room(s.scores, std::int64_t{n} * kSpan);
    std::uint16_t* weights = Scratch::room(s.weights_bf16, std::int64_t{n} * kSpan);
    Bf16Block block{.k_memory = Scratch::room(s.k_bf16, std::int64_t{kKeyBlock} * channels),
                    .v_memory = Scratch::room(s.v_bf16, std::int64_t{kKeyBlock} * channels)};

    // Calls body(first key of a block, its visible keys) for what any query sees.
    const auto for_blocks = [first = first, last = last](const auto& body) {
      for (int at = first / kKeyBlock * kKeyBlock; at < last; at += kKeyBlock) {
        body(at, std::max(first - at, 0), std::min(last - at, kKeyBlock));
      }
    };
    const std::int64_t first_block = span * kSpanBlocks;
    for_blocks([&](int at, int block_first, int block_last) {
      block.read_keys(kernels, kv, tile.kv_head, first_block + at / kKeyBlock, block_first,
                      block_last);
      ScoreKeys keys{.q = queries,
                     .n_queries = n,
                     .channels = channels,
                     .parts = {},
                     .n_parts = block.n_parts,
                     .first = block_first,
                     .last = block_last,
                     .scores = scores + at,
                     .score_stride = kSpan,
                     .next = nullptr};
      std::copy_n(block.parts, block.n_parts, keys.parts);
      if (at + kKeyBlock < last)
        keys.next = Bf16Block::keys_in_place(kv, tile.kv_head, first_block + at / kKeyBlock + 1);
      kernels.score_keys(keys);
    });
    weigh_scores(n, static_cast<int>(round_up(last, 16)), s, scores, weights, state);
    for_blocks([&](int at, int block_first, int block_last) {
      block.read_values(kernels, kv, tile.kv_head, first_block + at / kKeyBlock, block_first,
                        block_last);
      const std::uint16_t* next =
          at + kKeyBlock < last
              ? Bf16Block::values_in_place(kv, tile.kv_head, first_block + at / kKeyBlock + 1)
              : nullptr;
      kernels.weigh_values({.weights = weights + at,
                            .weight_stride = kSpan,
                            .n_queries = n,
                            .channels = channels,
                            .v = block.v,
                            .first = block_first,
                            .last = block_last,
                            .out = state.out,
                            .next = next});
    });
  }

  // The softmax of a span; a query that sees none of its keys has only zero weights.
  void weigh_scores(int n, int n_keys, const Scratch& s, float* scores, std::uint16_t* weights,
                    const Softmax& state) const {
    for (int i = 0; i < n; ++i) {
      const int first = s.first[static_cast<std::size_t>(i)];
      const int last = s.last[static_cast<std::size_t>(i)];
      if (first >= last) {
        std::fill_n(weights + std::int64_t{i} * kSpan, n_keys, std::uint16_t{0});
        continue;
      }
      kernels.softmax_span({.scores = scores + std::int64_t{i} * kSpan,
                            .first = first,
                            .last = last,
                            .n_keys = n_keys,
                            .weights = weights + std::int64_t{i} * kSpan,
                            .max = state.max + i,
                            .sum = state.sum + i});
    }
  }

  void attend_span_f32(const AttentionTile& tile, std::int64_t span, Scratch& s,
                       const Softmax& state) const {
    const KvView& kv = *rows[static_cast<std::size_t>(tile.first_row)].kv;
    for (std::int64_t b = span * kSpanBlocks; b < (span + 1) * kSpanBlocks; ++b) {
      const auto [first, last] = visible_keys(tile, b * kKeyBlock, kKeyBlock, s);
      if (first >= last) continue;
      load_kv(kernels, kv, tile.kv_head, b, first, last, s.k.data(), s.v.data());
      kernels.attend_block({.q = s.q.data(),
                            .k = s.k.data(),
                            .v = s.v.data(),
                            .n_queries = n_queries(tile),
                            .channels = channels,
                            .first = s.first.data(),
                            .last = s.last.data(),
                            .max = state.max,
                            .sum = state.sum,
                            .out = state.out});
    }
  }

  void write(const AttentionTile& tile, const Softmax& total) const {
    const std::int64_t width = std::int64_t{group} * channels;
    for (int r = 0; r < tile.n_rows; ++r) {
      float* to = head_group(out, tile, r);
      std::memcpy(to, total.out + r * width, sizeof(float) * static_cast<std::size_t>(width));
      for (int g = 0; g < group; ++g) {
        kernels.scale(to + std::int64_t{g} * channels, 1.0f / total.sum[r * group + g], channels);
      }
    }
  }
};

void Ops::list_tiles(std::span<const AttentionRow> rows, int group) {
  const int tile_rows = std::max(1, kTileQueries / group);
  const int n_rows = static_cast<int>(rows.size());
  tiles_.clear();
  for (int r = 0; r < n_rows;) {
    const AttentionRow& head = rows[static_cast<std::size_t>(r)];
    AttentionTile tile{.first_row = r};
    std::int64_t first_key = head.first_key;
    std::int64_t last_key = head.last_key;
    while (r < n_rows && tile.n_rows < tile_rows &&
           rows[static_cast<std::size_t>(r)].kv == head.kv) {
      first_key = std::min(first_key, rows[static_cast<std::size_t>(r)].first_key);
      last_key = std::max(last_key, rows[static_cast<std::size_t>(r)].last_key);
      ++tile.n_rows;
      ++r;
    }
    tile.first_span = first_key / kSpan;
    tile.last_span = (last_key + kSpan - 1) / kSpan;
    for (; tile.kv_head < head.kv->layout.n_heads; ++tile.kv_head) tiles_.push_back(tile);
  }
}

void Ops::attend(std::span<const AttentionRow> rows, MatView q, int n_heads, MatView out) {
  if (rows.empty()) return;
  OpTimer timer(times_, OpKind::Attend);
  if (timer.counts()) count_attention(rows, n_heads, timer);
  const KvLayout& layout = rows[0].kv->layout;
  const Attention attention{.kernels = kernels_,
                            .rows = rows,
                            .q = q,
                            .out = out,
                            .channels = layout.channels,
                            .group = n_heads / layout.n_heads,
                            .in_bf16 = !exact_ && attends_in_bf16(layout)};
  list_tiles(rows, attention.group);
  std::int64_t n_spans = 0;
  for (const AttentionTile& tile : tiles_) n_spans += tile.last_span - tile.first_span;
  const auto n_tiles = static_cast<std::int64_t>(tiles_.size());
  if (n_tiles < 2 * pool_.n_threads() && n_spans > n_tiles) {
    attend_spans_apart(attention);
  } else {
    attend_tiles(attention);
  }
}

// A thread takes whole tiles.
void Ops::attend_tiles(const Attention& attention) {
  const auto n_tiles = static_cast<std::int64_t>(tiles_.size());
  pool_.parallel_for(n_tiles, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
    for (std::int64_t i = begin; i < end; ++i) {
      const AttentionTile& tile = tiles_[static_cast<std::size_t>(i)];
      const int n = attention.n_queries(tile);
      const int channels = attention.channels;
      attention.gather_queries(tile, s);
      float* part_memory = Scratch::room(s.part, Softmax::n_floats(n, channels));
      float* total_memory = Scratch::room(s.total, Softmax::n_floats(n, channels));
      const Softmax total = Softmax::empty(total_memory, n, channels);
      for (std::int64_t span = tile.first_span; span < tile.last_span; ++span) {
        const Softmax part = Softmax::empty(part_memory, n, channels);
        attention.attend_span(tile, span, s, part);
        merge(kernels_, n, channels, part, total);
      }
      attention.write(tile, total);
    }
  });
}

// Few tiles, long contexts: a thread takes spans; those of a tile are merged afterwards.
void Ops::attend_spans_apart(const Attention& attention) {
  const int channels = attention.channels;
  span_tasks_.clear();
  std::int64_t n_floats = 0;
  for (std::size_t i = 0; i < tiles_.size(); ++i) {
    const int n = attention.n_queries(tiles_[i]);
    for (std::int64_t span = tiles_[i].first_span; span < tiles_[i].last_span; ++span) {
      span_tasks_.push_back({i, span, n_floats});
      n_floats += Softmax::n_floats(n, channels);
    }
  }
  float* partials = Scratch::room(partials_, n_floats);
  const auto n_tasks = static_cast<std::int64_t>(span_tasks_.size());
  pool_.parallel_for(n_tasks, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
    for (std::int64_t i = begin; i < end; ++i) {
      const SpanTask& task = span_tasks_[static_cast<std::size_t>(i)];
      const AttentionTile& tile = tiles_[task.tile];
      attention.gather_queries(tile, s);
      const Softmax part =
          Softmax::empty(partials + task.offset, attention.n_queries(tile), channels);
      attention.attend_span(tile, task.span, s, part);
    }
  });
  Scratch& s = *scratch_[0];
  for (const SpanTask& task : span_tasks_) {  // ascending within each tile
    const AttentionTile& tile = tiles_[task.tile];
    const int n = attention.n_queries(tile);
    float* memory = Scratch::room(s.total, Softmax::n_floats(n, channels));
    const bool is_first = task.span == tile.first_span;
    const Softmax total =
        is_first ? Softmax::empty(memory, n, channels) : Softmax::at(memory, n, channels);
    merge(kernels_, n, channels, Softmax::at(partials + task.offset, n, channels), total);
    if (task.span + 1 == tile.last_span) attention.write(tile, total);
  }
}

}  // namespace fourfold
