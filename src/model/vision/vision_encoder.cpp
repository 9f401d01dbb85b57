#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "kernels/aligned_vector.h"
#include "kernels/full_attention.h"
#include "model/vision/vision_model.h"
#include "model/vision/vision_rope.h"
#include "model/vision/vision_weights.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

// Patches that go through a layer together: what is as wide as the FFN exists for so many only.
constexpr std::int64_t kTileRows = 640;
// Columns of weights that were padded to whole blocks meet zeros.
constexpr std::int64_t kPadding = 32;
constexpr float kLayerNormEps = 1e-5f;  // of the form without a tower

// A matrix that is kept from picture to picture. Columns beyond `n_cols` are zero and stay so.
struct Buffer {
  AlignedVector<float> values;

  MatView view(std::int64_t n_rows, std::int64_t n_cols) {
    const std::int64_t stride = round_up(n_cols, kPadding);
    const auto n = static_cast<std::size_t>(n_rows * stride);
    if (values.size() < n) values.resize(n);
    return {values.data(), n_rows, n_cols, stride};
  }
};

// Rows that several linears take, clamped as each asks for; equal bounds share the work.
class LinearInput {
 public:
  void set(MatView x) {
    x_ = x;
    ready_ = false;
  }

  // Products of integers clamp while they round; for those in f32 it is done here.
  Activations& clamped(Ops& ops, const ClippedLinear& linear) {
    const bool integers = !ops.exact() && traits(linear.weight.dtype).quantised();
    if (ready_ && integers_ == integers && clip_ == linear.in) return activations_;
    ready_ = true;
    integers_ = integers;
    clip_ = linear.in;
    MatView rows = x_;
    if (clip_.clips() && !integers) {
      rows = buffer_.view(x_.n_rows, x_.n_cols);
      ops.for_rows(x_.n_rows, [&](std::int64_t r) {
        ops.kernels().clamp(x_.row(r), clip_.low, clip_.high, static_cast<int>(x_.n_cols),
                            rows.row(r));
      });
    }
    rows.n_cols = linear.weight.n_cols;
    activations_.set(rows, clip_);
    return activations_;
  }

 private:
  MatView x_;
  bool ready_ = false;
  bool integers_ = false;
  Clip clip_;
  Buffer buffer_;
  Activations activations_;
};

// out = clamp(W · clamp(x))
void apply(Ops& ops, const ClippedLinear& linear, LinearInput& x, MatView out) {
  ops.matmul(linear.weight, x.clamped(ops, linear), out, linear.out);
}

// x = (x − mean) / sqrt(variance + eps) · weight + bias; sums in f64, in order.
void layer_norm(float* x, const LayerNormWeights& w, std::int64_t n) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  const double mean = sum / static_cast<double>(n);
  double squares = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - mean;
    squares += d * d;
  }
  const double inverse =
      1.0 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(kLayerNormEps));
  for (std::int64_t i = 0; i < n; ++i) {
    const auto normed = static_cast<float>((static_cast<double>(x[i]) - mean) * inverse);
    x[i] = normed * w.weight[i] + w.bias[i];
  }
}

}  // namespace

// Rows of the picture that go through a layer together.
struct VisionEncoder::Tile {
  std::int64_t first = 0;
  std::int64_t n_rows = 0;
};

struct VisionEncoder::Scratch {
  explicit Scratch(Ops& ops) : attention(ops) {}

  std::int64_t n = 0;  // patches of the picture
  int grid_width = 0;
  Buffer x;               // [n, D] the residual stream
  Buffer normed;          // [tile, D]
  Buffer q, k, v, heads;  // [tile, D]
  Buffer attn, mlp;       // [tile, D]
  Buffer gate, up;        // [tile, F]
  Buffer pixels;          // [tile, 768]
  Buffer pooled;          // [n soft, D]
  LinearInput input, hidden;
  Activations gated;  // integers of [tile, F]
  Activations pixels_in;
  Buffer columns_read, rows_read;     // of the position table
  MatView column_values, row_values;  // [grid width, D], [grid height, D]
  VisionRope rope;
  FullAttention attention;
};

VisionEncoder::VisionEncoder(std::shared_ptr<const VisionModel> model, Ops& ops)
    : model_(std::move(model)),
      config_(model_->config()),
      w_(model_->weights()),
      ops_(ops),
      s_(std::make_unique<Scratch>(ops)) {
  CHECK(ops.exact() == model_->exact());
}

