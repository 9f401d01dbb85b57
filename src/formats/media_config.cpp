#include "formats/media_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "formats/json_section.h"
#include "formats/model_config_forms.h"

namespace fourfold {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kArchitectureKey = "general.architecture";
constexpr std::string_view kMmprojArchitecture = "clip";
constexpr std::string_view kTextArchitecture = "gemma4";

// What all released towers have and no metadata needs to say.
constexpr int kPatchSize = 16;
constexpr int kPoolSize = 3;
constexpr int kUnifiedFrame = 640;  // samples
constexpr int kMelBins = 128;
constexpr int kMinLeftKeys = 1;
constexpr int kMaxLeftKeys = 1024;
constexpr int kAudioFfnFactor = 4;

bool has_tensor_with_prefix(const Checkpoint& checkpoint, std::string_view prefix) {
  return std::ranges::any_of(checkpoint.tensors(),
                             [&](const TensorInfo& t) { return t.name.starts_with(prefix); });
}

// The first side of a matrix: what some files say nowhere else. 0 when it is not there.
int rows_of(const Checkpoint& checkpoint, std::string_view tensor) {
  const TensorInfo* found = checkpoint.find(tensor);
  if (!found || found->shape.size() != 2) return 0;
  return static_cast<int>(std::clamp<std::int64_t>(found->shape[0], 0, kWidthBounds.max));
}

// Heads that split the width evenly, into parts that both axes can turn.
Status check_heads(std::string_view where, const VisionConfig& c) {
  if (c.n_heads * std::int64_t{c.head_dim} != c.width || c.head_dim % 4 != 0) {
    return invalid_argument(
        "{}: vision tower of width {} with {} heads of {} (expected heads that fill the width, of "
        "a multiple of 4)",
        where, c.width, c.n_heads, c.head_dim);
  }
  return {};
}

// --- GGUF: the keys of one part ---

class PartKeys {
 public:
  // `prefix` as in "clip.vision".
  PartKeys(const Checkpoint& checkpoint, std::string prefix)
      : path_(checkpoint.path()), keys_(*checkpoint.metadata()), prefix_(std::move(prefix)) {}

  std::string key(std::string_view name) const { return fmt::format("{}.{}", prefix_, name); }
  std::string where(std::string_view name) const {
    return fmt::format("{}: key \"{}\"", path_, key(name));
  }

  Result<std::optional<int>> find_int(std::string_view name, Bounds bounds) const {
    const auto value = TRY_IN(path_, keys_.find_u64(key(name)));
    if (!value) return std::optional<int>();
    const auto number = static_cast<std::int64_t>(std::min<std::uint64_t>(*value, INT64_MAX));
    const int checked = TRY(bounded(where(name), number, bounds));
    return std::optional(checked);
  }
  Result<int> require_int(std::string_view name, Bounds bounds) const {
    const auto value = TRY(find_int(name, bounds));
    if (!value) return invalid_argument("{} is missing", where(name));
    return *value;
  }
  Result<float> find_positive(std::string_view name, float otherwise) const {
    const auto value = TRY_IN(path_, keys_.find_f64(key(name)));
    if (!value) return otherwise;
    return positive(where(name), *value);
  }
  // Only this value is known.
  Status expect(std::string_view name, int expected) const {
    const auto value = TRY(find_int(name, {0, INT32_MAX}));
    if (value.value_or(expected) == expected) return {};
    return unimplemented("{} is {} (expected {})", where(name), *value, expected);
  }

