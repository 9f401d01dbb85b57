// For tests: a safetensors folder made of a golden one, with tensors added, taken apart or spoilt.
#pragma once

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/new_file.h"
#include "convert/conversion.h"
#include "formats/test_files.h"

namespace fourfold {

inline std::string golden_text(std::string_view body, std::string_view file = "") {
  return fmt::format(FOURFOLD_BUILD_DIR "/golden/text/{}{}{}", body, file.empty() ? "" : "/", file);
}

class TestFolder {
 public:
  struct Tensor {
    std::string name;
    DType dtype = DType::BF16;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
  };

  explicit TestFolder(std::string_view body) {
    const std::string golden = golden_text(body);
    for (const auto* name : {"config.json", "generation_config.json"}) {
      std::filesystem::copy(golden + "/" + name, folder_.file(name));
    }
    const auto checkpoint = Checkpoint::open(golden);
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    for (const TensorInfo& tensor : checkpoint->tensors()) {
      const auto bytes = tensor.bytes();
      tensors.push_back({tensor.name, tensor.dtype, tensor.shape, {bytes.begin(), bytes.end()}});
    }
  }

  std::vector<Tensor> tensors;

  Tensor& find(std::string_view name) { return *std::ranges::find(tensors, name, &Tensor::name); }

  const std::string& path() const { return folder_.path(); }
  std::string file(std::string_view name) const { return folder_.file(name); }
  void write_text(std::string_view name, std::string_view text) const { folder_.write(name, text); }

  Result<Checkpoint> open() const {
    std::string header = "{";
    std::uint64_t end = 0;
    for (const Tensor& tensor : tensors) {
      header += fmt::format(R"({}"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                            end == 0 ? "" : ",", tensor.name, name(tensor.dtype),
                            fmt::join(tensor.shape, ","), end, end + tensor.bytes.size());
      end += tensor.bytes.size();
    }
    header += "}";
    ByteWriter out;
    out.number<std::uint64_t>(header.size()).raw(header);
    for (const Tensor& tensor : tensors) out.raw(tensor.bytes.data(), tensor.bytes.size());
    folder_.write("model.safetensors", out.bytes);
    return Checkpoint::open(folder_.path());
  }

 private:
  testing_files::TempFolder folder_;
};

// Converts and opens the result. The file is left at `out`.
inline Result<Checkpoint> convert(const Checkpoint& source, const ConversionOptions& options,
                                  const std::string& out) {
  const auto conversion = TRY(Conversion::plan(source, options));
  NewFile file = TRY(NewFile::create(out));
  TRY(conversion.write(file.fd()));
  TRY(file.commit());
  return Checkpoint::open(out);
}

}  // namespace fourfold