VisionEncoder::~VisionEncoder() = default;

MatView VisionEncoder::stream(const Tile& tile) {
  return s_->x.view(s_->n, config_.width).rows(tile.first, tile.n_rows);
}

Result<std::vector<float>> VisionEncoder::encode(const Patches& patches, const MediaTap* taps,
                                                 const std::function<bool()>& go_on) {
  TRY(check(patches));
  tap_ = taps;
  if (config_.unified) {
    run_unified(patches);
    return project(s_->x.view(patches.n(), config_.width));
  }
  TRY(run_tower(patches, go_on));
  return project(pool(patches));
}

Status VisionEncoder::check(const Patches& patches) const {
  const int side = model_->patch_side();
  const int pooled = model_->pooled_patches();
  if (patches.side != side || patches.grid_width < 1 || patches.grid_height < 1 ||
      patches.grid_width % pooled != 0 || patches.grid_height % pooled != 0 ||
      patches.values.size() != static_cast<std::size_t>(patches.n() * patches.width())) {
    return internal_error("vision: {}x{} patches of {} pixels (expected multiples of {}, of {})",
                          patches.grid_width, patches.grid_height, patches.side, pooled, side);
  }
  if (std::max(patches.grid_width, patches.grid_height) > w_.positions.length) {
    return invalid_argument(
        "picture of {}x{} patches: the model's position table has {} of each (expected a less "
        "extreme shape)",
        patches.grid_width, patches.grid_height, w_.positions.length);
  }
  return {};
}

Status VisionEncoder::run_tower(const Patches& patches, const std::function<bool()>& go_on) {
  const std::int64_t n = patches.n();
  s_->n = n;
  read_positions(patches);
  s_->rope.set(patches.grid_width, patches.grid_height, config_.head_dim,
               static_cast<double>(config_.rope_base));
  s_->attention.begin(n, config_.n_heads, config_.head_dim);
  std::vector<Tile> tiles;
  for (std::int64_t first = 0; first < n; first += kTileRows) {
    tiles.push_back({first, std::min(kTileRows, n - first)});
  }

  const MatView x = s_->x.view(n, config_.width);
  for (const Tile& tile : tiles) embed(patches, tile);
  tap("embedded", -1, x);
  for (int layer = 0; layer < config_.n_layers; ++layer) {
    if (go_on && !go_on()) return Error{Code::Cancelled, "vision: cancelled"};
    // Every patch sees every other one: all keys first, then tile by tile.
    for (const Tile& tile : tiles) prepare_attention(layer, tile);
    for (const Tile& tile : tiles) {
      attention(layer, tile);
      feed_forward(layer, tile);
    }
    tap("layer", layer, x);
  }
  return {};
}

// x = W·(2(v − 1/2)) + what the table has for the column + for the row.
void VisionEncoder::embed(const Patches& patches, const Tile& tile) {
  const std::int64_t width = patches.width();
  const MatView pixels = s_->pixels.view(tile.n_rows, width);
  const MatView x = stream(tile);
  ops_.for_rows(tile.n_rows, [&](std::int64_t r) {
    const float* values = patches.values.data() + (tile.first + r) * width;
    float* out = pixels.row(r);
    for (std::int64_t i = 0; i < width; ++i) out[i] = 2.0f * (values[i] - 0.5f);
  });
  s_->pixels_in.set(pixels);
  ops_.matmul(w_.patch, s_->pixels_in, x);

  ops_.for_rows(tile.n_rows, [&](std::int64_t r) { add_position(x.row(r), tile.first + r); });
}

void VisionEncoder::add_position(float* x, std::int64_t patch) {
  const int D = config_.width;
  ops_.kernels().add(x, s_->column_values.row(patch % s_->grid_width), D);
  ops_.kernels().add(x, s_->row_values.row(patch / s_->grid_width), D);
}

// Reads the rows of the position table that this grid needs.
void VisionEncoder::read_positions(const Patches& patches) {
  const PositionTable& table = w_.positions;
  const auto read = [&](Buffer& buffer, int n, auto row_of) {
    const MatView out = buffer.view(n, config_.width);
    for (std::int64_t i = 0; i < n; ++i) {
      dequantize(table.rows.dtype, table.rows.row(row_of(i)), out.n_cols, out.row(i));
    }
    return out;
  };
  s_->column_values =
      read(s_->columns_read, patches.grid_width, [&](std::int64_t x) { return table.column(x); });
  s_->row_values =
      read(s_->rows_read, patches.grid_height, [&](std::int64_t y) { return table.row(y); });
  s_->grid_width = patches.grid_width;
}