 private:
  const std::string& path_;
  const GgufMetadata& keys_;
  std::string prefix_;
};

// Whether an mmproj promises a part: it says so, or holds tensors of it.
Result<bool> promises(const Checkpoint& checkpoint, std::string_view flag,
                      std::string_view tensor_prefix) {
  const auto value = TRY_IN(checkpoint.path(), checkpoint.metadata()->find_bool(flag));
  return value.value_or(has_tensor_with_prefix(checkpoint, tensor_prefix));
}

// True for the unified form. Files of one part may have the key without its name.
Result<bool> read_projector_type(const Checkpoint& checkpoint, std::string_view part,
                                 std::string_view tower, std::string_view unified) {
  const auto& keys = *checkpoint.metadata();
  std::string key = fmt::format("clip.{}.projector_type", part);
  if (!keys.find(key)) key = "clip.projector_type";
  const auto type = TRY_IN(checkpoint.path(), keys.require_string(key));
  if (type == unified) return true;
  if (type == tower) return false;
  return unimplemented("{}: key \"{}\" is {} (expected {} or {})", checkpoint.path(), key,
                       printable(type), tower, unified);
}

Result<VisionConfig> read_vision_keys(const PartKeys& keys, VisionConfig c) {
  TRY(keys.expect("patch_size", kPatchSize));
  TRY(keys.expect("projector.scale_factor", kPoolSize));
  c.width = TRY(keys.require_int("embedding_length", kWidthBounds));
  c.rms_eps = TRY(keys.find_positive("attention.layer_norm_epsilon", c.rms_eps));
  if (c.unified) return c;
  c.n_layers = TRY(keys.require_int("block_count", kLayerBounds));
  c.n_heads = TRY(keys.require_int("attention.head_count", kHeadBounds));
  c.ffn_width = TRY(keys.require_int("feed_forward_length", kFfnBounds));
  c.head_dim = c.width / c.n_heads;
  TRY(check_heads(keys.where("attention.head_count"), c));
  return c;
}

Result<AudioConfig> read_audio_keys(const PartKeys& keys, AudioConfig c) {
  c.width = TRY(keys.require_int("embedding_length", kWidthBounds));
  c.rms_eps = TRY(keys.find_positive("attention.layer_norm_epsilon", c.rms_eps));
  if (c.unified) return c;
  TRY(keys.expect("num_mel_bins", kMelBins));
  c.n_layers = TRY(keys.require_int("block_count", kLayerBounds));
  c.n_heads = TRY(keys.require_int("attention.head_count", kHeadBounds));
  const auto ffn_width = TRY(keys.find_int("feed_forward_length", kFfnBounds));
  c.ffn_width = ffn_width.value_or(kAudioFfnFactor * c.width);
  return c;
}

Result<std::optional<VisionConfig>> read_mmproj_vision(const Checkpoint& checkpoint) {
  if (!TRY(promises(checkpoint, "clip.has_vision_encoder", "v."))) {
    return std::optional<VisionConfig>();
  }
  const PartKeys keys(checkpoint, "clip.vision");
  VisionConfig c{.names = MediaNames::Mmproj};
  c.unified = TRY(read_projector_type(checkpoint, "vision", "gemma4v", "gemma4uv"));
  c.text_width = TRY(keys.require_int("projection_dim", kWidthBounds));
  c = TRY(read_vision_keys(keys, c));
  return std::optional(c);
}

Result<std::optional<AudioConfig>> read_mmproj_audio(const Checkpoint& checkpoint) {
  if (!TRY(promises(checkpoint, "clip.has_audio_encoder", "a."))) {
    return std::optional<AudioConfig>();
  }
  const PartKeys keys(checkpoint, "clip.audio");
  AudioConfig c{.names = MediaNames::Mmproj};
  c.unified = TRY(read_projector_type(checkpoint, "audio", "gemma4a", "gemma4ua"));
  c.text_width = TRY(keys.require_int("projection_dim", kWidthBounds));
  c = TRY(read_audio_keys(keys, c));
  if (!c.unified) c.output_width = rows_of(checkpoint, "a.pre_encode.out.weight");
  return std::optional(c);
}

// Ollama's file of all parts: the towers' keys follow the text's.
Result<std::optional<VisionConfig>> read_combined_vision(const Checkpoint& checkpoint) {
  const PartKeys keys(checkpoint, "gemma4.vision");
  const auto n_layers = TRY(keys.find_int("block_count", {0, kLayerBounds.max}));
  if (n_layers.value_or(0) == 0) return std::optional<VisionConfig>();
  VisionConfig c{.names = MediaNames::Ollama};
  c.text_width = TRY(PartKeys(checkpoint, "gemma4").require_int("embedding_length", kWidthBounds));
  c = TRY(read_vision_keys(keys, c));
  return std::optional(c);
}

Result<std::optional<AudioConfig>> read_combined_audio(const Checkpoint& checkpoint) {
  const PartKeys keys(checkpoint, "gemma4.audio");
  const auto n_layers = TRY(keys.find_int("block_count", {0, kLayerBounds.max}));
  if (n_layers.value_or(0) == 0) return std::optional<AudioConfig>();
  AudioConfig c{.names = MediaNames::Ollama};
  c.text_width = TRY(PartKeys(checkpoint, "gemma4").require_int("embedding_length", kWidthBounds));
  c = TRY(read_audio_keys(keys, c));
  c.output_width = rows_of(checkpoint, "mm.a.fc.weight");
  return std::optional(c);
}

// --- config.json ---

struct FolderSections {
  JsonSection root, text, part;
  bool unified = false;
};

// nullopt for folders without the part, and for those of Gemma 3, whose towers are others.
Result<std::optional<FolderSections>> find_sections(const Checkpoint& checkpoint,
                                                    const nlohmann::json& document,
                                                    std::string_view part) {
  const auto root = root_section(checkpoint, document, "config.json");
  const auto model_type = TRY(root.text("model_type", ""));
  const bool unified = model_type == "gemma4_unified";
  if (!unified && model_type != "gemma4") return std::optional<FolderSections>();
  auto text = TRY(root.find_section("text_config"));
  auto section = TRY(root.find_section(part));
  if (!section.present()) return std::optional<FolderSections>();
  return std::optional(FolderSections{root, std::move(text), std::move(section), unified});
}

// Only this value is known.
Status expect(const JsonSection& section, std::string_view key, int expected) {
  const auto value = TRY(section.find_int(key, {0, INT32_MAX}));
  if (value.value_or(expected) == expected) return {};
  return unimplemented("{} is {} (expected {})", section.where(key), *value, expected);
}
Status expect(const JsonSection& section, std::string_view key, std::string_view expected) {
  const auto value = TRY(section.text(key, expected));
  if (value == expected) return {};
  return unimplemented("{} is {} (expected {})", section.where(key), printable(value), expected);
}

Status expect_number(const JsonSection& section, std::string_view key, double expected) {
  const auto value = TRY(section.find_number(key));
  if (std::abs(value.value_or(expected) - expected) <= 1e-9 * std::abs(expected)) return {};
  return unimplemented("{} is {} (expected {})", section.where(key), *value, expected);
}

// What is done to sound before the tower sees it (audio.md 3): there is one way of it here.
Status check_front_end(const JsonSection& s) {
  struct Known {
    std::string_view key;
    double value;
  };
  constexpr Known kKnown[] = {{"feature_size", 128},   {"sampling_rate", 16'000},
                              {"frame_length", 320},   {"frame_length_ms", 20},
                              {"hop_length", 160},     {"hop_length_ms", 10},
                              {"fft_length", 512},     {"min_frequency", 0},
                              {"max_frequency", 8000}, {"preemphasis", 0},
                              {"dither", 0},           {"input_scale_factor", 1},
                              {"mel_floor", 1e-3}};
  for (const Known& known : kKnown) TRY(expect_number(s, known.key, known.value));
  if (TRY(s.flag("fft_overdrive", false))) {
    return unimplemented("{} is true (expected false)", s.where("fft_overdrive"));
  }
  for (const std::string_view key : {"per_bin_mean", "per_bin_stddev"}) {
    if (s.find(key)) return unimplemented("{} is set (expected null)", s.where(key));
  }
  return {};
}

// It lies with the processor's settings, in some folders alone.
Status check_front_end(const Checkpoint& checkpoint) {
  const auto processor = TRY(read_json_document(checkpoint, "processor_config.json"));
  const auto root = root_section(checkpoint, processor, "processor_config.json");
  const auto extractor = TRY(root.find_section("feature_extractor"));
  TRY(check_front_end(extractor));
  const auto alone = TRY(read_json_document(checkpoint, "preprocessor_config.json"));
  return check_front_end(root_section(checkpoint, alone, "preprocessor_config.json"));
}

Result<VisionConfig> read_folder_vision(const FolderSections& s) {
  VisionConfig c{.names = MediaNames::Folder, .unified = s.unified};
  TRY(expect(s.part, "patch_size", kPatchSize));
  TRY(expect(s.part, "pooling_kernel_size", kPoolSize));
  c.text_width = TRY(s.text.require_int("hidden_size", kWidthBounds));
  const auto eps = TRY(s.part.find_positive("rms_norm_eps"));
  c.rms_eps = eps.value_or(c.rms_eps);
  if (s.unified) {
    c.width = TRY(s.part.require_int("mm_embed_dim", kWidthBounds));
    return c;
  }
  TRY(expect(s.part, "hidden_activation", "gelu_pytorch_tanh"));
  c.width = TRY(s.part.require_int("hidden_size", kWidthBounds));
  c.n_layers = TRY(s.part.require_int("num_hidden_layers", kLayerBounds));
  c.n_heads = TRY(s.part.require_int("num_attention_heads", kHeadBounds));
  TRY(expect(s.part, "num_key_value_heads", c.n_heads));
  const auto head_dim = TRY(s.part.find_int("head_dim", kHeadDimBounds));
  c.head_dim = head_dim.value_or(c.width / c.n_heads);
  c.ffn_width = TRY(s.part.require_int("intermediate_size", kFfnBounds));
  const auto rope = TRY(s.part.find_section("rope_parameters"));
  const auto base = TRY(rope.find_positive("rope_theta"));
  c.rope_base = base.value_or(c.rope_base);
  TRY(check_heads(s.part.where("num_attention_heads"), c));
  return c;
}

Result<AudioConfig> read_folder_audio(const FolderSections& s) {
  AudioConfig c{.names = MediaNames::Folder, .unified = s.unified};
  c.text_width = TRY(s.text.require_int("hidden_size", kWidthBounds));
  const auto eps = TRY(s.part.find_positive("rms_norm_eps"));
  c.rms_eps = eps.value_or(c.rms_eps);
  if (s.unified) {
    const auto width = TRY(s.part.find_int("audio_embed_dim", kWidthBounds));
    c.width = width.value_or(kUnifiedFrame);
    return c;
  }
  TRY(expect(s.part, "hidden_act", "silu"));
  TRY(expect(s.part, "attention_context_right", 0));
  TRY(expect_number(s.part, "attention_logit_cap", 50.0));
  TRY(expect_number(s.part, "residual_weight", 0.5));
  c.width = TRY(s.part.require_int("hidden_size", kWidthBounds));
  c.n_layers = TRY(s.part.require_int("num_hidden_layers", kLayerBounds));
  c.n_heads = TRY(s.part.require_int("num_attention_heads", kHeadBounds));
  c.ffn_width = kAudioFfnFactor * c.width;
  c.output_width = TRY(s.part.require_int("output_proj_dims", kWidthBounds));
  // The reference takes a left context of n as n − 1 keys (audio.md 5.2).
  const auto left =
      TRY(s.part.find_int("attention_context_left", {kMinLeftKeys + 1, kMaxLeftKeys + 1}));
  if (left) c.left_keys = *left - 1;
  return c;
}

bool is_gguf_of(const Checkpoint& checkpoint, std::string_view architecture) {
  const auto* keys = checkpoint.metadata();
  if (!keys) return false;
  const auto value = keys->find_string(kArchitectureKey);
  return value && *value == architecture;
}

// --- the projector beside a text file ---

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

// What the header of a candidate says; files that cannot be read are none.
bool fits_beside(const std::string& path, int text_width) {
  const auto file = MappedFile::open(path);
  if (!file) return false;
  const auto gguf = GgufFile::parse(*file);
  if (!gguf) return false;
  const auto& keys = gguf->metadata();
  const auto architecture = keys.find_string(kArchitectureKey);
  if (!architecture || *architecture != kMmprojArchitecture) return false;
  for (const std::string_view key : {"clip.vision.projection_dim", "clip.audio.projection_dim"}) {
    const auto width = keys.find_u64(key);
    if (width && *width && **width == static_cast<std::uint64_t>(text_width)) return true;
  }
  return false;
}

}  // namespace

bool is_mmproj(const Checkpoint& checkpoint) { return is_gguf_of(checkpoint, kMmprojArchitecture); }

Result<std::optional<VisionConfig>> load_vision_config(const Checkpoint& checkpoint) {
  if (is_mmproj(checkpoint)) return read_mmproj_vision(checkpoint);
  if (is_gguf_of(checkpoint, kTextArchitecture)) return read_combined_vision(checkpoint);
  if (checkpoint.form() == Checkpoint::Form::Gguf) return std::optional<VisionConfig>();
  const auto document = TRY(read_json_document(checkpoint, "config.json"));
  const auto sections = TRY(find_sections(checkpoint, document, "vision_config"));
  if (!sections) return std::optional<VisionConfig>();
  const auto config = TRY(read_folder_vision(*sections));
  return std::optional(config);
}

Result<std::optional<AudioConfig>> load_audio_config(const Checkpoint& checkpoint) {
  if (is_mmproj(checkpoint)) return read_mmproj_audio(checkpoint);
  if (is_gguf_of(checkpoint, kTextArchitecture)) return read_combined_audio(checkpoint);
  if (checkpoint.form() == Checkpoint::Form::Gguf) return std::optional<AudioConfig>();
  const auto document = TRY(read_json_document(checkpoint, "config.json"));
  const auto sections = TRY(find_sections(checkpoint, document, "audio_config"));
  if (!sections) return std::optional<AudioConfig>();
  const auto config = TRY(read_folder_audio(*sections));
  if (!config.unified) TRY(check_front_end(checkpoint));
  return std::optional(config);
}

Result<std::optional<std::string>> find_mmproj(const std::string& model_path, int text_width) {
  const fs::path model(model_path);
  const fs::path folder = model.has_parent_path() ? model.parent_path() : fs::path(".");
  std::error_code error;
  std::vector<std::string> found;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path& path = entry->path();
    if (path.extension() != ".gguf" || same_file(path, model)) continue;
    if (fits_beside(path.string(), text_width)) found.push_back(path.string());
  }
  std::ranges::sort(found);
  if (found.size() > 1) {
    return failed_precondition("{}: {} projectors lie beside it: {} (expected one, or --mmproj)",
                               model_path, found.size(), fmt::join(found, ", "));
  }
  if (found.empty()) return std::optional<std::string>();
  return std::optional(std::move(found.front()));
}

}  // namespace fourfold
