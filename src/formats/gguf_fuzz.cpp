// Any bytes are refused or give tensors that lie inside the file.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "formats/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  const auto file = MappedFile::from_bytes("fuzz.gguf", {begin, begin + size});
  const auto gguf = GgufFile::parse(file);
  if (!gguf) {
    CHECK(!gguf.error().message.empty());
    return 0;
  }
  for (const auto& tensor : gguf->tensors()) {
    CHECK(tensor.bytes().size() == tensor.size_bytes);
    CHECK(tensor.offset + tensor.size_bytes <= size);
  }
  std::int64_t sum = 0;
  for (const auto& [key, value] : gguf->metadata().entries()) {
    CHECK(gguf->metadata().find(key) == &value);
    const auto ints = gguf->metadata().find_ints(key);
    if (ints && *ints) {
      for (const auto number : **ints) sum ^= number;
    }
  }
  volatile std::int64_t sink = sum;
  (void)sink;
  return 0;
}
