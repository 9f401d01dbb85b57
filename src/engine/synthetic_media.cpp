#include "engine/synthetic_media.h"

#include <string>
#include <utility>

namespace fourfold {
namespace {

// audio.md 1; the two encoders differ in the rows that they give only.
constexpr int kAudioWidth = 1024;
constexpr int kAudioLayers = 12;
constexpr int kAudioHeads = 8;
constexpr int kAudioOutput = 1536;

// vision-video.md 1.
constexpr int kPositions = 10'240;
struct VisionSizes {
  std::int64_t width, ffn_width;
  int n_layers, n_heads;
  bool small;  // with bounds of linears, without a standard range
};
constexpr VisionSizes kSmallVision{768, 3072, 16, 12, true};
constexpr VisionSizes kLargeVision{1152, 4304, 27, 16, false};

struct Body {
  std::string_view name;
  int text_width;
  VisionSizes vision;
  bool hears;
};
constexpr Body kBodies[] = {{"e2b", 1536, kSmallVision, true},
                            {"e4b", 2560, kSmallVision, true},
                            {"26b", 2816, kLargeVision, false},
                            {"31b", 5376, kLargeVision, false}};

class Layout {
 public:
  explicit Layout(const Body& body) : body_(body), text_width_(body.text_width) {}

  GgufWriter build() {
    writer_.add_string("general.architecture", "clip");
    writer_.add_string("general.name", "synthetic towers");
    add_vision_keys();
    if (body_.hears) add_audio_keys();
    add_vision();
    if (body_.hears) add_audio();
    return std::move(writer_);
  }

 private:
  void vector(const std::string& name, std::int64_t n) {
    writer_.add_tensor(name, DType::F32, {n});
  }
  void matrix(const std::string& name, std::int64_t n_rows, std::int64_t n_cols) {
    writer_.add_tensor(name, DType::BF16, {n_rows, n_cols});
  }
  void clipped(const std::string& name, std::int64_t n_rows, std::int64_t n_cols) {
    for (const char* bound : {"input_min", "input_max", "output_min", "output_max"}) {
      vector(fmt::format("{}.{}", name, bound), 1);
    }
    matrix(name + ".weight", n_rows, n_cols);
  }

  // A linear of the vision tower: small bodies clip it.
  void linear(const std::string& name, std::int64_t n_rows, std::int64_t n_cols) {
    if (body_.vision.small) return clipped(name, n_rows, n_cols);
    matrix(name + ".weight", n_rows, n_cols);
  }

  void add_vision_keys() {
    const VisionSizes& v = body_.vision;
    writer_.add_bool("clip.has_vision_encoder", true);
    writer_.add_string("clip.vision.projector_type", "gemma4v");
    writer_.add_u32("clip.vision.embedding_length", static_cast<std::uint32_t>(v.width));
    writer_.add_u32("clip.vision.feed_forward_length", static_cast<std::uint32_t>(v.ffn_width));
    writer_.add_u32("clip.vision.block_count", static_cast<std::uint32_t>(v.n_layers));
    writer_.add_u32("clip.vision.attention.head_count", static_cast<std::uint32_t>(v.n_heads));
    writer_.add_f32("clip.vision.attention.layer_norm_epsilon", 1e-6f);
    writer_.add_u32("clip.vision.patch_size", 16);
    writer_.add_u32("clip.vision.projection_dim", static_cast<std::uint32_t>(text_width_));
  }

  void add_vision() {
    const std::int64_t D = body_.vision.width;
    writer_.add_tensor("v.patch_embd.weight", DType::F32, {D, 3, 16, 16});
    writer_.add_tensor("v.position_embd.weight", DType::F32, {2, kPositions, D});
    for (int i = 0; i < body_.vision.n_layers; ++i) add_vision_layer(fmt::format("v.blk.{}.", i));
    if (!body_.vision.small) {
      vector("v.std_bias", D);
      vector("v.std_scale", D);
    }
    matrix("mm.input_projection.weight", text_width_, D);
  }

