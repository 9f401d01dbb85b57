#include "model/text/decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "tensor/blocks.h"

namespace fourfold {

// A row that is still running.
struct Decoder::Row {
  int segment = 0;
  int index = 0;  // in its segment
  std::int64_t position = 0;
  std::int64_t block_end = 0;  // end of its visual block; 0 = none
  std::int32_t id = 0;         // for the embedding tables
  bool wanted = false;
};

// A row and one of its experts.
struct Decoder::RoutedRow {
  std::int32_t expert = 0;
  std::int64_t row = 0;
  float weight = 0.0f;
};

struct Decoder::Scratch {
  std::vector<Row> rows;
  std::vector<float> x;          // [T, D] the residual stream
  std::vector<float> input;      // [T, D] layer 0 input of rows that run past the owning layers
  std::vector<float> normed;     // [T, D]
  std::vector<float> attn;       // [T, D]
  std::vector<float> mlp;        // [T, D]
  std::vector<float> q, heads;   // [T, H·C]
  std::vector<float> k, v;       // [T, K·C]
  std::vector<float> gate, up;   // [T, F]
  std::vector<float> per_layer;  // [T, layers·P]
  std::vector<float> projected;  // [T, layers·P]
  std::vector<float> per_layer_gate;  // [T, P]
  std::vector<float> cos[2], sin[2];  // [T, pairs] of global and sliding layers
  std::vector<std::byte> table_row;
  std::vector<float> table_values;
  std::vector<std::int64_t> kept;  // rows that run on
  std::vector<AttentionRow> attention_rows;
  Activations normed_q, heads_q, hidden_q, x_q, gate_q, expert_q, expert_hidden_q;

  // Experts.
  std::vector<float> router, dense;           // [T, E], [T, D]
  std::vector<float> expert_in;               // [T, D]
  std::vector<std::int32_t> chosen;           // [T, used]
  std::vector<float> chosen_weight;           // [T, used]
  std::vector<std::size_t> expert_starts;     // [E + 1]
  std::vector<RoutedRow> routed;              // [T · used]
  std::vector<float> gathered, expert_out;    // [n, D] for n routed rows
  std::vector<float> expert_gate, expert_up;  // [n, F]
  std::vector<Product> expert_products, expert_down;

  // Layers whose per-layer inputs are at hand, and the row in `per_layer` of each running row.
  int per_layer_first = 0;
  int per_layer_last = 0;
  std::vector<int> per_layer_row;

