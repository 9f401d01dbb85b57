#include "model/vision/vision_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "formats/tensor_shape.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

// One tensor; folder names stand behind "model." or nothing.
struct Name {
  std::string_view gguf;
  std::string_view folder;
};

// Of the tower.
constexpr Name kPatch = {"v.patch_embd.weight", "vision_tower.patch_embedder.input_proj.weight"};
constexpr Name kPositions = {"v.position_embd.weight",
                             "vision_tower.patch_embedder.position_embedding_table"};
constexpr Name kStdBias = {"v.std_bias", "vision_tower.std_bias"};
constexpr Name kStdScale = {"v.std_scale", "vision_tower.std_scale"};
constexpr Name kProjection = {"mm.input_projection.weight",
                              "embed_vision.embedding_projection.weight"};

// Of a layer, behind "v.blk.N." and "vision_tower.encoder.layers.N.".
constexpr Name kPreAttnNorm = {"ln1.weight", "input_layernorm.weight"};
constexpr Name kPostAttnNorm = {"attn_post_norm.weight", "post_attention_layernorm.weight"};
constexpr Name kPreMlpNorm = {"ln2.weight", "pre_feedforward_layernorm.weight"};
constexpr Name kPostMlpNorm = {"ffn_post_norm.weight", "post_feedforward_layernorm.weight"};
constexpr Name kQueryNorm = {"attn_q_norm.weight", "self_attn.q_norm.weight"};
constexpr Name kKeyNorm = {"attn_k_norm.weight", "self_attn.k_norm.weight"};
constexpr Name kQuery = {"attn_q.weight", "self_attn.q_proj.linear.weight"};
constexpr Name kKey = {"attn_k.weight", "self_attn.k_proj.linear.weight"};
constexpr Name kValue = {"attn_v.weight", "self_attn.v_proj.linear.weight"};
constexpr Name kOut = {"attn_out.weight", "self_attn.o_proj.linear.weight"};
constexpr Name kGate = {"ffn_gate.weight", "mlp.gate_proj.linear.weight"};
constexpr Name kUp = {"ffn_up.weight", "mlp.up_proj.linear.weight"};
constexpr Name kDown = {"ffn_down.weight", "mlp.down_proj.linear.weight"};

// Of the form without a tower.
constexpr Name kUnifiedPatch = {"v.patch_embd.weight", "vision_embedder.patch_dense.weight"};
constexpr Name kUnifiedPatchBias = {"v.patch_embd.bias", "vision_embedder.patch_dense.bias"};
constexpr Name kUnifiedPositions = {"v.position_embd.weight", "vision_embedder.pos_embedding"};
constexpr Name kPatchNormWeight = {"v.patch_norm.1.weight", "vision_embedder.patch_ln1.weight"};
constexpr Name kPatchNormBias = {"v.patch_norm.1.bias", "vision_embedder.patch_ln1.bias"};
constexpr Name kDenseNormWeight = {"v.patch_norm.2.weight", "vision_embedder.patch_ln2.weight"};
constexpr Name kDenseNormBias = {"v.patch_norm.2.bias", "vision_embedder.patch_ln2.bias"};
constexpr Name kPositionNormWeight = {"v.patch_norm.3.weight", "vision_embedder.pos_norm.weight"};
constexpr Name kPositionNormBias = {"v.patch_norm.3.bias", "vision_embedder.pos_norm.bias"};

constexpr int kChannels = 3;
constexpr int kTowerSide = 16;
constexpr int kUnifiedSide = 48;

constexpr std::string_view kFolderPrefixes[] = {"model.", ""};
constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kLinear = ".linear";

// Ollama packs all bounds of a file: per layer q, k, v, o, gate, up, down, then the projection.
constexpr std::string_view kPackedBounds = "v.clamp_data";
constexpr int kLinearsOfLayer = 7;
constexpr std::size_t kBoundsOfLinear = 4;
constexpr std::string_view kBoundNames[] = {".input_min", ".input_max", ".output_min",
                                            ".output_max"};

Clip clip_of(float low, float high) { return {.low = low, .high = high}; }

// The same values in 16 bits, if all of them are bf16 that was widened.
bool fits_bf16(std::span<const float> values) {
  return std::ranges::all_of(
      values, [](float x) { return (__builtin_bit_cast(std::uint32_t, x) & 0xFFFFu) == 0; });
}

class Binder {
 public:
  Binder(const Checkpoint& checkpoint, const VisionConfig& config, Ops& ops, VisionWeights& weights)
      : checkpoint_(checkpoint), config_(config), ops_(ops), weights_(weights) {}

