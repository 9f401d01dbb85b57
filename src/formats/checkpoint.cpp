#include "formats/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "base/utf8.h"
#include "formats/quantized_folder.h"
#include "formats/safetensors.h"

namespace fourfold {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGgufSuffix = ".gguf";
constexpr std::string_view kSafetensorsSuffix = ".safetensors";
constexpr std::uint64_t kQuantizationVersion = 2;
constexpr std::uint64_t kMaxJsonBytes = 16u << 20;

// The small texts of a folder. tokenizer.json is megabytes and read by the tokenizer itself.
constexpr std::string_view kTextFiles[] = {
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "processor_config.json",
    "preprocessor_config.json",
};
constexpr std::string_view kTokenizerFile = "tokenizer.json";
constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// "<prefix>-00002-of-00003" + suffix, taken apart.
struct ShardName {
  std::string prefix;
  std::uint64_t number = 0;  // from 1
  std::uint64_t count = 0;

  std::string with_number(std::uint64_t n, std::string_view suffix) const {
    return fmt::format("{}-{:05}-of-{:05}{}", prefix, n, count, suffix);
  }
};

std::optional<std::uint64_t> parse_five_digits(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<ShardName> parse_shard_name(std::string_view path, std::string_view suffix) {
  constexpr std::string_view kPattern = "-00000-of-00000";
  if (!path.ends_with(suffix)) return std::nullopt;
  path.remove_suffix(suffix.size());
  if (path.size() < kPattern.size()) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kPattern.size());
  const auto number = parse_five_digits(tail.substr(1, 5));
  const auto count = parse_five_digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !number || !count) return std::nullopt;
  if (*number < 1 || *number > *count) return std::nullopt;
  return ShardName{.prefix = std::string(path.substr(0, path.size() - kPattern.size())),
                   .number = *number,
                   .count = *count};
}

Result<GgufFile> open_part(const std::string& path) {
  auto file = TRY(MappedFile::open(path));
  return GgufFile::parse(std::move(file));
}

// What a part says of the set; absent keys are those of a single file.
struct SplitKeys {
  std::uint64_t number = 0;  // from 0
  std::uint64_t count = 0;   // 0 also in a file that was merged
};

Result<SplitKeys> split_keys(const GgufFile& part) {
  const auto& path = part.file()->path();
  const auto number = TRY_IN(path, part.metadata().find_u64("split.no"));
  const auto count = TRY_IN(path, part.metadata().find_u64("split.count"));
  return SplitKeys{.number = number.value_or(0), .count = count.value_or(0)};
}

Status check_part(const GgufFile& part, std::uint64_t number, std::uint64_t count) {
  const auto keys = TRY(split_keys(part));
  if (keys.count != count || keys.number != number) {
    return data_loss("{}: split.no {} of split.count {}, the name says {} of {}",
                     part.file()->path(), keys.number, keys.count, number, count);
  }
  return {};
}

// All parts of the set that `given` belongs to, in order. Names come from the given path alone.
Result<std::vector<GgufFile>> open_parts(GgufFile given) {
  const std::string path = given.file()->path();
  const auto keys = TRY(split_keys(given));
  std::vector<GgufFile> parts;
  if (keys.count <= 1) {
    parts.push_back(std::move(given));
    return parts;
  }
  const auto name = parse_shard_name(path, kGgufSuffix);
  if (!name) {
    return invalid_argument("{}: part {} of a set of {}, its name must end in -{:05}-of-{:05}.gguf",
                            path, keys.number + 1, keys.count, keys.number + 1, keys.count);
  }
  TRY(check_part(given, name->number - 1, name->count));
  for (std::uint64_t i = 1; i <= name->count; ++i) {
    if (i == name->number) continue;
    const auto context = fmt::format("part {} of {}", i, name->count);
    parts.push_back(TRY_IN(context, open_part(name->with_number(i, kGgufSuffix))));
    TRY(check_part(parts.back(), i - 1, name->count));
  }
  parts.insert(parts.begin() + static_cast<std::ptrdiff_t>(name->number - 1), std::move(given));
  return parts;
}

