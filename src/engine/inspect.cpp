#include "engine/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "base/checked.h"
#include "base/json.h"
#include "base/resources.h"
#include "base/thread_pool.h"
#include "base/utf8.h"
#include "engine/media_encoder.h"
#include "formats/safetensors.h"
#include "model/text/rope.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

constexpr std::int64_t kShownContexts[] = {8192, 32768};
constexpr std::string_view kAdapterConfig = "adapter_config.json";
constexpr std::string_view kAdapterWeights = "adapter_model.safetensors";
constexpr std::string_view kTokenizerJson = "tokenizer.json";

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

std::string in_folder(const std::string& folder, std::string_view name) {
  return (std::filesystem::path(folder) / name).string();
}

// --- Tensors by name ---

bool starts_with_any(std::string_view text, std::span<const std::string_view> prefixes) {
  return std::ranges::any_of(prefixes, [&](auto prefix) { return text.starts_with(prefix); });
}

// Multimodal classes put it before every name.
std::string_view without_model(std::string_view tensor) {
  constexpr std::string_view kPrefix = "model.";
  if (tensor.starts_with(kPrefix)) tensor.remove_prefix(kPrefix.size());
  return tensor;
}

// A part of a multimodal model, known by the beginning of its tensors' names.
struct MediaPart {
  std::string_view what;
  std::string_view gguf_prefix;
  std::vector<std::string_view> folder_prefixes;
};
const MediaPart kVisionTower = {"vision tower", "v.", {"vision_tower.", "vision_embedder."}};
const MediaPart kVisionProjection = {
    "vision projection", "mm.input_projection.", {"embed_vision.", "multi_modal_projector."}};
const MediaPart kAudioTower = {"audio tower", "a.", {"audio_tower."}};
const MediaPart kAudioProjection = {"audio projection", "mm.a.", {"embed_audio."}};

bool belongs_to(const MediaPart& part, std::string_view tensor, Checkpoint::Form form) {
  if (form == Checkpoint::Form::Gguf) return tensor.starts_with(part.gguf_prefix);
  return starts_with_any(without_model(tensor), part.folder_prefixes);
}

// Weights of the text body: no towers, no drafter in the same file, no copy of the tied head, and
// not the divisors of the rotation, which are no parameters.
bool is_text_weight(std::string_view tensor, Checkpoint::Form form) {
  constexpr std::string_view kOthers[] = {"v.", "a.", "mm.", "mtp.", "nextn.", "rope_freqs."};
  if (form == Checkpoint::Form::Gguf) return !starts_with_any(tensor, kOthers);
  const bool media =
      belongs_to(kVisionTower, tensor, form) || belongs_to(kVisionProjection, tensor, form) ||
      belongs_to(kAudioTower, tensor, form) || belongs_to(kAudioProjection, tensor, form);
  return !media && tensor.find("lm_head.") == tensor.npos;
}

std::int64_t count_elements(const std::vector<TensorInfo>& tensors) {
  std::int64_t total = 0;
  for (const TensorInfo& tensor : tensors) total += tensor.n_elements();
  return total;
}

std::int64_t count_text_elements(const Checkpoint& checkpoint) {
  std::int64_t total = 0;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (is_text_weight(tensor.name, checkpoint.form())) total += tensor.n_elements();
  }
  return total;
}

std::vector<TypeCensus> take_census(const std::vector<TensorInfo>& tensors) {
  std::map<DType, TypeCensus> by_type;
  for (const TensorInfo& tensor : tensors) {
    TypeCensus& census = by_type[tensor.dtype];
    census.type = tensor.dtype;
    census.n_tensors += 1;
    census.n_elements += tensor.n_elements();
    census.size_bytes += tensor.size_bytes;
  }
  std::vector<TypeCensus> result;
  result.reserve(by_type.size());
  for (const auto& [type, census] : by_type) result.push_back(census);
  std::ranges::stable_sort(result, std::greater(), &TypeCensus::size_bytes);
  return result;
}

// --- Modalities ---

bool holds(const Checkpoint& checkpoint, const MediaPart& part) {
  return std::ranges::any_of(checkpoint.tensors(), [&](const TensorInfo& tensor) {
    return belongs_to(part, tensor.name, checkpoint.form());
  });
}