  static MatView view(std::vector<float>& buffer, std::int64_t n_rows, std::int64_t n_cols) {
    const auto n = static_cast<std::size_t>(n_rows * n_cols);
    if (buffer.size() < n) buffer.resize(n);
    return {buffer.data(), n_rows, n_cols, n_cols};
  }
};

Decoder::Decoder(std::shared_ptr<const TextModel> model, Ops& ops, DecoderOptions options)
    : model_(std::move(model)),
      config_(model_->config()),
      w_(model_->weights()),
      ops_(ops),
      options_(options),
      s_(std::make_unique<Scratch>()) {}

Decoder::~Decoder() = default;

Result<MatView> Decoder::forward(std::span<const BatchSegment> segments, const Tap* tap_function) {
  tap_ = tap_function;
  list_rows(segments);
  TRY(embed(segments));
  const auto n_rows = static_cast<std::int64_t>(s_->rows.size());
  tap("input", -1, Scratch::view(s_->x, n_rows, config_.width));

  // Rows whose hidden state nobody wants end with the last layer that owns K/V: what follows
  // writes no cache and nothing else reads it (text-model.md 2.1).
  const int last_owner = config_.first_shared_layer() - 1;
  if (config_.per_layer_width > 0) {
    TRY(per_layer_inputs(Scratch::view(s_->x, n_rows, config_.width), 0, last_owner + 1));
  }
  for (int layer = 0; layer < config_.n_layers; ++layer) {
    if (layer == last_owner + 1 && config_.per_layer_width > 0 && !s_->rows.empty()) {
      const auto n = static_cast<std::int64_t>(s_->rows.size());
      TRY(per_layer_inputs(Scratch::view(s_->input, n, config_.width), layer, config_.n_layers));
    }
    run_layer(layer, segments);
    if (s_->rows.empty()) break;
  }

  const auto n_wanted = static_cast<std::int64_t>(s_->rows.size());
  const MatView x = Scratch::view(s_->x, n_wanted, config_.width);
  const MatView hidden = Scratch::view(s_->normed, n_wanted, config_.width);
  ops_.rms_norm(x, w_.final_norm, config_.rms_eps, hidden);
  tap("final_norm", -1, hidden);
  return hidden;
}

void Decoder::logits(MatView hidden, MatView out) {
  s_->hidden_q.set(hidden);
  ops_.matmul(w_.head, s_->hidden_q, out);
  if (config_.logit_softcap) ops_.softcap(out, *config_.logit_softcap);
}

void Decoder::list_rows(std::span<const BatchSegment> segments) {
  s_->rows.clear();
  for (int i = 0; i < static_cast<int>(segments.size()); ++i) {
    const BatchSegment& segment = segments[static_cast<std::size_t>(i)];
    const int n = static_cast<int>(segment.ids.size());
    std::size_t next_wanted = 0;
    for (int r = 0; r < n; ++r) {
      Row row{.segment = i, .index = r, .position = segment.position + r};
      row.id = segment.ids[static_cast<std::size_t>(r)];
      if (next_wanted < segment.wanted.size() && segment.wanted[next_wanted] == r) {
        row.wanted = true;
        ++next_wanted;
      }
      if (!segment.blocks.empty() && segment.blocks[static_cast<std::size_t>(r)] >= 0) {
        int end = r + 1;
        while (end < n && segment.blocks[static_cast<std::size_t>(end)] ==
                              segment.blocks[static_cast<std::size_t>(r)]) {
          ++end;
        }
        row.block_end = segment.position + end;
      }
      s_->rows.push_back(row);
    }
  }
}

Status Decoder::embed(std::span<const BatchSegment> segments) {
  const std::int64_t D = config_.width;
  float scale = std::sqrt(static_cast<float>(D));
  if (options_.bf16_embedding_scale) scale = bf16_to_f32(f32_to_bf16(scale));
  for (Row& row : s_->rows) {
    if (row.id < 0 || row.id >= config_.vocab_size) {
      return invalid_argument("token {} at position {}: outside the vocabulary of {} ids", row.id,
                              row.position, config_.vocab_size);
    }
    // A placeholder without a picture or sound of its own is looked up as the pad id.
    if (row.id == config_.image_token_id || row.id == config_.audio_token_id ||
        row.id == config_.video_token_id) {
      row.id = 0;
    }
  }
  const MatView x = Scratch::view(s_->x, static_cast<std::int64_t>(s_->rows.size()), D);
  ops_.for_rows(x.n_rows, [&](std::int64_t r) {
    const Row& row = s_->rows[static_cast<std::size_t>(r)];
    dequantize(w_.embedding.dtype, w_.embedding.row(row.id), D, x.row(r));
    ops_.kernels().scale(x.row(r), scale * w_.embedding.scale, static_cast<int>(D));
  });
  std::int64_t first = 0;
  for (const BatchSegment& segment : segments) {
    for (std::size_t e = 0; e < segment.embed_rows.size(); ++e) {
      std::memcpy(x.row(first + segment.embed_rows[e]),
                  segment.embeds + static_cast<std::int64_t>(e) * D,
                  sizeof(float) * static_cast<std::size_t>(D));
    }
    first += static_cast<std::int64_t>(segment.ids.size());
  }
  for (const bool sliding : {false, true}) {
    const Rope& rope = model_->rope(sliding);
    const MatView cos = Scratch::view(s_->cos[sliding], x.n_rows, rope.n_pairs());
    const MatView sin = Scratch::view(s_->sin[sliding], x.n_rows, rope.n_pairs());
    ops_.for_rows(x.n_rows, [&](std::int64_t r) {
      rope.angles(s_->rows[static_cast<std::size_t>(r)].position, cos.row(r), sin.row(r));
    });
  }
  return {};
}

// The rows of the per-layer table, columns [first_layer·P, last_layer·P), times sqrt(P). They are
// copied from the file and not read through the mapping, so that the table never becomes resident.
Status Decoder::read_per_layer_rows(int first_layer, int last_layer, MatView out) {
  const TensorInfo& table = *w_.per_layer_embedding;
  const int P = config_.per_layer_width;
  const int block = traits(table.dtype).block;
  const std::int64_t row_values = std::int64_t{config_.n_layers} * P;
  std::int64_t first = std::int64_t{first_layer} * P;
  std::int64_t n = std::int64_t{last_layer - first_layer} * P;
  const bool whole_blocks = first % block == 0 && n % block == 0;
  const std::int64_t skip = whole_blocks ? 0 : first;
  if (!whole_blocks) {
    first = 0;
    n = row_values;
  }
  const auto n_bytes = static_cast<std::size_t>(size_bytes(table.dtype, n));
  s_->table_row.resize(n_bytes);
  s_->table_values.resize(static_cast<std::size_t>(n));
  float* row = s_->table_values.data();
  const float scale = std::sqrt(static_cast<float>(P));
  for (std::int64_t r = 0; r < out.n_rows; ++r) {
    const auto id = static_cast<std::uint64_t>(s_->rows[static_cast<std::size_t>(r)].id);
    const auto offset = table.offset +
                        id * static_cast<std::uint64_t>(size_bytes(table.dtype, row_values)) +
                        static_cast<std::uint64_t>(size_bytes(table.dtype, first));
    TRY(table.file->read_at(offset, s_->table_row));
    dequantize(table.dtype, s_->table_row.data(), n, row);
    std::memcpy(out.row(r), row + skip, sizeof(float) * static_cast<std::size_t>(out.n_cols));
    ops_.kernels().scale(out.row(r), scale, static_cast<int>(out.n_cols));
  }
  return {};
}

// ple[i] = (rms(M·x / sqrt(D)) + table row · sqrt(P)) / sqrt(2), for the layers
// [first_layer, last_layer). x is the layer 0 input (text-model.md 3.3).
Status Decoder::per_layer_inputs(MatView x, int first_layer, int last_layer) {
  const int P = config_.per_layer_width;
  const std::int64_t n_cols = std::int64_t{last_layer - first_layer} * P;
  const MatView out = Scratch::view(s_->per_layer, x.n_rows, n_cols);
  const MatView projected = Scratch::view(s_->projected, x.n_rows, n_cols);
  TRY(read_per_layer_rows(first_layer, last_layer, out));
  s_->x_q.set(x);
  ops_.matmul(w_.per_layer_model_projection.rows(std::int64_t{first_layer} * P, n_cols), s_->x_q,
              projected);
  const float scale = 1.0f / std::sqrt(static_cast<float>(config_.width));
  constexpr float kInverseSqrt2 = 0.70710678f;
  ops_.for_rows(x.n_rows, [&](std::int64_t r) {
    const Kernels& kernels = ops_.kernels();
    kernels.scale(projected.row(r), scale, static_cast<int>(n_cols));
    for (std::int64_t c = 0; c < n_cols; c += P) {
      float* part = projected.row(r) + c;
      kernels.rms_norm(part, w_.per_layer_projection_norm, P, config_.rms_eps, part);
    }
    kernels.add(out.row(r), projected.row(r), static_cast<int>(n_cols));
    kernels.scale(out.row(r), kInverseSqrt2, static_cast<int>(n_cols));
  });
  s_->per_layer_first = first_layer;
  s_->per_layer_last = last_layer;
  s_->per_layer_row.resize(static_cast<std::size_t>(x.n_rows));
  for (std::size_t r = 0; r < s_->per_layer_row.size(); ++r) {
    s_->per_layer_row[r] = static_cast<int>(r);
  }
  return {};
}

// Drops the rows that nobody wants from everything that later layers read.
void Decoder::keep_wanted_rows() {
  const auto n_rows = static_cast<std::int64_t>(s_->rows.size());
  std::vector<std::int64_t>& kept = s_->kept;
  kept.clear();
  for (std::int64_t r = 0; r < n_rows; ++r) {
    if (s_->rows[static_cast<std::size_t>(r)].wanted) kept.push_back(r);
  }
  const auto keep = [&](std::vector<float>& buffer, std::int64_t n_cols) {
    const MatView m = Scratch::view(buffer, n_rows, n_cols);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      std::memmove(m.row(static_cast<std::int64_t>(i)), m.row(kept[i]),
                   sizeof(float) * static_cast<std::size_t>(n_cols));
    }
  };
  keep(s_->x, config_.width);
  keep(s_->normed, config_.width);
  for (const bool sliding : {false, true}) {
    const int n_pairs = model_->rope(sliding).n_pairs();
    keep(s_->cos[sliding], n_pairs);
    keep(s_->sin[sliding], n_pairs);
  }
  if (config_.per_layer_width > 0) keep(s_->input, config_.width);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    s_->rows[i] = s_->rows[static_cast<std::size_t>(kept[i])];
    if (config_.per_layer_width > 0) {
      s_->per_layer_row[i] = s_->per_layer_row[static_cast<std::size_t>(kept[i])];
    }
  }
  s_->rows.resize(kept.size());
}