  Status bind() {
    find_bounds();
    config_.unified ? bind_unified() : bind_tower();
    bind_linear(kProjection, config_.text_width, config_.width, weights_.projection);
    return report();
  }

 private:
  bool in_folder() const { return config_.names == MediaNames::Folder; }
  int side() const { return config_.unified ? kUnifiedSide : kTowerSide; }
  std::int64_t patch_width() const { return std::int64_t{side()} * side() * kChannels; }

  // --- finding tensors ---

  // Every name that the tensor may have in this file, the usual one first.
  std::vector<std::string> names_of(const Name& name) const {
    if (!in_folder()) {
      if (layer_ < 0) return {std::string(name.gguf)};
      return {fmt::format("v.blk.{}.{}", layer_, name.gguf)};
    }
    std::string text(name.folder);
    if (layer_ >= 0) text = fmt::format("vision_tower.encoder.layers.{}.{}", layer_, name.folder);
    std::vector<std::string> names;
    for (const auto prefix : kFolderPrefixes) {
      names.push_back(fmt::format("{}{}", prefix, text));
      const auto linear = names.back().find(kLinear);
      if (linear == std::string::npos) continue;
      names.push_back(std::string(names.back()).erase(linear, kLinear.size()));
    }
    return names;
  }

  const TensorInfo* find(const Name& name) const {
    for (const auto& text : names_of(name)) {
      if (const auto* tensor = checkpoint_.find(text)) return tensor;
    }
    return nullptr;
  }

  // Null, and a place in the report, when the tensor is missing or of another shape.
  const TensorInfo* require(const Name& name, const Shape& shape) {
    const TensorInfo* tensor = find(name);
    if (!tensor) {
      note_missing(names_of(name).front(), shape);
      return nullptr;
    }
    ++n_wanted_;
    return check(*tensor, shape) ? tensor : nullptr;
  }

  void note_missing(std::string_view name, const Shape& shape) {
    ++n_wanted_;
    if (n_missing_++ == 0) first_missing_ = fmt::format("{} {}", name, shape_text(shape));
  }

  bool check(const TensorInfo& tensor, const Shape& shape) {
    std::string problem;
    if (squeezed(tensor.shape) != squeezed(shape)) {
      problem = fmt::format("{}: shape {} in file, model config needs {}", tensor.name,
                            shape_text(tensor.shape), shape_text(shape));
    } else if (!is_weight_type(tensor.dtype)) {
      problem =
          fmt::format("{}: type {} in file, a weight needs F32, F16, BF16 or a quantised type",
                      tensor.name, name(tensor.dtype));
    }
    if (problem_.empty()) problem_ = problem;
    return problem.empty();
  }

  Status report() const {
    const auto& path = checkpoint_.path();
    if (n_missing_ > 0) {
      return failed_precondition("{}: vision: missing tensor {}; {} of {} are missing", path,
                                 first_missing_, n_missing_, n_wanted_);
    }
    if (!problem_.empty()) return failed_precondition("{}: {}", path, problem_);
    return {};
  }

  // --- their values ---

  static std::vector<float> widened(const TensorInfo& tensor) {
    std::vector<float> values(static_cast<std::size_t>(tensor.n_elements()));
    dequantize(tensor.dtype, tensor.bytes().data(), tensor.n_elements(), values.data());
    return values;
  }

  const float* keep(std::vector<float> values) {
    return weights_.vectors.emplace_back(std::move(values)).data();
  }

  const float* vector(const Name& name, std::int64_t n) {
    const TensorInfo* tensor = require(name, {n});
    return tensor ? keep(widened(*tensor)) : nullptr;
  }

  static Matrix as_matrix(const TensorInfo& tensor, std::int64_t n_rows, std::int64_t n_cols) {
    return {
        .dtype = tensor.dtype, .data = tensor.bytes().data(), .n_rows = n_rows, .n_cols = n_cols};
  }

  Matrix matrix(const Name& name, std::int64_t n_rows, std::int64_t n_cols) {
    const TensorInfo* tensor = require(name, {n_rows, n_cols});
    return tensor ? as_matrix(*tensor, n_rows, n_cols) : Matrix{};
  }

  Matrix quantized(const Matrix& m, bool pairs) {
    const std::int64_t n_cols = round_up(m.n_cols, traits(DType::Q8_0).block);
    pairs = pairs && n_cols % (2 * traits(DType::Q8_0).block) == 0;
    auto& blocks = weights_.blocks.emplace_back(
        static_cast<std::size_t>(m.n_rows * size_bytes(DType::Q8_0, n_cols)));
    ops_.fit_q8_0(m, n_cols, pairs, blocks.data());
    return {.dtype = DType::Q8_0,
            .data = blocks.data(),
            .n_rows = m.n_rows,
            .n_cols = n_cols,
            .pairs = pairs};
  }

