// Any file is refused or gives a picture of the size that its headers say.
#include "media/picture_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fourfold::check_picture_file({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