// Each head of a patch's row: rms norm, then the first half turns by the patch's column and the
// second by its row.
void VisionEncoder::norm_and_rotate(float* heads, const float* norm, std::int64_t patch) {
  const Kernels& kernels = ops_.kernels();
  const int C = config_.head_dim;
  const auto column = static_cast<int>(patch % s_->grid_width);
  const auto row = static_cast<int>(patch / s_->grid_width);
  for (int h = 0; h < config_.n_heads; ++h, heads += C) {
    kernels.rms_norm(heads, norm, C, config_.rms_eps, heads);
    s_->rope.turn(kernels, heads, column, row);
  }
}

// Q = rope(rms(Wq·h) ⊙ w_q), K = rope(rms(Wk·h) ⊙ w_k), V = rms(Wv·h) without weight.
void VisionEncoder::prepare_attention(int layer, const Tile& tile) {
  const VisionLayerWeights& w = w_.layers[static_cast<std::size_t>(layer)];
  const int C = config_.head_dim;
  const std::int64_t D = config_.width;
  const MatView normed = s_->normed.view(tile.n_rows, D);
  const MatView q = s_->q.view(tile.n_rows, D);
  const MatView k = s_->k.view(tile.n_rows, D);
  const MatView v = s_->v.view(tile.n_rows, D);
  ops_.rms_norm(stream(tile), w.pre_attn_norm, config_.rms_eps, normed);
  s_->input.set(normed);
  apply(ops_, w.q, s_->input, q);
  apply(ops_, w.k, s_->input, k);
  apply(ops_, w.v, s_->input, v);
  s_->attention.put(tile.first, q, k, v, [&](std::int64_t r) {
    norm_and_rotate(q.row(r), w.q_norm, tile.first + r);
    norm_and_rotate(k.row(r), w.k_norm, tile.first + r);
    for (std::int64_t h = 0; h < D; h += C) {
      float* value = v.row(r) + h;
      ops_.kernels().rms_norm(value, nullptr, C, config_.rms_eps, value);
    }
  });
}

// x += rms(y) ⊙ norm
void VisionEncoder::add_normed(float* x, float* y, const float* norm) {
  const int D = config_.width;
  ops_.kernels().rms_norm(y, norm, D, config_.rms_eps, y);
  ops_.kernels().add(x, y, D);
}

// x += rms(Wo·attention(h)), and what the feed-forward takes of each row while it is in the cache.
void VisionEncoder::attention(int layer, const Tile& tile) {
  const VisionLayerWeights& w = w_.layers[static_cast<std::size_t>(layer)];
  const std::int64_t D = config_.width;
  const MatView x = stream(tile);
  const MatView heads = s_->heads.view(tile.n_rows, D);
  const MatView attn = s_->attn.view(tile.n_rows, D);
  const MatView normed = s_->normed.view(tile.n_rows, D);
  s_->attention.attend(tile.first, heads);
  s_->input.set(heads);
  apply(ops_, w.o, s_->input, attn);
  ops_.for_rows(x.n_rows, [&](std::int64_t r) {
    add_normed(x.row(r), attn.row(r), w.post_attn_norm);
    ops_.kernels().rms_norm(x.row(r), w.pre_mlp_norm, config_.width, config_.rms_eps,
                            normed.row(r));
  });
  s_->input.set(normed);
}

// x += rms(Wdown·(gelu(Wgate·h) ⊙ Wup·h)) of the input that `attention` left.
void VisionEncoder::feed_forward(int layer, const Tile& tile) {
  const VisionLayerWeights& w = w_.layers[static_cast<std::size_t>(layer)];
  const std::int64_t D = config_.width;
  const MatView x = stream(tile);
  const MatView mlp = s_->mlp.view(tile.n_rows, D);
  if (!gate_integers(w, mlp)) {
    const MatView gate = s_->gate.view(tile.n_rows, config_.ffn_width);
    const MatView up = s_->up.view(tile.n_rows, config_.ffn_width);
    apply(ops_, w.gate, s_->input, gate);
    apply(ops_, w.up, s_->input, up);
    ops_.gelu_multiply(gate, up, gate);
    s_->hidden.set(gate);
    apply(ops_, w.down, s_->hidden, mlp);
  }
  ops_.for_rows(x.n_rows,
                [&](std::int64_t r) { add_normed(x.row(r), mlp.row(r), w.post_mlp_norm); });
}

