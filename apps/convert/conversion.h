// A model in another file: a safetensors folder or a GGUF file becomes a GGUF file whose matrices
// have one type. Start here.
//
//   const auto checkpoint = TRY(Checkpoint::open("gemma-4-E2B-it"));
//   const auto conversion = TRY(Conversion::plan(checkpoint, {.type = DType::Q8_0}));
//   NewFile file = TRY(NewFile::create("gemma.gguf"));
//   TRY(conversion.write(file.fd()));
//   TRY(file.commit());
//
// Tensors pass through in pieces of a few megabytes, whatever the size of the model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "formats/checkpoint.h"
#include "formats/gguf_writer.h"
#include "formats/model_config.h"
#include "tensor/dtype.h"

namespace fourfold {

// F32, BF16, Q8_0 or Q4_0 by the name of --type: "q8_0".
std::optional<DType> conversion_type(std::string_view name);

struct ConversionOptions {
  DType type = DType::Q8_0;
  std::string name;  // general.name; empty: that of the GGUF file, or of the folder
};

class Conversion {
 public:
  // Reads headers, configuration and tokenizer, no weights. The checkpoint must outlive it.
  static Result<Conversion> plan(const Checkpoint& checkpoint, const ConversionOptions& options);

  const GgufWriter& layout() const { return layout_; }
  // What the file will lack or lose.
  const std::vector<std::string>& warnings() const { return warnings_; }

  using OnProgress = std::function<void(std::uint64_t bytes_done, std::uint64_t bytes_in_all)>;
  // Writes the whole file from the current position of `fd`. Errors name tensor and row.
  Status write(int fd, const OnProgress& on_progress = {}) const;

 private:
  // Where the values of one tensor of the layout come from.
  struct Origin {
    std::vector<const TensorInfo*> parts;  // one behind the other
    float add = 0.0f;                      // to every value: Gemma 3's norms
    std::vector<float> values;             // instead of parts
  };

  explicit Conversion(DType type) : type_(type) {}
  Status plan_gguf(const Checkpoint& checkpoint, std::string_view name);
  Status add_folder_keys(const Checkpoint& checkpoint, const ModelConfig& config,
                         std::string_view name);
  Status add_folder_tensors(const Checkpoint& checkpoint, const ModelConfig& config);
  Status account_for_the_rest(const Checkpoint& checkpoint,
                              const std::unordered_set<const TensorInfo*>& used);
  Status add_part(const TensorInfo& part, Origin& origin) const;
  void add_rotation(const TextConfig& config);
  void warn_of_second_rounding();
  Status give_values(const GgufWriter::Tensor& tensor, const Origin& origin,
                     const GgufWriter::Sink& sink) const;

  DType type_;
  GgufWriter layout_;
  std::vector<Origin> origins_;  // beside layout_.tensors()
  std::vector<std::string> warnings_;
};

}  // namespace fourfold
