#include "convert/conversion.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <unordered_set>
#include <utility>

#include "base/utf8.h"
#include "convert/model_keys.h"
#include "convert/tokenizer_keys.h"
#include "formats/text_tensor_names.h"
#include "tensor/blocks.h"
#include "tensor/quantize.h"

namespace fourfold {
namespace {

using Shape = std::vector<std::int64_t>;

constexpr std::int64_t kPieceValues = std::int64_t{1} << 20;  // read and written at once, at most
constexpr std::uint32_t kQuantizationVersion = 2;

struct TypeName {
  std::string_view name;
  DType type;
  std::uint32_t file_type;  // general.file_type, which says nothing to readers
};
constexpr TypeName kTypes[] = {{"f32", DType::F32, 0},
                               {"bf16", DType::BF16, 32},
                               {"q8_0", DType::Q8_0, 7},
                               {"q4_0", DType::Q4_0, 2}};

std::uint32_t file_type(DType type) {
  return std::ranges::find(kTypes, type, &TypeName::type)->file_type;
}

// Dimensions of 1 are dropped: folders hold some vectors as [1, n].
Shape vector_shape(const Shape& shape) {
  Shape result;
  std::ranges::copy_if(shape, std::back_inserter(result), [](auto dim) { return dim != 1; });
  if (result.empty()) result.push_back(1);
  return result;
}

// Norms, scales, the router and the rotation stay F32 in every file.
bool stays_f32(std::string_view name, const Shape& shape) {
  return vector_shape(shape).size() < 2 || !name.ends_with(".weight") ||
         name.ends_with("_norm.weight") || name.ends_with("ffn_gate_inp.weight");
}

// Q4_0 costs most where a row is looked up or becomes a logit.
bool is_embedding(std::string_view name) {
  return name == "token_embd.weight" || name == "output.weight" ||
         name == "per_layer_token_embd.weight";
}

DType type_of(std::string_view name, const Shape& shape, DType wanted) {
  if (stays_f32(name, shape)) return DType::F32;
  if (wanted == DType::Q4_0 && is_embedding(name)) wanted = DType::Q8_0;
  return shape.back() % traits(wanted).block == 0 ? wanted : DType::BF16;
}

const TensorInfo* find_any(const Checkpoint& checkpoint, std::string_view prefix,
                           const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (const auto* tensor = checkpoint.find(fmt::format("{}{}", prefix, name))) return tensor;
  }
  return nullptr;
}

// Folders may hold each expert as a tensor of its own: the parts of a tensor of all experts, in
// order; empty when there are none.
std::vector<const TensorInfo*> find_single_experts(const Checkpoint& checkpoint,
                                                   std::string_view prefix,
                                                   const TextTensorName& stacked, int n_experts) {
  struct Row {
    std::string_view stacked, single;
  };
  constexpr Row kRows[] = {{".ffn_gate_exps.weight", "gate_proj"},
                           {".ffn_up_exps.weight", "up_proj"},
                           {".ffn_down_exps.weight", "down_proj"}};
  const auto* row =
      std::ranges::find_if(kRows, [&](const Row& r) { return stacked.gguf.ends_with(r.stacked); });
  if (row == std::end(kRows)) return {};
  std::vector<const TensorInfo*> parts;
  for (int expert = 0; expert < n_experts; ++expert) {
    const auto names =
        expert_tensor_names(stacked.layer, fmt::format("{}.{}", expert, row->single));
    const auto* part = find_any(checkpoint, prefix, names);
    if (!part) return {};
    parts.push_back(part);
  }
  return parts;
}

std::string last_part(const std::string& path) {
  std::error_code ignored;
  const auto absolute = std::filesystem::weakly_canonical(path, ignored);
  return absolute.filename().string();
}

// Keys of a GGUF file that describe the file and not the model.
bool is_of_the_file(std::string_view key) {
  return key == "general.alignment" || key.starts_with("split.");
}

void copy_keys(const GgufMetadata& keys, DType type, std::string_view name, GgufWriter& out) {
  const auto& entries = keys.entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string_view key = entries[i].first;
    if (is_of_the_file(key)) continue;
    if (key == "general.name" && !name.empty()) {
      out.add_string(key, name);
    } else if (key == "general.file_type") {
      out.add_u32(key, file_type(type));
    } else {
      out.add_copy(key, keys.value_bytes(i));
    }
  }
  if (!name.empty() && !keys.find("general.name")) out.add_string("general.name", name);
  if (!keys.find("general.file_type")) out.add_u32("general.file_type", file_type(type));
  if (!keys.find("general.quantization_version")) {
    out.add_u32("general.quantization_version", kQuantizationVersion);
  }
}

// Converts whole rows, piece by piece.
class RowConverter {
 public:
  RowConverter(DType type, std::int64_t n_cols, const GgufWriter::Sink& sink)
      : type_(type), n_cols_(n_cols), sink_(sink) {}