void Decoder::run_layer(int layer, std::span<const BatchSegment> segments) {
  const LayerWeights& w = w_.layers[static_cast<std::size_t>(layer)];
  const LayerConfig& c = config_.layers[static_cast<std::size_t>(layer)];
  const float eps = config_.rms_eps;
  const std::int64_t D = config_.width;
  auto n_rows = static_cast<std::int64_t>(s_->rows.size());
  if (layer == 0 && config_.per_layer_width > 0) {
    const MatView input = Scratch::view(s_->input, n_rows, D);
    std::memcpy(input.data, s_->x.data(), sizeof(float) * static_cast<std::size_t>(n_rows * D));
  }

  ops_.rms_norm(Scratch::view(s_->x, n_rows, D), w.pre_attn_norm, eps,
                Scratch::view(s_->normed, n_rows, D));
  if (c.kv_source == layer) store_keys_and_values(layer, segments);
  if (layer == config_.first_shared_layer() - 1) {
    keep_wanted_rows();
    n_rows = static_cast<std::int64_t>(s_->rows.size());
    if (n_rows == 0) return;
  }

  const MatView x = Scratch::view(s_->x, n_rows, D);
  const MatView attn = Scratch::view(s_->attn, n_rows, D);
  attention(layer, segments);
  tap("attn", layer, attn);
  ops_.rms_norm(attn, w.post_attn_norm, eps, attn);
  ops_.add(x, attn);

  const MatView normed = Scratch::view(s_->normed, n_rows, D);
  const MatView mlp = Scratch::view(s_->mlp, n_rows, D);
  ops_.rms_norm(x, w.pre_mlp_norm, eps, normed);
  dense_mlp(w, normed, mlp);
  if (config_.n_experts > 0) experts(layer, x);
  tap("ffn", layer, mlp);
  ops_.rms_norm(mlp, w.post_mlp_norm, eps, mlp);
  ops_.add(x, mlp);

  if (config_.per_layer_width > 0) mix_per_layer_input(layer);
  if (w.layer_scale) ops_.scale(x, *w.layer_scale);
  tap("layer", layer, x);
}