  // --- bounds of linears ---

  // A file that has bounds at all has all of them.
  void find_bounds() {
    if (config_.names == MediaNames::Ollama) {
      const TensorInfo* packed = checkpoint_.find(kPackedBounds);
      if (!packed) return;
      const auto n = static_cast<std::int64_t>(
          kBoundsOfLinear * static_cast<std::size_t>(config_.n_layers * kLinearsOfLayer + 1));
      ++n_wanted_;
      if (check(*packed, {n})) packed_ = widened(*packed);
      return;
    }
    clipped_ = std::ranges::any_of(checkpoint_.tensors(), [&](const TensorInfo& tensor) {
      const bool ours = in_folder() ? tensor.name.find("vision_tower.") != std::string::npos
                                    : tensor.name.starts_with("v.blk.");
      return ours && tensor.name.ends_with(kBoundNames[0]);
    });
  }

  // "…q_proj.linear.weight" → "…q_proj.input_min"
  static std::string bound_name(std::string linear, std::string_view bound) {
    linear.resize(linear.size() - kWeight.size());
    if (linear.ends_with(kLinear)) linear.resize(linear.size() - kLinear.size());
    return linear.append(bound);
  }

  float bound(const Name& linear, std::string_view which) {
    const auto names = names_of(linear);
    for (const auto& text : names) {
      const TensorInfo* tensor = checkpoint_.find(bound_name(text, which));
      if (!tensor) continue;
      ++n_wanted_;
      return check(*tensor, {}) ? widened(*tensor)[0] : 0.0f;
    }
    note_missing(bound_name(names.front(), which), {1});
    return 0.0f;
  }

  void bind_bounds(const Name& name, ClippedLinear& linear) {
    float bounds[kBoundsOfLinear];
    if (!packed_.empty()) {
      std::copy_n(packed_.begin() + static_cast<std::ptrdiff_t>(kBoundsOfLinear * n_linears_++),
                  kBoundsOfLinear, bounds);
      // What the file's maker did not find is zero.
      if (std::ranges::all_of(bounds, [](float x) { return x == 0.0f; })) return;
    } else if (clipped_ && layer_ >= 0) {
      for (std::size_t i = 0; i < kBoundsOfLinear; ++i) bounds[i] = bound(name, kBoundNames[i]);
    } else {
      return;
    }
    linear.in = clip_of(bounds[0], bounds[1]);
    linear.out = clip_of(bounds[2], bounds[3]);
  }

  void bind_linear(const Name& name, std::int64_t n_rows, std::int64_t n_cols,
                   ClippedLinear& linear, bool pairs = true) {
    linear.weight = matrix(name, n_rows, n_cols);
    // The projection meets few rows: it stays as it is.
    const bool plain = !linear.weight.empty() && !traits(linear.weight.dtype).quantised();
    if (!ops_.exact() && layer_ >= 0 && plain) linear.weight = quantized(linear.weight, pairs);
    bind_bounds(name, linear);
  }

  // --- parts ---

  void bind_tower() {
    const std::int64_t D = config_.width;
    bind_patch(kPatch);
    bind_positions(kPositions, false);
    weights_.layers.resize(static_cast<std::size_t>(config_.n_layers));
    for (layer_ = 0; layer_ < config_.n_layers; ++layer_) {
      bind_layer(weights_.layers[static_cast<std::size_t>(layer_)]);
    }
    layer_ = -1;
    if (!find(kStdBias) && !find(kStdScale)) return;
    weights_.std_bias = vector(kStdBias, D);
    weights_.std_scale = vector(kStdScale, D);
  }

  void bind_layer(VisionLayerWeights& w) {
    const std::int64_t D = config_.width;
    const std::int64_t F = config_.ffn_width;
    w.pre_attn_norm = vector(kPreAttnNorm, D);
    bind_linear(kQuery, D, D, w.q);
    bind_linear(kKey, D, D, w.k);
    bind_linear(kValue, D, D, w.v);
    bind_linear(kOut, D, D, w.o);
    w.q_norm = vector(kQueryNorm, config_.head_dim);
    w.k_norm = vector(kKeyNorm, config_.head_dim);
    w.post_attn_norm = vector(kPostAttnNorm, D);
    w.pre_mlp_norm = vector(kPreMlpNorm, D);
    bind_linear(kGate, F, D, w.gate);
    bind_linear(kUp, F, D, w.up);
    bind_linear(kDown, D, F, w.down, false);  // a gated product gives blocks of 32
    w.post_mlp_norm = vector(kPostMlpNorm, D);
  }

