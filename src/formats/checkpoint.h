// A model on disk, whatever its form: a GGUF file (or split set) or a safetensors folder.
//
//   const auto checkpoint = TRY(Checkpoint::open("gemma-4-E2B_q4_0-it.gguf"));
//   const TensorInfo* embedding = checkpoint.find("token_embd.weight");
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "formats/gguf.h"
#include "formats/tensor_info.h"

namespace fourfold {

class Checkpoint {
 public:
  enum class Form { Gguf, Safetensors };

  // A GGUF file, any part of a split set, or a folder with config.json and safetensors.
  // Errors name the file, the tensor or key, and what was expected.
  static Result<Checkpoint> open(const std::string& path);

  const std::string& path() const { return path_; }
  Form form() const { return form_; }

  // Tensors under the names of the file, in file order.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo* find(std::string_view name) const;

  // GGUF: the metadata of the first part. Null for a folder.
  const GgufMetadata* metadata() const { return gguf_.empty() ? nullptr : &gguf_[0].metadata(); }

  // Folder: the text of config.json, generation_config.json, … (empty when the file is absent).
  // Null name or GGUF: empty.
  const std::string& json_text(std::string_view file_name) const;

  // Folder: where a file of the model is ("tokenizer.json"); empty when the file is absent or the
  // checkpoint is a GGUF.
  std::string find_file(std::string_view file_name) const;

  // Every file that is part of the model, with its size.
  struct File {
    std::string path;
    std::uint64_t size_bytes = 0;
  };
  const std::vector<File>& files() const { return files_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  static Result<Checkpoint> open_gguf(const std::string& path);
  static Result<Checkpoint> open_folder(std::string path);
  Status index_tensors();
  Status read_texts();
  void add_file(const MappedFile& file);

  std::string path_;
  Form form_ = Form::Gguf;
  std::vector<GgufFile> gguf_;
  std::unordered_map<std::string, std::string> json_texts_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<File> files_;
  std::vector<std::string> warnings_;
};

}  // namespace fourfold