// `why_not` is said where the parts are there and are of no use.
Modality find_modality(const Checkpoint& checkpoint, const std::vector<MediaPart>& parts,
                       bool available, const std::string& why_not) {
  Modality modality{.available = available, .missing = {}};
  if (available) return modality;
  for (const MediaPart& part : parts) {
    if (holds(checkpoint, part)) continue;
    const bool gguf = checkpoint.form() == Checkpoint::Form::Gguf;
    modality.missing.push_back(
        fmt::format("{} ({}*)", part.what, gguf ? part.gguf_prefix : part.folder_prefixes[0]));
  }
  if (modality.missing.empty()) modality.missing.push_back(why_not);
  return modality;
}

// In this file, or in a projector file beside it.
Status find_modalities(const Checkpoint& checkpoint, int text_width, Inspection& report) {
  const std::shared_ptr<const Checkpoint> unowned(std::shared_ptr<void>(), &checkpoint);
  const auto media = TRY(MediaEncoder::open(unowned, {.text_width = text_width, .mmproj = {}}));
  const MediaCapabilities& can = media->capabilities();
  report.image =
      find_modality(checkpoint, {kVisionTower, kVisionProjection}, can.vision, can.no_vision);
  report.video = report.image;
  if (can.vision && !can.video) report.video = {.available = false, .missing = {can.no_video}};
  if (report.body == "26b" || report.body == "31b" || report.architecture == "gemma3") {
    report.audio.missing = {"audio is not part of this body"};
  } else if (report.body == "12b") {  // takes the samples without a tower
    report.audio = find_modality(checkpoint, {kAudioProjection}, can.audio, can.no_audio);
  } else {
    report.audio =
        find_modality(checkpoint, {kAudioTower, kAudioProjection}, can.audio, can.no_audio);
  }
  return {};
}

// --- Tokenizer ---

TokenId find_id(const GgufMetadata* metadata, std::string_view key, TokenId otherwise) {
  if (!metadata) return otherwise;
  const auto ids = metadata->find_ints(key);
  if (!ids.ok() || !*ids || (*ids)->empty()) return otherwise;
  return static_cast<TokenId>((*ids)->front());
}

TokenizerFacts describe(const Tokenizer& tokenizer, const GgufMetadata* metadata) {
  TokenizerFacts facts{
      .model = "BPE",
      .n_pieces = tokenizer.vocab_size(),
      .n_merges = tokenizer.n_merges(),
      .bos = find_id(metadata, "tokenizer.ggml.bos_token_id", tokenizer.control().bos),
      .eos = find_id(metadata, "tokenizer.ggml.eos_token_id", tokenizer.control().eos),
      .stop = tokenizer.stop_ids()};
  if (!metadata) return facts;
  const auto model = metadata->find_string("tokenizer.ggml.model");
  if (model.ok() && *model) facts.model = **model;
  return facts;
}

void add_tokenizer(const Result<Tokenizer>& tokenizer, const GgufMetadata* metadata,
                   Inspection& report) {
  if (!tokenizer.ok()) {
    report.warnings.push_back("no usable tokenizer: " + tokenizer.error().message);
    return;
  }
  report.tokenizer = describe(*tokenizer, metadata);
  const auto& warnings = tokenizer->warnings();
  report.warnings.insert(report.warnings.end(), warnings.begin(), warnings.end());
}

// --- Data ---

// Elements of a tensor that are looked at together: a multiple of every block.
constexpr std::int64_t kPieceElements = std::int64_t{1} << 18;

// Finds values and scales that are no finite numbers; one worker has one.
class DataChecker {
 public:
  // "element 7 is inf", nullopt when all is well. Types that are never computed with pass.
  Result<std::optional<std::string>> check(const TensorInfo& tensor) {
    if (!is_weight_type(tensor.dtype)) return std::optional<std::string>();
    const std::int64_t n_elements = tensor.n_elements();
    for (std::int64_t first = 0; first < n_elements; first += kPieceElements) {
      const std::int64_t n = std::min(kPieceElements, n_elements - first);
      bytes_.resize(static_cast<std::size_t>(size_bytes(tensor.dtype, n)));
      const auto offset = static_cast<std::uint64_t>(size_bytes(tensor.dtype, first));
      TRY(tensor.file->read_at(tensor.offset + offset, bytes_));
      auto bad = traits(tensor.dtype).quantised() ? check_scales(tensor.dtype, first, n)
                                                  : check_values(tensor.dtype, first, n);
      if (bad) return bad;
    }
    return std::optional<std::string>();
  }