  void bind_unified() {
    const std::int64_t D = config_.width;
    bind_patch(kUnifiedPatch);
    weights_.patch_bias = vector(kUnifiedPatchBias, D);
    bind_positions(kUnifiedPositions, in_folder());
    weights_.patch_norm = {patch_vector(kPatchNormWeight), patch_vector(kPatchNormBias)};
    weights_.dense_norm = {vector(kDenseNormWeight, D), vector(kDenseNormBias, D)};
    weights_.position_norm = {vector(kPositionNormWeight, D), vector(kPositionNormBias, D)};
  }

  // [2, length, D], or [length, 2, D] when interleaved; the length is the file's.
  void bind_positions(const Name& name, bool interleaved) {
    const std::int64_t D = config_.width;
    const TensorInfo* tensor = find(name);
    const std::size_t at = interleaved ? 0 : 1;
    const std::int64_t length = tensor && tensor->shape.size() == 3 ? tensor->shape[at] : 1;
    tensor = require(name, interleaved ? Shape{length, 2, D} : Shape{2, length, D});
    if (!tensor) return;
    weights_.positions = {
        .rows = as_matrix(*tensor, 2 * length, D), .length = length, .interleaved = interleaved};
  }

  // Values of a patch, or of a row of the patch projection, in the order of Patches.
  std::vector<float> in_our_order(std::vector<float> values) const {
    return in_folder() ? values : from_channels_first(values, side());
  }

  const float* patch_vector(const Name& name) {
    const TensorInfo* tensor = require(name, {patch_width()});
    return tensor ? keep(in_our_order(widened(*tensor))) : nullptr;
  }

  void bind_patch(const Name& name) {
    const std::int64_t D = config_.width;
    const TensorInfo* tensor = find(name);
    // A GGUF has them as a convolution: [D, 3, side, side].
    const bool is_4d = tensor && tensor->shape.size() == 4;
    const Shape shape = is_4d ? Shape{D, kChannels, side(), side()} : Shape{D, patch_width()};
    tensor = require(name, shape);
    if (!tensor) return;
    weights_.patch = in_folder() ? as_matrix(*tensor, D, patch_width()) : reordered(*tensor);
  }

  // A copy with the columns in our order, in bf16 where that holds all values.
  Matrix reordered(const TensorInfo& tensor) {
    const std::int64_t D = config_.width;
    const std::int64_t n = patch_width();
    const Matrix m = as_matrix(tensor, D, n);
    std::vector<float> values(static_cast<std::size_t>(D * n));
    std::vector<float> row(static_cast<std::size_t>(n));
    for (std::int64_t r = 0; r < D; ++r) {
      dequantize(m.dtype, m.row(r), n, row.data());
      std::ranges::copy(from_channels_first(row, side()), values.begin() + r * n);
    }
    const bool narrow = fits_bf16(values);
    const std::size_t width = narrow ? sizeof(std::uint16_t) : sizeof(float);
    auto& bytes = weights_.blocks.emplace_back(values.size() * width);
    if (narrow) {
      ops_.kernels().bf16_from_f32(values.data(), static_cast<int>(values.size()),
                                   reinterpret_cast<std::uint16_t*>(bytes.data()));
    } else {
      std::memcpy(bytes.data(), values.data(), bytes.size());
    }
    return {
        .dtype = narrow ? DType::BF16 : DType::F32, .data = bytes.data(), .n_rows = D, .n_cols = n};
  }

  const Checkpoint& checkpoint_;
  const VisionConfig& config_;
  Ops& ops_;
  VisionWeights& weights_;
  int layer_ = -1;             // −1: of the tower
  bool clipped_ = false;       // linears have bounds beside them
  std::vector<float> packed_;  // or in one tensor
  std::size_t n_linears_ = 0;  // whose packed bounds were taken
  int n_wanted_ = 0, n_missing_ = 0;
  std::string first_missing_, problem_;
};

}  // namespace

std::vector<float> from_channels_first(const std::vector<float>& values, int side) {
  std::vector<float> result(values.size());
  const std::size_t n_pixels = static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
  for (std::size_t c = 0; c < kChannels; ++c) {
    for (std::size_t pixel = 0; pixel < n_pixels; ++pixel) {
      result[pixel * kChannels + c] = values[c * n_pixels + pixel];
    }
  }
  return result;
}

Result<VisionWeights> bind_vision_weights(const Checkpoint& checkpoint, const VisionConfig& config,
                                          Ops& ops) {
  VisionWeights weights;
  TRY(Binder(checkpoint, config, ops, weights).bind());
  return weights;
}

}  // namespace fourfold
