#include "model/audio/audio_weights.h"

#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/math.h"
#include "formats/tensor_shape.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

// One tensor. An empty name: as in the column before it that has one.
struct Name {
  std::string_view mmproj;
  std::string_view ollama;
  std::string_view folder;
  std::string_view early;                  // in folders of early conversions
  std::string_view part = "audio_tower.";  // what the folder names stand behind
};

// Of the tower.
constexpr Name kConv0 = {"a.conv1d.0.weight", "", "subsample_conv_projection.layer0.conv.weight",
                         "subsample_conv_projection.conv_0.conv.weight"};
constexpr Name kConv0Norm = {"a.conv1d.0.norm.weight", "",
                             "subsample_conv_projection.layer0.norm.weight",
                             "subsample_conv_projection.conv_0.norm.weight"};
constexpr Name kConv1 = {"a.conv1d.1.weight", "", "subsample_conv_projection.layer1.conv.weight",
                         "subsample_conv_projection.conv_1.conv.weight"};
constexpr Name kConv1Norm = {"a.conv1d.1.norm.weight", "",
                             "subsample_conv_projection.layer1.norm.weight",
                             "subsample_conv_projection.conv_1.norm.weight"};
// The name that Ollama gives to the first linear is that of the last one elsewhere.
constexpr Name kInput = {"a.input_projection.weight", "a.pre_encode.out.weight",
                         "subsample_conv_projection.input_proj_linear.weight", ""};
constexpr Name kOutput = {"a.pre_encode.out.weight", "mm.a.fc.weight", "output_proj.weight", ""};
constexpr Name kOutputBias = {"a.pre_encode.out.bias", "mm.a.fc.bias", "output_proj.bias", ""};

// Of a layer, behind "a.blk.N." and "layers.N.".
constexpr Name kFirstPreNorm = {"ffn_norm.weight", "", "feed_forward1.pre_layer_norm.weight",
                                "ffw_layer_start.pre_layer_norm.weight"};
constexpr Name kFirstUp = {"ffn_up.weight", "", "feed_forward1.ffw_layer_1.linear.weight",
                           "ffw_layer_start.ffw_layer_1.linear.weight"};
constexpr Name kFirstDown = {"ffn_down.weight", "", "feed_forward1.ffw_layer_2.linear.weight",
                             "ffw_layer_start.ffw_layer_2.linear.weight"};
constexpr Name kFirstPostNorm = {"ffn_post_norm.weight", "", "feed_forward1.post_layer_norm.weight",
                                 "ffw_layer_start.post_layer_norm.weight"};
constexpr Name kSecondPreNorm = {"ffn_norm_1.weight", "", "feed_forward2.pre_layer_norm.weight",
                                 "ffw_layer_end.pre_layer_norm.weight"};
constexpr Name kSecondUp = {"ffn_up_1.weight", "", "feed_forward2.ffw_layer_1.linear.weight",
                            "ffw_layer_end.ffw_layer_1.linear.weight"};
constexpr Name kSecondDown = {"ffn_down_1.weight", "", "feed_forward2.ffw_layer_2.linear.weight",
                              "ffw_layer_end.ffw_layer_2.linear.weight"};
constexpr Name kSecondPostNorm = {"ffn_post_norm_1.weight", "",
                                  "feed_forward2.post_layer_norm.weight",
                                  "ffw_layer_end.post_layer_norm.weight"};
constexpr Name kPreAttnNorm = {"attn_pre_norm.weight", "ln1.weight", "norm_pre_attn.weight",
                               "attention.pre_attn_norm.weight"};
constexpr Name kPostAttnNorm = {"attn_post_norm.weight", "ln2.weight", "norm_post_attn.weight",
                                "attention.post_norm.weight"};
constexpr Name kQuery = {"attn_q.weight", "", "self_attn.q_proj.linear.weight",
                         "attention.attn.q_proj.linear.weight"};
constexpr Name kKey = {"attn_k.weight", "", "self_attn.k_proj.linear.weight",
                       "attention.attn.k_proj.linear.weight"};