// mlp = Wdown·(gelu(Wgate·h) ⊙ Wup·h) without the hidden values in f32, where all three meet
// integers; false, and nothing was done, where they do not.
bool VisionEncoder::gate_integers(const VisionLayerWeights& w, MatView mlp) {
  const GatedProduct product = {.gate = &w.gate.weight,
                                .up = &w.up.weight,
                                .gate_clip = w.gate.out,
                                .up_clip = w.up.out,
                                .clip = w.down.in,
                                .fine = w.down.weight.fine};
  const Matrix& down = w.down.weight;
  if (!ops_.gates_integers(product) || !traits(down.dtype).quantised() || down.pairs) return false;
  if (w.gate.in != w.up.in) return false;  // they would not share their input
  ops_.gated_matmul(product, s_->input.clamped(ops_, w.gate), s_->gated);
  ops_.matmul(down, s_->gated, mlp, w.down.out);
  return true;
}

// The mean of 3×3 patches times sqrt(D); large bodies bring it to a standard range.
MatView VisionEncoder::pool(const Patches& patches) {
  constexpr int kPool = 3;
  const int D = config_.width;
  const std::int64_t width = patches.grid_width / kPool;
  const std::int64_t height = patches.grid_height / kPool;
  const MatView x = s_->x.view(patches.n(), D);
  const MatView pooled = s_->pooled.view(width * height, D);
  const float scale = std::sqrt(static_cast<float>(D));
  ops_.for_rows(pooled.n_rows, [&](std::int64_t r) {
    const Kernels& kernels = ops_.kernels();
    const std::int64_t first = r / width * kPool * patches.grid_width + r % width * kPool;
    float* out = pooled.row(r);
    std::fill_n(out, D, 0.0f);
    for (int y = 0; y < kPool; ++y) {
      for (int i = 0; i < kPool; ++i)
        kernels.add(out, x.row(first + y * patches.grid_width + i), D);
    }
    kernels.scale(out, 1.0f / (kPool * kPool), D);
    kernels.scale(out, scale, D);
  });
  tap("pooled", -1, pooled);
  if (!w_.std_bias) return pooled;
  ops_.for_rows(pooled.n_rows, [&](std::int64_t r) {
    ops_.kernels().add_scaled(pooled.row(r), w_.std_bias, -1.0f, D);
    ops_.kernels().multiply(pooled.row(r), w_.std_scale, D, pooled.row(r));
  });
  tap("standardised", -1, pooled);
  return pooled;
}

// One token a patch: norms around a projection and the position (vision-video.md 12).
void VisionEncoder::run_unified(const Patches& patches) {
  const std::int64_t n = patches.n();
  const std::int64_t D = config_.width;
  const MatView pixels = s_->pixels.view(n, patches.width());
  const MatView x = s_->x.view(n, D);
  read_positions(patches);
  ops_.for_rows(n, [&](std::int64_t r) {
    std::copy_n(patches.values.data() + r * pixels.n_cols, pixels.n_cols, pixels.row(r));
    layer_norm(pixels.row(r), w_.patch_norm, pixels.n_cols);
  });
  tap("patch_ln1", -1, pixels);
  s_->pixels_in.set(pixels);
  ops_.matmul(w_.patch, s_->pixels_in, x);
  ops_.for_rows(
      n, [&](std::int64_t r) { ops_.kernels().add(x.row(r), w_.patch_bias, static_cast<int>(D)); });
  tap("patch_dense", -1, x);
  ops_.for_rows(n, [&](std::int64_t r) { layer_norm(x.row(r), w_.dense_norm, D); });
  tap("patch_ln2", -1, x);
  ops_.for_rows(n, [&](std::int64_t r) {
    add_position(x.row(r), r);
    layer_norm(x.row(r), w_.position_norm, D);
  });
  tap("pos_norm", -1, x);
}

std::vector<float> VisionEncoder::project(MatView pooled) {
  std::vector<float> soft(static_cast<std::size_t>(pooled.n_rows * config_.text_width));
  const MatView out{soft.data(), pooled.n_rows, config_.text_width, config_.text_width};
  ops_.rms_norm(pooled, nullptr, config_.rms_eps, pooled);
  s_->input.set(pooled);
  apply(ops_, w_.projection, s_->input, out);
  tap("soft", -1, out);
  return soft;
}

}  // namespace fourfold
