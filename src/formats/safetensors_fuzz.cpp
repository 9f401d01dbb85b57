// Any bytes are refused or give tensors that fill the data of the file.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fourfold;
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  const auto tensors =
      read_safetensors(MappedFile::from_bytes("fuzz.safetensors", {begin, begin + size}));
  if (!tensors) {
    CHECK(!tensors.error().message.empty());
    return 0;
  }
  for (const auto& tensor : *tensors) {
    CHECK(tensor.bytes().size() ==
          static_cast<std::size_t>(size_bytes(tensor.dtype, tensor.n_elements())));
  }
  if (!tensors->empty()) {
    CHECK(tensors->back().offset + tensors->back().size_bytes == size);
  }
  return 0;
}