 private:
  static std::optional<std::size_t> find_not_finite(std::span<const float> values) {
    const auto bad = std::ranges::find_if(values, [](float v) { return !std::isfinite(v); });
    if (bad == values.end()) return std::nullopt;
    return static_cast<std::size_t>(bad - values.begin());
  }

  std::optional<std::string> check_values(DType type, std::int64_t first, std::int64_t n) {
    values_.resize(static_cast<std::size_t>(n));
    dequantize(type, bytes_.data(), n, values_.data());
    const auto bad = find_not_finite(values_);
    if (!bad) return std::nullopt;
    return fmt::format("element {} is {}", first + static_cast<std::int64_t>(*bad), values_[*bad]);
  }

  std::optional<std::string> check_scales(DType type, std::int64_t first, std::int64_t n) {
    const DTypeTraits& t = traits(type);
    quants_.resize(static_cast<std::size_t>(n));
    values_.resize(static_cast<std::size_t>(n / t.group));
    offsets_.assign(t.has_min ? values_.size() : 0, 0.0f);
    unpack_blocks(type, bytes_.data(), n / t.block, quants_.data(), values_.data(),
                  t.has_min ? offsets_.data() : nullptr);
    const auto describe_group = [&](std::string_view what, std::size_t group, float value) {
      const std::int64_t begin = first + static_cast<std::int64_t>(group) * t.group;
      return fmt::format("the {} of elements {} to {} is {}", what, begin, begin + t.group - 1,
                         value);
    };
    const auto scale = find_not_finite(values_);
    const auto offset = find_not_finite(offsets_);
    if (scale && (!offset || *scale <= *offset)) {
      return describe_group("scale", *scale, values_[*scale]);
    }
    if (offset) return describe_group("minimum", *offset, offsets_[*offset]);
    return std::nullopt;
  }

  std::vector<std::byte> bytes_;
  std::vector<std::int8_t> quants_;
  std::vector<float> values_;
  std::vector<float> offsets_;
};

std::vector<std::string> check_data(const std::vector<TensorInfo>& tensors) {
  const CpuBudget cpus = read_cpu_budget();
  ThreadPool pool(cpus.n_threads, cpus.n_threads);
  std::vector<DataChecker> checkers(static_cast<std::size_t>(pool.n_threads()));
  std::vector<std::string> found(tensors.size());
  pool.parallel_for(
      static_cast<std::int64_t>(tensors.size()), 1,
      [&](std::int64_t begin, std::int64_t end, int worker) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
          const auto bad = checkers[static_cast<std::size_t>(worker)].check(tensors[i]);
          if (!bad.ok()) {
            found[i] = bad.error().message;
          } else if (*bad) {
            found[i] = fmt::format("{}: {} (a finite number expected)", tensors[i].name, **bad);
          }
        }
      });
  std::erase(found, "");
  return found;
}

// --- Kinds of files ---

constexpr std::string_view kDrafterArchitectures[] = {"gemma4-assistant", "gemma4_assistant",
                                                      "gemma4_mtp"};
constexpr std::string_view kDrafterModelTypes[] = {"gemma4_assistant", "gemma4_unified_assistant"};

Result<FileKind> kind_of_gguf(const Checkpoint& checkpoint) {
  const GgufMetadata& keys = *checkpoint.metadata();
  const auto text = [&](std::string_view key) -> Result<std::string_view> {
    const auto value = TRY_IN(checkpoint.path(), keys.find_string(key));
    return value.value_or(std::string_view());
  };
  const std::string_view type = TRY(text("general.type"));
  const std::string_view architecture = TRY(text("general.architecture"));
  const std::string_view assistant = TRY(text("gemma4.assistant.type"));
  if (type == "adapter") return FileKind::Adapter;
  if (type == "mmproj" || architecture == "clip") return FileKind::Projector;
  if (assistant == "mtp" ||
      std::ranges::find(kDrafterArchitectures, architecture) != std::end(kDrafterArchitectures)) {
    return FileKind::Drafter;
  }
  const bool has_pieces = keys.find("tokenizer.ggml.tokens") != nullptr;
  if (has_pieces && checkpoint.tensors().empty()) return FileKind::Tokenizer;
  return FileKind::Model;
}

// The model_type of config.json; a file that does not parse is load_model_config's to complain of.
std::string model_type(const Checkpoint& checkpoint) {
  const auto config = parse_json(checkpoint.json_text("config.json"));
  if (!config.ok() || !config->is_object()) return {};
  const auto type = config->find("model_type");
  return type != config->end() && type->is_string() ? type->get<std::string>() : std::string();
}