// The last layer that owns K/V drops rows between its keys and its queries.
bool Decoder::queries_beside_keys(int layer) const {
  return config_.layers[static_cast<std::size_t>(layer)].kv_source == layer &&
         layer != config_.first_shared_layer() - 1;
}

// K = rope(rms(Wk·h) ⊙ w_k), V = rms(Wv·h) without weight (Gemma 4); both go to the cache.
void Decoder::store_keys_and_values(int layer, std::span<const BatchSegment> segments) {
  const LayerWeights& w = w_.layers[static_cast<std::size_t>(layer)];
  const LayerConfig& c = config_.layers[static_cast<std::size_t>(layer)];
  const auto n_rows = static_cast<std::int64_t>(s_->rows.size());
  const std::int64_t width = std::int64_t{c.n_kv_heads} * c.head_dim;
  const MatView k = Scratch::view(s_->k, n_rows, width);
  const MatView v = Scratch::view(s_->v, n_rows, width);
  Product products[3] = {{&w.k, k}};
  int n_products = 1;
  if (!c.k_eq_v) products[n_products++] = {&w.v, v};
  if (queries_beside_keys(layer)) {
    products[n_products++] = {&w.q, Scratch::view(s_->q, n_rows, w.q.n_rows)};
  }
  s_->normed_q.set(Scratch::view(s_->normed, n_rows, config_.width));
  ops_.matmul_group(std::span(products, static_cast<std::size_t>(n_products)), s_->normed_q);

  const Rope& rope = model_->rope(c.sliding);
  const MatView cos = Scratch::view(s_->cos[c.sliding], n_rows, rope.n_pairs());
  const MatView sin = Scratch::view(s_->sin[c.sliding], n_rows, rope.n_pairs());
  ops_.for_rows(n_rows, [&](std::int64_t r) {
    const Kernels& kernels = ops_.kernels();
    if (c.k_eq_v) std::memcpy(v.row(r), k.row(r), sizeof(float) * static_cast<std::size_t>(width));
    for (std::int64_t h = 0; h < width; h += c.head_dim) {
      float* key = k.row(r) + h;
      float* value = v.row(r) + h;
      kernels.rms_norm(key, w.k_norm, c.head_dim, config_.rms_eps, key);
      kernels.rope(key, cos.row(r), sin.row(r), rope.n_pairs(), rope.distance());
      if (config_.value_norm) {
        kernels.rms_norm(value, nullptr, c.head_dim, config_.rms_eps, value);
      }
    }
    const Row& row = s_->rows[static_cast<std::size_t>(r)];
    const BatchSegment& segment = segments[static_cast<std::size_t>(row.segment)];
    store_kv(kernels, segment.kv[static_cast<std::size_t>(layer)], row.position, k.row(r),
             v.row(r));
  });
}