constexpr Name kValue = {"attn_v.weight", "", "self_attn.v_proj.linear.weight",
                         "attention.attn.v_proj.linear.weight"};
constexpr Name kPost = {"attn_out.weight", "", "self_attn.post.linear.weight",
                        "attention.post.linear.weight"};
constexpr Name kRelative = {"attn_k_rel.weight", "linear_pos.weight",
                            "self_attn.relative_k_proj.weight",
                            "attention.attn.relative_position_embedding.pos_proj.weight"};
// GGUF files hold these after softplus.
constexpr Name kPerDimScale = {"per_dim_scale.weight", "", "self_attn.per_dim_scale",
                               "attention.attn.per_dim_scale"};
constexpr Name kPerDimKeyScale = {"per_dim_k_scale.weight", "", "self_attn.per_dim_k_scale",
                                  "attention.attn.per_dim_k_scale"};
// In GGUF files conv_norm is the norm before the convolution, norm_conv the one after it.
constexpr Name kPreConvNorm = {"conv_norm.weight", "", "lconv1d.pre_layer_norm.weight", ""};
constexpr Name kConvNorm = {"norm_conv.weight", "", "lconv1d.conv_norm.weight", ""};
constexpr Name kConvStart = {"conv_pw1.weight", "", "lconv1d.linear_start.linear.weight", ""};
constexpr Name kConvTaps = {"conv_dw.weight", "", "lconv1d.depthwise_conv1d.weight", ""};
constexpr Name kConvEnd = {"conv_pw2.weight", "", "lconv1d.linear_end.linear.weight", ""};
constexpr Name kOutNorm = {"ln2.weight", "layer_pre_norm.weight", "norm_out.weight", ""};

constexpr Name kProjection = {"mm.a.input_projection.weight", "", "embedding_projection.weight", "",
                              "embed_audio."};

constexpr std::string_view kFolderPrefixes[] = {"model.", ""};
constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kLinear = ".linear";

double softplus(double x) { return math::log(1.0 + math::exp(x)); }

// Every name that a tensor may have, the usual one first.
std::vector<std::string> names_in_folder(const Name& name, int layer) {
  std::vector<std::string> names;
  const auto add = [&](std::string_view at, std::string_view tensor) {
    if (tensor.empty()) return;
    for (const auto prefix : kFolderPrefixes) {
      std::string text = fmt::format("{}{}{}{}", prefix, name.part, at, tensor);
      names.push_back(text);
      if (const auto linear = text.find(kLinear); linear != std::string::npos) {
        names.push_back(text.erase(linear, kLinear.size()));
      }
    }
  };
  if (layer < 0) {
    add("", name.folder);
    add("", name.early);
    return names;
  }
  for (const auto list : {"layers", "conformer"}) {
    const std::string at = fmt::format("{}.{}.", list, layer);
    add(at, name.folder);
    add(at, name.early);
  }
  return names;
}

class Binder {
 public:
  Binder(const Checkpoint& checkpoint, const AudioConfig& config, Ops& ops, AudioWeights& weights)
      : checkpoint_(checkpoint), config_(config), ops_(ops), weights_(weights) {}

  Status bind() {
    if (config_.unified) return bind_projection(kUnifiedFrame);
    TRY(bind_subsampling());
    weights_.layers.resize(static_cast<std::size_t>(config_.n_layers));
    for (layer_ = 0; layer_ < config_.n_layers; ++layer_) {
      TRY(bind_layer(weights_.layers[static_cast<std::size_t>(layer_)]));
    }
    layer_ = -1;
    weights_.output = TRY(matrix(kOutput, config_.output_width, config_.width));
    weights_.output_bias = TRY(vector(kOutputBias, config_.output_width));
    TRY(bind_projection(config_.output_width));
    choose_forms();
    return refuse_unknown();
  }

 private:
  bool in_folder() const { return config_.names == MediaNames::Folder; }