std::string architecture_of(const Checkpoint& checkpoint) {
  const auto* metadata = checkpoint.metadata();
  if (!metadata) return model_type(checkpoint);
  const auto architecture = metadata->find_string("general.architecture");
  return architecture.ok() ? std::string(architecture->value_or("")) : std::string();
}

Result<FileKind> kind_of(const Checkpoint& checkpoint) {
  if (checkpoint.metadata()) return kind_of_gguf(checkpoint);
  const bool drafter =
      std::ranges::find(kDrafterModelTypes, model_type(checkpoint)) != std::end(kDrafterModelTypes);
  return drafter ? FileKind::Drafter : FileKind::Model;
}

// A configuration within all bounds may still ask for more memory than 63 bits can count.
bool is_countable(const KvPlan& plan, std::int64_t max_context) {
  const std::int64_t most_rows = std::max(max_context, plan.ring_rows()) + kKeyBlock;
  const auto size = checked_mul(static_cast<std::uint64_t>(plan.bytes_per_token_within_window()),
                                static_cast<std::uint64_t>(most_rows));
  return size && *size <= static_cast<std::uint64_t>(INT64_MAX);
}

Status add_model(const Checkpoint& checkpoint, const InspectOptions& options, Inspection& report) {
  ModelConfig config = TRY(load_model_config(checkpoint));
  TextWeights weights;
  report.weights = bind_text_weights(checkpoint, config.text, weights);
  for (const auto* list : {&config.warnings, &report.weights.notes}) {
    report.warnings.insert(report.warnings.end(), list->begin(), list->end());
  }
  const BodyParameters body = body_parameters(config.text);
  report.parameters = {.total = count_text_elements(checkpoint),
                       .active = body.active(),
                       .effective = body.effective()};
  const KvPlan plan = make_kv_plan(config.text, foldable_pairs(config.text), options.kv);
  if (is_countable(plan, config.text.max_context)) {
    report.kv = kv_figures(plan, config.text.max_context);
  } else {
    report.warnings.push_back("the K/V cache of the maximal context is larger than 2^63 bytes");
  }
  report.architecture = config.architecture;
  report.body = config.body;
  if (report.tokenizer && !config.eos_ids.empty()) report.tokenizer->eos = config.eos_ids.front();
  const int text_width = config.text.width;
  report.config = std::move(config);
  return find_modalities(checkpoint, text_width, report);
}

Result<Inspection> inspect_checkpoint(const std::string& path, const InspectOptions& options) {
  const Checkpoint checkpoint = TRY(Checkpoint::open(path));
  Inspection report;
  report.kind = TRY(kind_of(checkpoint));
  report.files = checkpoint.files();
  report.format = checkpoint.metadata() ? "gguf" : "safetensors";
  report.architecture = architecture_of(checkpoint);
  report.tensors = checkpoint.tensors();
  report.warnings = checkpoint.warnings();
  report.types = take_census(report.tensors);
  if (!report.tensors.empty()) {
    report.parameters = {.total = count_elements(report.tensors), .active = 0, .effective = 0};
  }
  if (report.kind != FileKind::Projector && report.kind != FileKind::Adapter) {
    const auto tokenizer = Tokenizer::load(checkpoint);
    if (report.kind == FileKind::Tokenizer && !tokenizer.ok()) return tokenizer.error();
    add_tokenizer(tokenizer, checkpoint.metadata(), report);
    report.chat_template = describe_template(find_chat_template(checkpoint));
  }
  if (report.kind == FileKind::Model) TRY(add_model(checkpoint, options, report));
  if (options.check_data) report.bad_data = check_data(report.tensors);
  return report;
}

// A PEFT folder: adapter_config.json beside adapter_model.safetensors.
Result<Inspection> inspect_adapter_folder(const std::string& folder,
                                          const InspectOptions& options) {
  const auto file = TRY(MappedFile::open(in_folder(folder, kAdapterWeights)));
  Inspection report;
  report.kind = FileKind::Adapter;
  report.files = {{.path = file->path(), .size_bytes = file->size_bytes()}};
  report.format = "safetensors";
  report.tensors = TRY(read_safetensors(file));
  report.types = take_census(report.tensors);
  report.parameters = {.total = count_elements(report.tensors), .active = 0, .effective = 0};
  if (options.check_data) report.bad_data = check_data(report.tensors);
  return report;
}