  void add_vision_layer(const std::string& at) {
    const std::int64_t D = body_.vision.width;
    const std::int64_t F = body_.vision.ffn_width;
    for (const char* norm : {"ln1", "attn_post_norm", "ln2", "ffn_post_norm"}) {
      vector(fmt::format("{}{}.weight", at, norm), D);
    }
    for (const char* norm : {"attn_q_norm", "attn_k_norm"}) {
      vector(fmt::format("{}{}.weight", at, norm), D / body_.vision.n_heads);
    }
    for (const char* square : {"attn_q", "attn_k", "attn_v", "attn_out"}) linear(at + square, D, D);
    linear(at + "ffn_gate", F, D);
    linear(at + "ffn_up", F, D);
    linear(at + "ffn_down", D, F);
  }

  void add_audio_keys() {
    writer_.add_bool("clip.has_audio_encoder", true);
    writer_.add_string("clip.audio.projector_type", "gemma4a");
    writer_.add_u32("clip.audio.embedding_length", kAudioWidth);
    writer_.add_u32("clip.audio.feed_forward_length", 4 * kAudioWidth);
    writer_.add_u32("clip.audio.block_count", kAudioLayers);
    writer_.add_u32("clip.audio.attention.head_count", kAudioHeads);
    writer_.add_f32("clip.audio.attention.layer_norm_epsilon", 1e-6f);
    writer_.add_u32("clip.audio.num_mel_bins", 128);
    writer_.add_u32("clip.audio.projection_dim", static_cast<std::uint32_t>(text_width_));
  }

  void add_audio() {
    writer_.add_tensor("a.conv1d.0.weight", DType::F32, {128, 1, 3, 3});
    vector("a.conv1d.0.norm.weight", 128);
    writer_.add_tensor("a.conv1d.1.weight", DType::F32, {32, 128, 3, 3});
    vector("a.conv1d.1.norm.weight", 32);
    writer_.add_tensor("a.input_projection.weight", DType::F32, {kAudioWidth, 1024});
    for (int i = 0; i < kAudioLayers; ++i) add_audio_layer(fmt::format("a.blk.{}.", i));
    matrix("a.pre_encode.out.weight", kAudioOutput, kAudioWidth);
    vector("a.pre_encode.out.bias", kAudioOutput);
    matrix("mm.a.input_projection.weight", text_width_, kAudioOutput);
  }

  void add_audio_layer(const std::string& at) {
    constexpr std::int64_t D = kAudioWidth;
    for (const char* norm : {"ffn_norm", "ffn_post_norm", "ffn_norm_1", "ffn_post_norm_1",
                             "attn_pre_norm", "attn_post_norm", "conv_norm", "norm_conv", "ln2"}) {
      vector(fmt::format("{}{}.weight", at, norm), D);
    }
    for (const char* up : {"ffn_up", "ffn_up_1"}) clipped(at + up, 4 * D, D);
    for (const char* down : {"ffn_down", "ffn_down_1"}) clipped(at + down, D, 4 * D);
    for (const char* square : {"attn_q", "attn_k", "attn_v", "attn_out", "conv_pw2"}) {
      clipped(at + square, D, D);
    }
    clipped(at + "conv_pw1", 2 * D, D);
    matrix(at + "attn_k_rel.weight", D, D);
    vector(at + "per_dim_scale.weight", D / kAudioHeads);
    writer_.add_tensor(at + "conv_dw.weight", DType::F32, {D, 5});
  }

  const Body& body_;
  int text_width_;
  GgufWriter writer_;
};

}  // namespace

Result<GgufWriter> synthetic_towers_layout(std::string_view body) {
  for (const Body& known : kBodies) {
    if (known.name == body) return Layout(known).build();
  }
  return invalid_argument("body: \"{}\" (expected e2b, e4b, 26b or 31b)", body);
}

Status write_synthetic_tower_tensor(const GgufWriter::Tensor& tensor,
                                    const GgufWriter::Sink& sink) {
  constexpr float kBound = 100.0f;
  const bool low = tensor.name.ends_with("put_min");
  if (!low && !tensor.name.ends_with("put_max")) return write_synthetic_tensor(tensor, sink);
  const float bound = low ? -kBound : kBound;
  return sink(std::as_bytes(std::span(&bound, 1)));
}

Result<SyntheticBody> make_synthetic_towers(std::string_view body, const MemoryBudget& budget) {
  const GgufWriter layout = TRY(synthetic_towers_layout(body));
  return SyntheticBody::make(fmt::format("towers of {}", body), layout,
                             write_synthetic_tower_tensor, budget);
}

}  // namespace fourfold
