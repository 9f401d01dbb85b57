#include "server/model_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <span>

#include <sys/stat.h>

#include "base/mapped_file.h"
#include "base/resources.h"
#include "base/sha256.h"
#include "chat/model_kind.h"
#include "engine/inspect.h"
#include "engine/media_encoder.h"

namespace fourfold {
namespace {

// How the bodies that Google published are called, by us, by Ollama and on Hugging Face.
struct KnownBody {
  std::string_view body, id, ollama_tag, display, hub;
};
constexpr KnownBody kKnownBodies[] = {
    {"e2b", "gemma-4-e2b", "e2b", "Gemma 4 E2B", "gemma-4-E2B"},
    {"e4b", "gemma-4-e4b", "e4b", "Gemma 4 E4B", "gemma-4-E4B"},
    {"12b", "gemma-4-12b", "12b", "Gemma 4 12B", "gemma-4-12B"},
    {"26b", "gemma-4-26b-a4b", "26b", "Gemma 4 26B A4B", "gemma-4-26B-A4B"},
    {"31b", "gemma-4-31b", "31b", "Gemma 4 31B", "gemma-4-31B"},
};

const KnownBody* find_known(std::string_view body) {
  for (const KnownBody& known : kKnownBodies) {
    if (known.body == body) return &known;
  }
  return nullptr;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::string stem_of(const std::string& path) {
  std::filesystem::path file(path);
  if (!file.has_filename()) file = file.parent_path();
  return file.extension() == ".gguf" ? file.stem().string() : file.filename().string();
}

std::string general_name(const Checkpoint& checkpoint) {
  const auto* metadata = checkpoint.metadata();
  if (!metadata) return "";
  const auto text = metadata->find_string("general.name");
  return text.ok() && *text ? std::string(**text) : "";
}

// --- Quantisation ---

// The numbers of llama.cpp's general.file_type.
std::string_view file_type_name(std::uint64_t number) {
  switch (number) {
    case 0: return "F32";
    case 1: return "F16";
    case 2: return "Q4_0";
    case 3: return "Q4_1";
    case 7: return "Q8_0";
    case 8: return "Q5_0";
    case 9: return "Q5_1";
    case 10: return "Q2_K";
    case 11: return "Q3_K_S";
    case 12: return "Q3_K_M";
    case 13: return "Q3_K_L";
    case 14: return "Q4_K_S";
    case 15: return "Q4_K_M";
    case 16: return "Q5_K_S";
    case 17: return "Q5_K_M";
    case 18: return "Q6_K";
    case 32: return "BF16";
  }
  return "";
}

std::string quantization_of(const Checkpoint& checkpoint, const Inspection& report) {
  if (const auto* metadata = checkpoint.metadata()) {
    const auto number = metadata->find_u64("general.file_type");
    if (number.ok() && *number) {
      if (const auto known = file_type_name(**number); !known.empty()) return std::string(known);
    }
  }
  return report.types.empty() ? "" : std::string(name(report.types.front().type));
}

// "8.0B", "7.3M"
std::string parameter_size(std::int64_t n_parameters) {
  const auto n = static_cast<double>(n_parameters);
  return n >= 1e9 ? fmt::format("{:.1f}B", n / 1e9) : fmt::format("{:.1f}M", n / 1e6);
}

// --- Content ---

// Stands for the content: sizes and times, and the bytes at both ends of each file. To read a whole
// model at every start would take minutes.
Result<std::string> digest_of(const std::vector<Checkpoint::File>& files) {
  constexpr std::uint64_t kEnd = 1 << 20;
  std::string seen;
  for (const auto& file : files) {
    const auto mapped = TRY(MappedFile::open(file.path));
    const std::uint64_t n = std::min(kEnd, mapped->size_bytes());
    for (const std::uint64_t offset : {std::uint64_t{0}, mapped->size_bytes() - n}) {
      std::string bytes(n, '\0');
      TRY(mapped->read_at(offset, std::as_writable_bytes(std::span(bytes))));
      seen += sha256_hex(bytes);
    }
    seen += fmt::format("{} ", mapped->size_bytes());
  }
  return sha256_hex(seen);
}

std::uint64_t least_bytes(const Inspection& report, std::uint64_t size_bytes) {
  constexpr std::int64_t kContext = 4096;
  if (!report.kv) return size_bytes;
  const std::int64_t kv = report.kv->ring_bytes + report.kv->bytes_per_token * kContext;
  return size_bytes + static_cast<std::uint64_t>(kv);
}

std::int64_t modified_s(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::int64_t>(status.st_mtime) : 0;
}

// --- Context ---

// Before a model is loaded: what was asked for, or what the memory seems to hold. Loading settles
// it.
std::int64_t likely_context(const TextConfig& config, std::uint64_t size_bytes,
                            const EngineOptions& options) {
  const std::int64_t most = config.max_context;
  if (options.context > 0) return std::min(options.context, most);
  KvOptions kv;
  if (options.exact) kv.ring = kv.global = KvType::F32;
  if (options.kv_ring) kv.ring = *options.kv_ring;
  if (options.kv_global) kv.global = *options.kv_global;
  const KvPlan plan = make_kv_plan(config, foldable_pairs(config), kv);
  const std::uint64_t budget =
      options.memory_bytes > 0 ? options.memory_bytes : read_memory_budget().size_bytes;
  std::int64_t context = most;
  constexpr std::int64_t kLeast = 256;
  while (context > kLeast &&
         size_bytes + static_cast<std::uint64_t>(plan.bytes(context)) > budget) {
    context /= 2;
  }
  return context;
}

// --- Names ---

void add_names(const Checkpoint& checkpoint, const Inspection& report, ModelFacts& facts) {
  const std::string stem = stem_of(facts.path);
  const std::string given = general_name(checkpoint);
  if (const KnownBody* known = find_known(report.body)) {
    const std::string_view suffix = facts.capabilities.chat ? "-it" : "";
    facts.id = fmt::format("{}{}", known->id, suffix);
    facts.listed_name =
        fmt::format("gemma4:{}{}", known->ollama_tag, facts.capabilities.chat ? "" : "-text");
    facts.display_name = known->display;
    facts.names = {fmt::format("google/{}{}", known->hub, suffix)};
  } else {
    facts.id = report.body == "keeper" ? "keeper" : slug(given.empty() ? stem : given);
    if (facts.id.empty()) facts.id = slug(stem);
    facts.listed_name = facts.id + ":latest";
    facts.display_name = given.empty() ? stem : given;
  }
  for (const auto& more : {facts.listed_name, stem, stem + ".gguf", slug(given)}) {
    if (!more.empty()) facts.names.push_back(more);
  }
}

// --- Eyes and ears ---

// As the model will have them once it is loaded.
Status add_media_capabilities(std::shared_ptr<const Checkpoint> checkpoint, int text_width,
                              const EngineOptions& options, ChatCapabilities& capabilities) {
  if (!capabilities.chat) return {};
  const auto media = TRY(MediaEncoder::open(std::move(checkpoint),
                                            {.text_width = text_width, .mmproj = options.mmproj}));
  const MediaCapabilities& can = media->capabilities();
  capabilities.vision = can.vision;
  capabilities.audio = can.audio;
  capabilities.video = can.video;
  capabilities.no_vision = can.no_vision;
  capabilities.no_audio = can.no_audio;
  capabilities.no_video = can.no_video;
  return {};
}

}  // namespace

std::string comparable_name(std::string_view name) {
  std::string text = lower(name);
  while (text.starts_with("models/")) text.erase(0, 7);
  if (text.ends_with(":latest")) text.resize(text.size() - 7);
  return text;
}

std::string slug(std::string_view text) {
  std::string result;
  for (const char c : lower(text)) {
    const bool keep = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_';
    if (keep) {
      result += c;
    } else if (!result.empty() && result.back() != '-') {
      result += '-';
    }
  }
  while (result.ends_with('-')) result.pop_back();
  return result;
}

Result<ModelFacts> read_model_facts(const std::string& path, const EngineOptions& options) {
  const Inspection report = TRY(inspect(path, {}));
  if (report.kind != FileKind::Model || !report.config) {
    return invalid_argument("{}: a {}, no model", path, name(report.kind));
  }
  if (!report.complete()) return invalid_argument("{}: lacks weights (see inspect)", path);
  const auto opened = std::make_shared<const Checkpoint>(TRY(Checkpoint::open(path)));
  const Checkpoint& checkpoint = *opened;
  const Tokenizer tokenizer = TRY(Tokenizer::load(checkpoint));
  const TextConfig& text = report.config->text;

  ModelFacts facts;
  facts.path = path;
  facts.modified_s = modified_s(path);
  for (const auto& file : report.files) facts.size_bytes += file.size_bytes;
  facts.least_bytes = least_bytes(report, facts.size_bytes);
  facts.digest = TRY(digest_of(report.files));
  facts.architecture = facts.family = report.architecture;
  facts.n_parameters = static_cast<std::uint64_t>(report.parameters->total);
  facts.parameter_size = parameter_size(report.parameters->total);
  facts.quantization = quantization_of(checkpoint, report);
  facts.max_context = text.max_context;
  facts.context = likely_context(text, facts.size_bytes, options);
  facts.width = text.width;
  facts.n_layers = text.n_layers;
  facts.capabilities.chat = is_chat_model(checkpoint, *report.config, tokenizer);
  const bool is_gemma4_chat = facts.capabilities.chat && text.family == Family::Gemma4;
  facts.capabilities.tools = facts.capabilities.thinking = is_gemma4_chat;
  TRY(add_media_capabilities(opened, text.width, options, facts.capabilities));
  add_names(checkpoint, report, facts);
  return facts;
}

}  // namespace fourfold