  // Every name that the tensor may have in this file, the usual one first.
  std::vector<std::string> names_of(const Name& name) const {
    if (in_folder()) return names_in_folder(name, layer_);
    const bool ollama = config_.names == MediaNames::Ollama && !name.ollama.empty();
    const std::string_view tensor = ollama ? name.ollama : name.mmproj;
    if (layer_ < 0) return {std::string(tensor)};
    return {fmt::format("a.blk.{}.{}", layer_, tensor)};
  }

  const TensorInfo* find(const Name& name) {
    for (const auto& text : names_of(name)) {
      if (const auto* tensor = checkpoint_.find(text)) {
        used_.insert(text);
        return tensor;
      }
    }
    return nullptr;
  }

  Result<const TensorInfo*> require(const Name& name, const Shape& shape) {
    const TensorInfo* tensor = find(name);
    if (!tensor) {
      return failed_precondition("{}: missing tensor {} {}", checkpoint_.path(),
                                 names_of(name).front(), shape_text(shape));
    }
    TRY(check(*tensor, shape));
    return tensor;
  }

  Status check(const TensorInfo& tensor, const Shape& shape) const {
    if (squeezed(tensor.shape) != squeezed(shape)) {
      return failed_precondition("{}: {}: shape {} in file, model config needs {}",
                                 checkpoint_.path(), tensor.name, shape_text(tensor.shape),
                                 shape_text(shape));
    }
    if (!is_weight_type(tensor.dtype)) {
      return failed_precondition(
          "{}: {}: type {} in file, a weight needs F32, F16, BF16 or a "
          "quantised type",
          checkpoint_.path(), tensor.name, name(tensor.dtype));
    }
    return {};
  }

  std::vector<float> widened(const TensorInfo& tensor) const {
    std::vector<float> values(static_cast<std::size_t>(tensor.n_elements()));
    dequantize(tensor.dtype, tensor.bytes().data(), tensor.n_elements(), values.data());
    return values;
  }

  Result<std::vector<float>> floats(const Name& name, const Shape& shape) {
    const TensorInfo* tensor = TRY(require(name, shape));
    return widened(*tensor);
  }

  Result<const float*> vector(const Name& name, std::int64_t n) {
    const float* kept = weights_.vectors.emplace_back(TRY(floats(name, {n}))).data();
    return kept;
  }

  Result<Matrix> matrix(const Name& name, std::int64_t n_rows, std::int64_t n_cols) {
    const TensorInfo* tensor = TRY(require(name, {n_rows, n_cols}));
    Matrix m{
        .dtype = tensor->dtype, .data = tensor->bytes().data(), .n_rows = n_rows, .n_cols = n_cols};
    const bool fits = n_cols % traits(DType::Q8_0).block == 0;
    if (!ops_.exact() && fits && !traits(m.dtype).quantised()) quantize(m);
    return m;
  }

  void quantize(Matrix& m) {
    auto& blocks = weights_.blocks.emplace_back(
        static_cast<std::size_t>(m.n_rows * size_bytes(DType::Q8_0, m.n_cols)));
    ops_.fit_q8_0(m, m.n_cols, false, blocks.data());
    m.dtype = DType::Q8_0;
    m.data = blocks.data();
  }

  // A scalar beside a linear; nullopt when the file has none.
  Result<std::optional<float>> bound(const Name& linear, std::string_view which) {
    for (std::string text : names_of(linear)) {
      text.resize(text.size() - kWeight.size());
      if (text.ends_with(kLinear)) text.resize(text.size() - kLinear.size());
      text += which;
      const TensorInfo* tensor = checkpoint_.find(text);
      if (!tensor) continue;
      used_.insert(text);
      TRY(check(*tensor, {1}));
      return std::optional<float>(widened(*tensor).front());
    }
    return std::optional<float>();
  }

  Result<Clip> clip(const Name& linear, std::string_view low, std::string_view high) {
    Clip clip;
    clip.low = TRY(bound(linear, low)).value_or(clip.low);
    clip.high = TRY(bound(linear, high)).value_or(clip.high);
    if (!(clip.low <= clip.high)) {
      return failed_precondition("{}: {}: clip bounds {} to {}, expected {} not above {}",
                                 checkpoint_.path(), names_of(linear).front(), clip.low, clip.high,
                                 low, high);
    }
    return clip;
  }