  // Errors name the file that `part` is in, where it is the cause.
  Status give(const TensorInfo& part, float add) {
    const std::int64_t n_rows = part.n_elements() / n_cols_;
    const std::int64_t n_rows_at_once = std::max<std::int64_t>(1, kPieceValues / n_cols_);
    for (std::int64_t row = 0; row < n_rows; row += n_rows_at_once) {
      const std::int64_t n = std::min(n_rows_at_once, n_rows - row) * n_cols_;
      TRY_IN(part.file->path(), read(part, row * n_cols_, n));
      if (part.dtype == type_ && add == 0.0f) {
        TRY(sink_(bytes_));
        continue;
      }
      values_.resize(static_cast<std::size_t>(n));
      dequantize(part.dtype, bytes_.data(), n, values_.data());
      for (float& value : values_) value += add;
      TRY_IN(part.file->path(), encode(values_, row));
      TRY(sink_(out_));
    }
    return {};
  }

  Status give(std::span<const float> values) {
    TRY(encode(values, 0));
    return sink_(out_);
  }

 private:
  // Values [first, first + n) as the file has them.
  Status read(const TensorInfo& part, std::int64_t first, std::int64_t n) {
    bytes_.resize(static_cast<std::size_t>(size_bytes(part.dtype, n)));
    const auto offset = static_cast<std::uint64_t>(size_bytes(part.dtype, first));
    return part.file->read_at(part.offset + offset, bytes_);
  }

  Status encode(std::span<const float> values, std::int64_t first_row) {
    const auto n_cols = static_cast<std::size_t>(n_cols_);
    const auto n_bytes = static_cast<std::size_t>(size_bytes(type_, n_cols_));
    out_.resize(values.size() / n_cols * n_bytes);
    for (std::size_t row = 0; row < values.size() / n_cols; ++row) {
      const auto encoded = quantize(type_, values.subspan(row * n_cols, n_cols),
                                    std::span(out_).subspan(row * n_bytes, n_bytes));
      if (encoded.ok()) continue;
      const auto where = fmt::format("row {}", first_row + static_cast<std::int64_t>(row));
      return Error(encoded.error()).in(where);
    }
    return {};
  }

  const DType type_;
  const std::int64_t n_cols_;
  const GgufWriter::Sink& sink_;
  std::vector<std::byte> bytes_, out_;
  std::vector<float> values_;
};

}  // namespace

std::optional<DType> conversion_type(std::string_view name) {
  const auto* found = std::ranges::find(kTypes, name, &TypeName::name);
  if (found == std::end(kTypes)) return std::nullopt;
  return found->type;
}

Result<Conversion> Conversion::plan(const Checkpoint& checkpoint,
                                    const ConversionOptions& options) {
  const ModelConfig config = TRY(load_model_config(checkpoint));
  Conversion conversion(options.type);
  if (checkpoint.form() == Checkpoint::Form::Gguf) {
    TRY(conversion.plan_gguf(checkpoint, options.name));
  } else {
    TRY(conversion.add_folder_keys(checkpoint, config, options.name));
    TRY(conversion.add_folder_tensors(checkpoint, config));
  }
  conversion.warn_of_second_rounding();
  return conversion;
}

Status Conversion::plan_gguf(const Checkpoint& checkpoint, std::string_view name) {
  copy_keys(*checkpoint.metadata(), type_, name, layout_);
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    DType type = tensor.dtype;
    Origin origin;
    if (is_text_tensor(checkpoint, {}, tensor.name)) {
      TRY(add_part(tensor, origin));
      type = type_of(tensor.name, tensor.shape, type_);
    } else {
      origin.parts = {&tensor};
    }
    layout_.add_tensor(tensor.name, type, tensor.shape.empty() ? Shape{1} : tensor.shape);
    origins_.push_back(std::move(origin));
  }
  return {};
}

Status Conversion::add_folder_keys(const Checkpoint& checkpoint, const ModelConfig& config,
                                   std::string_view name) {
  const auto shown_name = name.empty() ? last_part(checkpoint.path()) : std::string(name);
  layout_.add_string("general.architecture", config.architecture);
  layout_.add_string("general.type", "model");
  layout_.add_string("general.name", shown_name);
  const auto licence = TRY(find_licence(checkpoint.path()));
  if (!licence.empty()) layout_.add_string("general.license", licence);
  layout_.add_u32("general.file_type", file_type(type_));
  layout_.add_u32("general.quantization_version", kQuantizationVersion);
  TRY_IN(checkpoint.path(), add_model_keys(config, layout_));
  return add_tokenizer_keys(checkpoint, config, layout_, warnings_);
}