void Decoder::attention(int layer, std::span<const BatchSegment> segments) {
  const LayerWeights& w = w_.layers[static_cast<std::size_t>(layer)];
  const LayerConfig& c = config_.layers[static_cast<std::size_t>(layer)];
  const auto source = static_cast<std::size_t>(c.kv_source);
  const auto n_rows = static_cast<std::int64_t>(s_->rows.size());
  const std::int64_t width = std::int64_t{config_.n_heads} * c.head_dim;
  const MatView q = Scratch::view(s_->q, n_rows, width);
  const MatView heads = Scratch::view(s_->heads, n_rows, width);
  if (!queries_beside_keys(layer)) {
    s_->normed_q.set(Scratch::view(s_->normed, n_rows, config_.width));
    ops_.matmul(w.q, s_->normed_q, q);
  }

  const Rope& rope = model_->rope(c.sliding);
  const MatView cos = Scratch::view(s_->cos[c.sliding], n_rows, rope.n_pairs());
  const MatView sin = Scratch::view(s_->sin[c.sliding], n_rows, rope.n_pairs());
  Vector k_norm = w_.layers[source].k_norm;
  ops_.for_rows(n_rows, [&](std::int64_t r) {
    const Kernels& kernels = ops_.kernels();
    const BatchSegment& segment =
        segments[static_cast<std::size_t>(s_->rows[static_cast<std::size_t>(r)].segment)];
    const bool folded = segment.kv[source].layout.folded();
    for (std::int64_t h = 0; h < width; h += c.head_dim) {
      float* head = q.row(r) + h;
      kernels.rms_norm(head, w.q_norm, c.head_dim, config_.rms_eps, head);
      kernels.rope(head, cos.row(r), sin.row(r), rope.n_pairs(), rope.distance());
      if (config_.attention_scale != 1.0f) {
        kernels.scale(head, config_.attention_scale, c.head_dim);
      }
      if (folded) {  // the cache holds V ⊙ 1 where K would be V ⊙ k_norm
        const int still = rope.distance() - rope.n_pairs();
        for (const int start : {rope.n_pairs(), rope.distance() + rope.n_pairs()}) {
          kernels.multiply(head + start, k_norm + start, still, head + start);
        }
      }
    }
  });

  s_->attention_rows.clear();
  for (const Row& row : s_->rows) {
    AttentionRow visible{.kv = &segments[static_cast<std::size_t>(row.segment)].kv[source],
                         .first_key = 0,
                         .last_key = row.position + 1};
    if (c.sliding) {
      const std::int64_t window = config_.sliding_window;
      visible.first_key = std::max<std::int64_t>(0, row.position - window + 1);
      if (config_.bidirectional_vision && row.block_end > visible.last_key) {
        visible.last_key = options_.open_future_window
                               ? row.block_end
                               : std::min(row.block_end, row.position + window);
      }
    }
    s_->attention_rows.push_back(visible);
  }
  ops_.attend(s_->attention_rows, q, config_.n_heads, heads);
  s_->heads_q.set(heads);
  ops_.matmul(w.o, s_->heads_q, Scratch::view(s_->attn, n_rows, config_.width));
}

