// Any bytes behind the first ten of a BMP file are refused or give a picture.
#include <vector>

#include "media/picture_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> file(10);
  file[0] = std::byte{'B'};
  file[1] = std::byte{'M'};
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  file.insert(file.end(), begin, begin + size);
  fourfold::check_picture_file(file);
  return 0;
}