Status Conversion::add_folder_tensors(const Checkpoint& checkpoint, const ModelConfig& config) {
  const TextConfig& text = config.text;
  const auto prefix = text_tensor_prefix(checkpoint);
  std::unordered_set<const TensorInfo*> used;
  if (text.family == Family::Gemma4) add_rotation(text);
  for (const TextTensorName& tensor : text_tensor_names(text.n_layers)) {
    const std::string& gguf = tensor.gguf;
    std::vector<const TensorInfo*> parts;
    if (const auto* whole = find_any(checkpoint, prefix, tensor.folder)) parts = {whole};
    const bool single = parts.empty() && text.n_experts > 0;
    if (single) {
      parts = find_single_experts(checkpoint, prefix, tensor, text.n_experts);
    }
    if (parts.empty()) continue;
    used.insert(parts.begin(), parts.end());
    if (is_dead(tensor, text)) continue;

    Origin origin;
    for (const auto* part : parts) TRY(add_part(*part, origin));
    Shape shape = parts.front()->shape;
    if (single) shape.insert(shape.begin(), text.n_experts);
    const DType type = type_of(gguf, shape, type_);
    if (stays_f32(gguf, shape)) shape = vector_shape(shape);
    if (text.norm_weight_plus_one && gguf.ends_with("_norm.weight")) origin.add = 1.0f;
    layout_.add_tensor(gguf, type, std::move(shape));
    origins_.push_back(std::move(origin));
  }
  return account_for_the_rest(checkpoint, used);
}

// A tensor of the decoder that found no place is an error, what belongs to other parts a warning.
Status Conversion::account_for_the_rest(const Checkpoint& checkpoint,
                                        const std::unordered_set<const TensorInfo*>& used) {
  const auto prefix = text_tensor_prefix(checkpoint);
  std::size_t n_left_out = 0;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (used.contains(&tensor)) continue;
    if (is_text_tensor(checkpoint, prefix, tensor.name)) {
      return unimplemented("{}: tensor {}: its place in a GGUF file is not known",
                           tensor.file->path(), printable(tensor.name));
    }
    n_left_out += tensor.name.find("lm_head") == tensor.name.npos;
  }
  if (n_left_out > 0) {
    warnings_.push_back(
        fmt::format("{} tensors of other parts than the text decoder left out", n_left_out));
  }
  return {};
}

Status Conversion::add_part(const TensorInfo& part, Origin& origin) const {
  // NVFP4 has a second scale in a tensor beside it, which no other type can hold.
  if (!is_weight_type(part.dtype) || part.dtype == DType::NVFP4) {
    return unimplemented("{}: tensor {}: type {} cannot be converted", part.file->path(),
                         printable(part.name), name(part.dtype));
  }
  if (part.n_elements() == 0) {
    return data_loss("{}: tensor {}: has no values", part.file->path(), printable(part.name));
  }
  if (!origin.parts.empty() && origin.parts.front()->shape != part.shape) {
    return data_loss("{}: tensor {}: its shape is not that of {}", part.file->path(),
                     printable(part.name), printable(origin.parts.front()->name));
  }
  origin.parts.push_back(&part);
  return {};
}

// Divisors of the global layers' angles: 1 for the pairs that rotate, 1e30 for those that stand
// still (text-model.md 5).
void Conversion::add_rotation(const TextConfig& config) {
  const int n_pairs = config.layers.back().head_dim / 2;
  const int n_rotated =
      static_cast<int>(config.rope_rotated_fraction * static_cast<float>(n_pairs));
  Origin origin;
  origin.values.assign(static_cast<std::size_t>(n_pairs), 1e30f);
  std::fill_n(origin.values.begin(), n_rotated, 1.0f);
  layout_.add_tensor("rope_freqs.weight", DType::F32, {n_pairs});
  origins_.push_back(std::move(origin));
}

void Conversion::warn_of_second_rounding() {
  std::size_t n_tensors = 0;
  for (std::size_t i = 0; i < origins_.size(); ++i) {
    const DType to = layout_.tensors()[i].dtype;
    n_tensors += std::ranges::any_of(origins_[i].parts, [&](const TensorInfo* part) {
      return traits(part->dtype).quantised() && traits(to).quantised() && part->dtype != to;
    });
  }
  if (n_tensors == 0) return;
  warnings_.push_back(
      fmt::format("{} tensors are quantised already and are rounded a second time", n_tensors));
}

Status Conversion::write(int fd, const OnProgress& on_progress) const {
  const std::uint64_t n_bytes = layout_.size_bytes();
  std::uint64_t n_done = 0;
  return layout_.write(fd, [&](const GgufWriter::Tensor& tensor, const GgufWriter::Sink& sink) {
    const auto index = static_cast<std::size_t>(&tensor - layout_.tensors().data());
    return give_values(tensor, origins_[index], [&](std::span<const std::byte> bytes) -> Status {
      TRY(sink(bytes));
      n_done += bytes.size();
      if (on_progress) on_progress(n_done, n_bytes);
      return {};
    });
  });
}

Status Conversion::give_values(const GgufWriter::Tensor& tensor, const Origin& origin,
                               const GgufWriter::Sink& sink) const {
  RowConverter rows(tensor.dtype, tensor.shape.back(), sink);
  if (origin.parts.empty()) return rows.give(origin.values);
  for (const auto* part : origin.parts) TRY(rows.give(*part, origin.add));
  return {};
}

}  // namespace fourfold