Status check_tensor_total(const std::vector<GgufFile>& parts) {
  const auto& first = parts.front();
  const auto& path = first.file()->path();
  const auto expected = TRY_IN(path, first.metadata().find_u64("split.tensors.count"));
  std::uint64_t total = 0;
  for (const auto& part : parts) total += part.tensors().size();
  if (parts.size() > 1 && expected && *expected != total) {
    return data_loss("{}: split.tensors.count is {}, the parts have {} tensors", path, *expected,
                     total);
  }
  return {};
}

// A warning when the key is missing, an error when the blocks may mean something else.
Result<std::optional<std::string>> check_quantization_version(
    const GgufFile& first, const std::vector<TensorInfo>& tensors) {
  const auto& path = first.file()->path();
  const auto version = TRY_IN(path, first.metadata().find_u64("general.quantization_version"));
  const bool quantised =
      std::ranges::any_of(tensors, [](const auto& t) { return traits(t.dtype).quantised(); });
  if (version && *version != kQuantizationVersion) {
    return unimplemented("{}: general.quantization_version {} (expected {})", path, *version,
                         kQuantizationVersion);
  }
  if (version || !quantised) return std::optional<std::string>();
  return std::optional(fmt::format("{}: general.quantization_version is missing", path));
}

// Which shard holds which tensor.
using WeightMap = std::map<std::string, std::string>;

// Shards are plain names of the usual form: an index never leads out of its folder.
bool is_shard_file_name(const std::string& name) {
  if (name == kSingleFile) return true;
  const auto shard = parse_shard_name(name, kSafetensorsSuffix);
  return shard && shard->prefix == "model";
}

Result<WeightMap> read_weight_map(const std::string& path) {
  const auto text = TRY(read_text_file(path));
  const auto index =
      TRY_IN(path, parse_json(text, {.max_depth = 8, .reject_duplicate_keys = true}));
  const auto it = index.find("weight_map");
  if (!index.is_object() || it == index.end() || !it->is_object()) {
    return invalid_argument("{}: weight_map is missing or not an object", path);
  }
  WeightMap map;
  for (const auto& [tensor, file] : it->items()) {
    const auto* name = file.get_ptr<const std::string*>();
    if (!name || !is_shard_file_name(*name)) {
      return invalid_argument(
          "{}: weight_map.{}: {} is no shard name (expected "
          "model-NNNNN-of-NNNNN.safetensors)",
          path, printable(tensor), name ? printable(*name) : "the value");
    }
    map.emplace(tensor, *name);
  }
  return map;
}

struct FolderTensors {
  std::vector<TensorInfo> tensors;
  std::vector<std::shared_ptr<const MappedFile>> files;
  std::vector<std::string> warnings;
};

Result<FolderTensors> read_single(const std::string& path) {
  const auto file = TRY(MappedFile::open(path));
  auto tensors = TRY(read_safetensors(file));
  return FolderTensors{.tensors = std::move(tensors), .files = {file}};
}

// Exactly the files that the index names, and of each exactly the tensors it is named for.
Result<FolderTensors> read_sharded(const std::string& folder) {
  const std::string index_path = folder + "/" + std::string(kIndexFile);
  const auto map = TRY(read_weight_map(index_path));
  std::vector<std::string> names;
  names.reserve(map.size());
  for (const auto& [tensor, file] : map) names.push_back(file);
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());

  FolderTensors result;
  std::size_t n_skipped = 0;
  for (const auto& name : names) {
    const auto file = TRY_IN(index_path, MappedFile::open(folder + "/" + name));
    result.files.push_back(file);
    auto tensors = TRY(read_safetensors(file));
    for (auto& tensor : tensors) {
      const auto it = map.find(tensor.name);
      if (it == map.end() || it->second != name) {
        ++n_skipped;
        continue;
      }
      result.tensors.push_back(std::move(tensor));
    }
  }
  if (n_skipped > 0) {
    result.warnings.push_back(
        fmt::format("{}: {} tensors of the shards are not in the index", index_path, n_skipped));
  }
  if (result.tensors.size() == map.size()) return result;

  for (const auto& [tensor, file] : map) {
    if (std::ranges::find(result.tensors, tensor, &TensorInfo::name) != result.tensors.end()) {
      continue;
    }
    return data_loss("{}: tensor {} is not in {}", index_path, printable(tensor), file);
  }
  return internal_error("{}: weight map and shards disagree", index_path);
}

