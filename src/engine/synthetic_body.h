// A body with the shapes of a released one and random weights, to measure speed without a download:
// kernels do not care what they multiply. Says nothing of quality.
//
//   const auto body = TRY(SyntheticBody::make({.body = "e2b", .quant = "q4_0"}, budget));
//   const auto engine = TRY(Engine::open(body.path(), {.memory_bytes = budget.size_bytes}));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/resources.h"
#include "base/result.h"
#include "formats/gguf_writer.h"

namespace fourfold {

struct SyntheticOptions {
  std::string body = "e2b";
  std::string quant = "q4_0";
};

// The names that the options take.
const std::vector<std::string_view>& synthetic_bodies();  // "e2b", …
const std::vector<std::string_view>& synthetic_quants();  // "q4_0", …

// Keys and tensors of such a file. Types are those of published files: with q4_0 and q4_k the
// embeddings are Q6_K; q4_k has a part of its matrices in Q6_K (the Q4_K_M mixture); rows that are
// no multiple of 256 have the nearest type with blocks of 32. InvalidArgument for unknown names.
Result<GgufWriter> synthetic_layout(const SyntheticOptions& options);

// The bytes of one of its tensors.
Status write_synthetic_tensor(const GgufWriter::Tensor& tensor, const GgufWriter::Sink& sink);

// The whole as a file in memory, gone with the object.
class SyntheticBody {
 public:
  // ResourceExhausted with both sizes when the budget does not hold it.
  static Result<SyntheticBody> make(const SyntheticOptions& options, const MemoryBudget& budget);
  // Any layout, its tensors written by `source`; `name` is for messages.
  static Result<SyntheticBody> make(std::string_view name, const GgufWriter& layout,
                                    const GgufWriter::Source& source, const MemoryBudget& budget);
  SyntheticBody(SyntheticBody&& other) noexcept;
  SyntheticBody& operator=(SyntheticBody&&) = delete;
  ~SyntheticBody();

  const std::string& path() const { return path_; }
  std::uint64_t size_bytes() const { return size_bytes_; }

 private:
  SyntheticBody(int fd, std::uint64_t size_bytes);

  int fd_;
  std::string path_;
  std::uint64_t size_bytes_;
};

}  // namespace fourfold