// out = Wdown·(gelu(Wgate·in) ⊙ (Wup·in)).
void Decoder::dense_mlp(const LayerWeights& w, MatView in, MatView out) {
  s_->normed_q.set(in);
  const GatedProduct product = {.gate = &w.gate, .up = &w.up, .fine = w.down.fine};
  if (ops_.gates_integers(product) && traits(w.down.dtype).quantised()) {
    ops_.gated_matmul(product, s_->normed_q, s_->gate_q);
  } else {
    const MatView gate = Scratch::view(s_->gate, in.n_rows, w.gate.n_rows);
    const MatView up = Scratch::view(s_->up, in.n_rows, w.gate.n_rows);
    ops_.matmul_group({{&w.gate, gate}, {&w.up, up}}, s_->normed_q);
    ops_.gelu_multiply(gate, up, gate);
    s_->gate_q.set(gate);
  }
  ops_.matmul(w.down, s_->gate_q, out);
}

// mlp = rms(mlp) + rms(Σ_e w_e·expert_e(rms(x))), text-model.md 3.7. x is the un-normed residual.
void Decoder::experts(int layer, MatView x) {
  const LayerWeights& w = w_.layers[static_cast<std::size_t>(layer)];
  const float eps = config_.rms_eps;
  const std::int64_t D = config_.width;
  const std::int64_t T = x.n_rows;
  const int E = config_.n_experts;
  const int used = config_.n_experts_used;
  const MatView mlp = Scratch::view(s_->mlp, T, D);
  ops_.rms_norm(mlp, w.post_dense_norm, eps, mlp);

  const MatView normed = Scratch::view(s_->normed, T, D);
  const MatView router = Scratch::view(s_->router, T, E);
  ops_.rms_norm(x, w.router_scale, eps, normed);
  ops_.scale(normed, 1.0f / std::sqrt(static_cast<float>(D)));
  s_->normed_q.set(normed);
  ops_.matmul(w.router, s_->normed_q, router);

  choose_experts(w, router);
  if (tap_) {
    std::vector<float> ids(s_->chosen.begin(), s_->chosen.end());
    tap("router.experts", layer, {ids.data(), T, used, used});
    tap("router.weights", layer, Scratch::view(s_->chosen_weight, T, used));
  }
  list_routed_rows(T);

  const MatView in = Scratch::view(s_->expert_in, T, D);
  const MatView out = Scratch::view(s_->dense, T, D);
  ops_.rms_norm(x, w.pre_expert_norm, eps, in);
  std::fill_n(out.data, T * D, 0.0f);
  const std::span<const RoutedRow> routed = s_->routed;
  for (std::size_t first = 0; first < routed.size();) {
    const std::size_t n = rows_of_next_experts(routed.subspan(first));
    add_experts(w, routed.subspan(first, n), in, out);
    first += n;
  }
  ops_.rms_norm(out, w.post_expert_norm, eps, out);
  ops_.add(mlp, out);
}