Error no_weights(const std::string& folder) {
  return not_found("{}: no {} and no {} (expected a GGUF file or a folder with one of them)",
                   folder, kSingleFile, kIndexFile);
}

Result<FolderTensors> read_folder_tensors(const std::string& folder) {
  const std::string single = folder + "/" + std::string(kSingleFile);
  if (exists(single)) return read_single(single);
  if (exists(folder + "/" + std::string(kIndexFile))) return read_sharded(folder);
  return no_weights(folder);
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return open_folder(path);
  if (path.ends_with(kSafetensorsSuffix)) {
    return invalid_argument("{}: give the folder that holds it and config.json", path);
  }
  return open_gguf(path);
}

Result<Checkpoint> Checkpoint::open_gguf(const std::string& path) {
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  checkpoint.form_ = Form::Gguf;
  auto given = TRY(open_part(path));
  checkpoint.gguf_ = TRY(open_parts(std::move(given)));
  TRY(check_tensor_total(checkpoint.gguf_));
  for (const auto& part : checkpoint.gguf_) {
    checkpoint.add_file(*part.file());
    for (const auto& tensor : part.tensors()) checkpoint.tensors_.push_back(tensor);
    for (const auto& warning : part.warnings()) {
      checkpoint.warnings_.push_back(fmt::format("{}: {}", part.file()->path(), warning));
    }
  }
  TRY(checkpoint.index_tensors());
  auto warning = TRY(check_quantization_version(checkpoint.gguf_.front(), checkpoint.tensors_));
  if (warning) checkpoint.warnings_.push_back(std::move(*warning));
  return checkpoint;
}

Result<Checkpoint> Checkpoint::open_folder(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  checkpoint.form_ = Form::Safetensors;
  auto weights = TRY(read_folder_tensors(path));
  checkpoint.tensors_ = std::move(weights.tensors);
  checkpoint.warnings_ = std::move(weights.warnings);
  for (const auto& file : weights.files) checkpoint.add_file(*file);
  TRY(checkpoint.index_tensors());
  TRY(checkpoint.read_texts());
  TRY(check_quantized_folder(checkpoint));  // before config.json is asked for: it may be missing
  if (checkpoint.find_file("config.json").empty()) {
    return not_found("{}/config.json: no such file (a safetensors folder needs it)", path);
  }
  return checkpoint;
}

Status Checkpoint::index_tensors() {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const auto& tensor = tensors_[i];
    const auto [place, inserted] = index_.emplace(tensor.name, i);
    if (inserted) continue;
    return data_loss("{}: tensor {} is already in {}", tensor.file->path(), printable(tensor.name),
                     tensors_[place->second].file->path());
  }
  return {};
}

Status Checkpoint::read_texts() {
  for (const auto name : kTextFiles) {
    const std::string path = path_ + "/" + std::string(name);
    if (!exists(path)) continue;
    auto text = TRY(read_text_file(path, kMaxJsonBytes));
    files_.push_back({.path = path, .size_bytes = text.size()});
    json_texts_.emplace(name, std::move(text));
  }
  const std::string tokenizer = path_ + "/" + std::string(kTokenizerFile);
  std::error_code error;
  const auto size = fs::file_size(tokenizer, error);
  if (!error) files_.push_back({.path = tokenizer, .size_bytes = size});
  return {};
}

void Checkpoint::add_file(const MappedFile& file) {
  files_.push_back({.path = file.path(), .size_bytes = file.size_bytes()});
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto it = index_.find(std::string(name));
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

const std::string& Checkpoint::json_text(std::string_view file_name) const {
  static const std::string kAbsent;
  const auto it = json_texts_.find(std::string(file_name));
  return it == json_texts_.end() ? kAbsent : it->second;
}

std::string Checkpoint::find_file(std::string_view file_name) const {
  if (form_ == Form::Gguf) return {};
  const std::string path = path_ + "/" + std::string(file_name);
  const auto it = std::ranges::find(files_, path, &File::path);
  return it == files_.end() ? std::string() : path;
}

}  // namespace fourfold