Result<Inspection> inspect_tokenizer_json(const std::string& path) {
  const auto file = TRY(MappedFile::open(path));
  const auto tokenizer = TRY(Tokenizer::open(path));
  Inspection report;
  report.kind = FileKind::Tokenizer;
  report.files = {{.path = path, .size_bytes = file->size_bytes()}};
  report.format = kTokenizerJson;
  report.architecture = tokenizer.family() == Family::Gemma4 ? "gemma4" : "gemma3";
  report.tokenizer = describe(tokenizer, nullptr);
  report.warnings = tokenizer.warnings();
  return report;
}

bool holds_weights(const std::string& folder) {
  return exists(in_folder(folder, "model.safetensors")) ||
         exists(in_folder(folder, "model.safetensors.index.json"));
}

}  // namespace

std::string_view name(FileKind kind) {
  switch (kind) {
    case FileKind::Model: return "model";
    case FileKind::Tokenizer: return "tokenizer";
    case FileKind::Projector: return "projector";
    case FileKind::Adapter: return "adapter";
    case FileKind::Drafter: return "drafter";
  }
  return "?";
}

BodyParameters body_parameters(const TextConfig& config) {
  const std::int64_t D = config.width;
  const std::int64_t H = config.n_heads;
  const std::int64_t V = config.vocab_size;
  const std::int64_t L = config.n_layers;
  const std::int64_t P = config.per_layer_width;
  const std::int64_t E = config.n_experts;
  const std::int64_t expert = 3 * D * config.expert_ffn_width;

  BodyParameters body;
  body.embedding = V * D;
  body.per_layer_table = V * L * P;
  body.idle_experts = L * (E - config.n_experts_used) * expert;

  std::int64_t layers = 0;
  for (std::int64_t i = 0; i < L; ++i) {
    const LayerConfig& layer = config.layers[static_cast<std::size_t>(i)];
    const std::int64_t C = layer.head_dim;
    const std::int64_t kv = layer.n_kv_heads * C * D;
    layers += 2 * H * C * D + C;                                           // q, o, q_norm
    if (layer.kv_source == i) layers += kv + C + (layer.k_eq_v ? 0 : kv);  // k, k_norm, v
    layers += 3 * layer.ffn_width * D + 4 * D;                             // and four norms
    if (E > 0) layers += E * expert + E * D + D + E + 3 * D;               // router, scales
    if (P > 0) layers += 2 * P * D + D;                                    // gate, projection
    if (config.family == Family::Gemma4) layers += 1;                      // layer scale
  }
  const std::int64_t per_layer_inputs = P > 0 ? L * P * D + P : 0;
  body.used = body.embedding + body.per_layer_table + per_layer_inputs + layers + D;
  return body;
}

std::vector<int> foldable_pairs(const TextConfig& config) {
  std::vector<int> pairs;
  for (int i = 0; i < config.n_layers; ++i) {
    const LayerConfig& layer = config.layers[static_cast<std::size_t>(i)];
    const int n_pairs = Rope(config, layer.sliding, layer.head_dim, {}).n_pairs();
    const bool some_still = n_pairs < layer.head_dim / 2 && n_pairs <= kMaxFoldedPairs;
    pairs.push_back(layer.k_eq_v && layer.kv_source == i && some_still ? n_pairs : 0);
  }
  return pairs;
}

KvFigures kv_figures(const KvPlan& plan, std::int64_t max_context) {
  KvFigures figures;
  figures.bytes_per_token = plan.bytes_per_token_beyond_window();
  const std::int64_t ring_tokens = std::min(plan.ring_rows(), round_up(max_context, kKeyBlock));
  figures.ring_bytes = plan.bytes(ring_tokens) - ring_tokens * figures.bytes_per_token;
  for (const std::int64_t context : kShownContexts) {
    if (context < max_context) figures.at.push_back({context, plan.bytes(context)});
  }
  figures.at.push_back({max_context, plan.bytes(max_context)});
  return figures;
}

Result<Inspection> inspect(const std::string& path, const InspectOptions& options) {
  if (is_folder(path) && !holds_weights(path)) {
    if (exists(in_folder(path, kAdapterConfig))) return inspect_adapter_folder(path, options);
    const std::string tokenizer = in_folder(path, kTokenizerJson);
    if (exists(tokenizer)) return inspect_tokenizer_json(tokenizer);
  }
  if (path.ends_with(".json")) return inspect_tokenizer_json(path);
  return inspect_checkpoint(path, options);
}

}  // namespace fourfold