// The experts of each row, the largest first, ties to the lower one; their weights sum to one
// before each is scaled.
void Decoder::choose_experts(const LayerWeights& w, MatView router) {
  const int E = config_.n_experts;
  const int used = config_.n_experts_used;
  s_->chosen.resize(static_cast<std::size_t>(router.n_rows * used));
  const MatView weights = Scratch::view(s_->chosen_weight, router.n_rows, used);
  ops_.for_rows(router.n_rows, [&](std::int64_t t) {
    const Kernels& kernels = ops_.kernels();
    float* p = router.row(t);
    const float sum = kernels.exp_sum(p, E, *std::max_element(p, p + E));
    kernels.scale(p, 1.0f / sum, E);
    std::int32_t* chosen = s_->chosen.data() + t * used;
    float chosen_sum = 0.0f;
    for (int i = 0; i < used; ++i) {
      chosen[i] = -1;
      for (int e = 0; e < E; ++e) {
        const bool taken = std::find(chosen, chosen + i, e) != chosen + i;
        if (!taken && (chosen[i] < 0 || p[e] > p[chosen[i]])) chosen[i] = e;
      }
      chosen_sum += p[chosen[i]];
    }
    for (int i = 0; i < used; ++i) {
      weights.row(t)[i] = p[chosen[i]] / chosen_sum * w.expert_scale[chosen[i]];
    }
  });
}

// Every row once for each of its experts, by expert, so that a row adds its outputs in ascending
// expert number.
void Decoder::list_routed_rows(std::int64_t n_rows) {
  const int used = config_.n_experts_used;
  std::vector<std::size_t>& next = s_->expert_starts;
  next.assign(static_cast<std::size_t>(config_.n_experts) + 1, 0);
  for (const std::int32_t e : s_->chosen) ++next[static_cast<std::size_t>(e) + 1];
  for (std::size_t e = 1; e < next.size(); ++e) next[e] += next[e - 1];
  s_->routed.resize(s_->chosen.size());
  for (std::int64_t t = 0; t < n_rows; ++t) {
    for (int i = 0; i < used; ++i) {
      const auto at = static_cast<std::size_t>(t * used + i);
      const std::int32_t e = s_->chosen[at];
      s_->routed[next[static_cast<std::size_t>(e)]++] = {e, t, s_->chosen_weight[at]};
    }
  }
}

// So many of the first routed rows as are all those of some experts: of several, that their
// products may share a phase of the threads, while the rows stay in the cache.
std::size_t Decoder::rows_of_next_experts(std::span<const RoutedRow> routed) {
  constexpr std::size_t kEnough = 128;
  std::size_t n = 0;
  while (n < routed.size() && n < kEnough) {
    const std::int32_t expert = routed[n].expert;
    while (n < routed.size() && routed[n].expert == expert) ++n;
  }
  return n;
}