  Result<ClippedLinear> linear(const Name& name, std::int64_t n_rows, std::int64_t n_cols) {
    ClippedLinear linear;
    linear.weight = TRY(matrix(name, n_rows, n_cols));
    linear.in = TRY(clip(name, ".input_min", ".input_max"));
    linear.out = TRY(clip(name, ".output_min", ".output_max"));
    return linear;
  }

  Status bind_projection(std::int64_t n_cols) {
    weights_.projection = TRY(matrix(kProjection, config_.text_width, n_cols));
    return {};
  }

  // Kernels lie in files as [out, in, time, frequency]; channels become the innermost dimension.
  Status bind_subsampling() {
    constexpr int n0 = kConv0Channels, n1 = kConv1Channels, kKernel = 9;
    const auto conv0 = TRY(floats(kConv0, {n0, 1, 3, 3}));
    weights_.conv0.resize(conv0.size());
    for (int c = 0; c < n0; ++c) {
      for (int i = 0; i < kKernel; ++i) {
        weights_.conv0[static_cast<std::size_t>(i * n0 + c)] =
            conv0[static_cast<std::size_t>(c * kKernel + i)];
      }
    }
    weights_.conv0_norm = TRY(vector(kConv0Norm, n0));
    const auto conv1 = TRY(floats(kConv1, {n1, n0, 3, 3}));
    weights_.conv1.resize(conv1.size());
    for (int out = 0; out < n1; ++out) {
      for (int in = 0; in < n0; ++in) {
        for (int i = 0; i < kKernel; ++i) {
          weights_.conv1[static_cast<std::size_t>((out * kKernel + i) * n0 + in)] =
              conv1[static_cast<std::size_t>((out * n0 + in) * kKernel + i)];
        }
      }
    }
    weights_.conv1_norm = TRY(vector(kConv1Norm, n1));
    weights_.input = TRY(matrix(kInput, config_.width, kSubsampledWidth));
    return {};
  }

  Status bind_layer(ConformerWeights& w) {
    const std::int64_t D = config_.width;
    const std::int64_t F = config_.ffn_width;
    w.first.pre_norm = TRY(vector(kFirstPreNorm, D));
    w.first.up = TRY(linear(kFirstUp, F, D));
    w.first.down = TRY(linear(kFirstDown, D, F));
    w.first.post_norm = TRY(vector(kFirstPostNorm, D));

    w.pre_attn_norm = TRY(vector(kPreAttnNorm, D));
    w.q = TRY(linear(kQuery, D, D));
    w.k = TRY(linear(kKey, D, D));
    w.v = TRY(linear(kValue, D, D));
    w.q_scale = TRY(query_scale());
    w.relative = TRY(relative_keys());
    TRY(check_key_scale());
    w.post = TRY(linear(kPost, D, D));
    w.post_attn_norm = TRY(vector(kPostAttnNorm, D));

    w.pre_conv_norm = TRY(vector(kPreConvNorm, D));
    w.conv_start = TRY(linear(kConvStart, 2 * D, D));
    w.taps = TRY(depthwise_taps());
    w.conv_norm = TRY(vector(kConvNorm, D));
    w.conv_end = TRY(linear(kConvEnd, D, D));

    w.second.pre_norm = TRY(vector(kSecondPreNorm, D));
    w.second.up = TRY(linear(kSecondUp, F, D));
    w.second.down = TRY(linear(kSecondDown, D, F));
    w.second.post_norm = TRY(vector(kSecondPostNorm, D));
    w.out_norm = TRY(vector(kOutNorm, D));
    return {};
  }

  // softplus(p) / (ln 2 · sqrt(C)): 1 / sqrt(C) where p is 0.
  Result<std::vector<float>> query_scale() {
    const int C = config_.width / config_.n_heads;
    auto scale = TRY(floats(kPerDimScale, {C}));
    const double factor = 1.0 / (math::log(2.0) * std::sqrt(static_cast<double>(C)));
    for (float& s : scale) {
      s = static_cast<float>(factor * (in_folder() ? softplus(s) : static_cast<double>(s)));
    }
    return scale;
  }

