// For tests: bodies of true shapes that take no memory, because their large tensors are holes.
#pragma once

#include <unistd.h>

#include <memory>
#include <string>

#include "engine/synthetic_body.h"
#include "engine/workload.h"
#include "formats/checkpoint.h"
#include "formats/test_files.h"
#include "model/text/text_model.h"
#include "runtime/kv_plan.h"

namespace fourfold {

class SparseBody {
 public:
  explicit SparseBody(const SyntheticOptions& options) {
    const Status loaded = load(options);
    if (!loaded.ok()) error_ = loaded.error().message;
  }

  // Null when it could not be loaded; error() says why.
  const TextModel* model() const { return model_.get(); }
  const std::string& error() const { return error_; }
  const ModelConfig& config() const { return config_; }
  Workload workload() const { return {*model_, make_kv_plan(*model_, {.fold = false}), false}; }

 private:
  Status load(const SyntheticOptions& options) {
    const GgufWriter layout = TRY(synthetic_layout(options));
    const std::string path = folder_.file("body.gguf");
    TRY(write_with_holes(layout, path));
    auto checkpoint = std::make_shared<const Checkpoint>(TRY(Checkpoint::open(path)));
    config_ = TRY(load_model_config(*checkpoint));
    model_ = TRY(TextModel::load(std::move(checkpoint), config_.text));
    return {};
  }

  static Status write_with_holes(const GgufWriter& layout, const std::string& path) {
    const auto header = layout.header();
    std::ofstream file(path, std::ios::binary);
    const auto put = [&](std::span<const std::byte> bytes) -> Status {
      file.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
      return {};
    };
    TRY(put(header));
    for (const auto& tensor : layout.tensors()) {
      if (tensor.shape.size() > 1) continue;
      file.seekp(static_cast<std::streamoff>(header.size() + tensor.offset));
      TRY(write_synthetic_tensor(tensor, put));
    }
    file.close();
    if (::truncate(path.c_str(), static_cast<off_t>(layout.size_bytes())) != 0) {
      return Error{Code::Unknown, "truncate failed"};
    }
    return {};
  }

  testing_files::TempFolder folder_;
  ModelConfig config_;
  std::shared_ptr<const TextModel> model_;
  std::string error_;
};

}  // namespace fourfold
