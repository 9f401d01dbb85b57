// Any bytes give an orientation.
#include "media/exif.h"

#include <cstddef>
#include <cstdint>

#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int orientation =
      fourfold::read_exif_orientation({reinterpret_cast<const std::byte*>(data), size});
  CHECK(orientation >= 1 && orientation <= 8);
  return 0;
}