// out[row] += weight · expert(in[row]) for the rows of some experts.
void Decoder::add_experts(const LayerWeights& w, std::span<const RoutedRow> routed, MatView in,
                          MatView out) {
  const auto n = static_cast<std::int64_t>(routed.size());
  const std::int64_t D = config_.width;
  const std::int64_t F = w.experts.front().gate.n_rows;
  const MatView gate = Scratch::view(s_->expert_gate, n, F);
  const MatView up = Scratch::view(s_->expert_up, n, F);
  const MatView result = Scratch::view(s_->expert_out, n, D);
  const bool one_row = in.n_rows == 1;  // for all experts
  if (one_row) {
    s_->expert_q.set(in);
  } else {
    const MatView gathered = Scratch::view(s_->gathered, n, D);
    ops_.for_rows(n, [&](std::int64_t r) {
      std::memcpy(gathered.row(r), in.row(routed[static_cast<std::size_t>(r)].row),
                  sizeof(float) * static_cast<std::size_t>(D));
    });
    s_->expert_q.set(gathered);
  }

  std::vector<Product>& inner = s_->expert_products;
  std::vector<Product>& outer = s_->expert_down;
  inner.clear();
  outer.clear();
  for (std::int64_t r = 0; r < n;) {
    const std::int32_t number = routed[static_cast<std::size_t>(r)].expert;
    const std::int64_t first = r;
    while (r < n && routed[static_cast<std::size_t>(r)].expert == number) ++r;
    const ExpertWeights& expert = w.experts[static_cast<std::size_t>(number)];
    const std::int64_t in_row = one_row ? 0 : first;
    inner.push_back({&expert.gate, gate.rows(first, r - first), in_row});
    inner.push_back({&expert.up, up.rows(first, r - first), in_row});
    outer.push_back({&expert.down, result.rows(first, r - first), first});
  }
  ops_.matmul_group(inner, s_->expert_q);
  ops_.gelu_multiply(gate, up, gate);
  s_->expert_hidden_q.set(gate);
  ops_.matmul_group(outer, s_->expert_hidden_q);

  // By columns: a row may be that of several experts.
  constexpr std::int64_t kColumns = 256;
  ops_.for_rows((D + kColumns - 1) / kColumns, [&](std::int64_t part) {
    const std::int64_t column = part * kColumns;
    const int n_columns = static_cast<int>(std::min(kColumns, D - column));
    for (std::int64_t r = 0; r < n; ++r) {
      const RoutedRow& routed_row = routed[static_cast<std::size_t>(r)];
      ops_.kernels().add_scaled(out.row(routed_row.row) + column, result.row(r) + column,
                                routed_row.weight, n_columns);
    }
  });
}

// x += rms(U·(gelu(G·x) ⊙ ple)), text-model.md 3.4.
void Decoder::mix_per_layer_input(int layer) {
  const LayerWeights& w = w_.layers[static_cast<std::size_t>(layer)];
  const int P = config_.per_layer_width;
  const auto n_rows = static_cast<std::int64_t>(s_->rows.size());
  const MatView x = Scratch::view(s_->x, n_rows, config_.width);
  const MatView gate = Scratch::view(s_->per_layer_gate, n_rows, P);
  const MatView out = Scratch::view(s_->attn, n_rows, config_.width);
  s_->x_q.set(x);
  ops_.matmul(w.per_layer_gate, s_->x_q, gate);
  const std::int64_t stride = std::int64_t{s_->per_layer_last - s_->per_layer_first} * P;
  const float* inputs = s_->per_layer.data() + std::int64_t{layer - s_->per_layer_first} * P;
  if (tap_) tap("ple", layer, {const_cast<float*>(inputs), n_rows, P, stride});
  ops_.for_rows(n_rows, [&](std::int64_t r) {
    const float* input = inputs + s_->per_layer_row[static_cast<std::size_t>(r)] * stride;
    ops_.kernels().gelu_multiply(gate.row(r), input, P, gate.row(r));
  });
  s_->gate_q.set(gate);
  ops_.matmul(w.per_layer_projection, s_->gate_q, out);
  ops_.rms_norm(out, w.post_per_layer_norm, config_.rms_eps, out);
  ops_.add(x, out);
}

}  // namespace fourfold