  // Keys have a constant scale; a file may spell it out, but only that constant is known.
  Status check_key_scale() {
    const int C = config_.width / config_.n_heads;
    const TensorInfo* tensor = find(kPerDimKeyScale);
    if (!tensor) return {};
    TRY(check(*tensor, {C}));
    for (const float s : widened(*tensor)) {
      const double value = in_folder() ? softplus(s) : static_cast<double>(s);
      if (!(std::fabs(value - softplus(1.0)) < 1e-3)) {
        return unimplemented("{}: {}: key scales other than softplus(1)", checkpoint_.path(),
                             tensor->name);
      }
    }
    return {};
  }

  // W_rel · s(δ) for the distances of the keys that a query sees, the largest first; s(δ) is D/2
  // sines of falling frequency, then their cosines.
  Result<std::vector<float>> relative_keys() {
    const int D = config_.width;
    const int n = config_.left_keys;
    const auto weight = TRY(floats(kRelative, {D, D}));
    std::vector<float> sinusoids(static_cast<std::size_t>(n * D));
    for (int i = 0; i < D / 2; ++i) {
      const double omega = math::exp(-i * math::log(10'000.0) / (D / 2 - 1));
      for (int row = 0; row < n; ++row) {
        const double angle = (n - 1 - row) * omega;
        float* s = sinusoids.data() + row * D;
        s[i] = static_cast<float>(math::sin(angle));
        s[D / 2 + i] = static_cast<float>(math::cos(angle));
      }
    }
    std::vector<float> keys(sinusoids.size());
    ops_.kernels().matmul_f32(weight.data(), D, D, sinusoids.data(), D, n, D, keys.data(), D);
    return keys;
  }

  Result<std::vector<float>> depthwise_taps() {
    const int D = config_.width;
    const auto by_channel = TRY(floats(kConvTaps, {D, 1, kDepthwiseTaps}));
    std::vector<float> taps(by_channel.size());
    for (int c = 0; c < D; ++c) {
      for (int j = 0; j < kDepthwiseTaps; ++j) {
        taps[static_cast<std::size_t>(j * D + c)] =
            by_channel[static_cast<std::size_t>(c * kDepthwiseTaps + j)];
      }
    }
    return taps;
  }

  // Which matrices meet the fine form of activations (docs/decisions/0006-activation-forms.md):
  // those at both ends and two small ones of each layer. With them the mean cosine of the goldens'
  // rows is 0.99980; with all of them fine, at half the speed, 0.99985.
  void choose_forms() {
    weights_.input.fine = weights_.output.fine = weights_.projection.fine = true;
    for (ConformerWeights& w : weights_.layers) {
      w.post.weight.fine = w.conv_end.weight.fine = true;
    }
  }

  // A tensor of the tower that nothing here asked for would be a part that we leave out.
  Status refuse_unknown() const {
    for (const auto& tensor : checkpoint_.tensors()) {
      std::string_view rest = tensor.name;
      if (in_folder() && rest.starts_with("model.")) rest.remove_prefix(6);
      if (!rest.starts_with(in_folder() ? kInput.part : "a.") || used_.count(tensor.name)) continue;
      return failed_precondition("{}: unexpected tensor {} {}", checkpoint_.path(), tensor.name,
                                 shape_text(tensor.shape));
    }
    return {};
  }

  const Checkpoint& checkpoint_;
  const AudioConfig& config_;
  Ops& ops_;
  AudioWeights& weights_;
  int layer_ = -1;  // −1: of the tower
  std::unordered_set<std::string> used_;
};

}  // namespace

Result<AudioWeights> bind_audio_weights(const Checkpoint& checkpoint, const AudioConfig& config,
                                        Ops& ops) {
  AudioWeights weights;
  TRY(Binder(checkpoint, config, ops, weights).bind());
  return weights;
}

}  // namespace fourfold
