// What one format of still pictures gives to picture.cpp. A format is a file, image_….cpp, or
// image_…_none.cpp where its library is missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "media/picture.h"

namespace fourfold {

using ImageBytes = std::span<const std::byte>;

// From the headers.
struct ImageHeader {
  PictureSize size;     // as stored; may be anything, also nothing
  int orientation = 1;  // of EXIF, 1 to 8
  int n_frames = 1;
  std::uint64_t memory_bytes = 0;  // at most, while the pixels are decoded
};

struct ImageReader {
  // Allocates nothing that grows with the size of the picture.
  Result<ImageHeader> (*read_header)(ImageBytes file, const PictureLimits& limits);
  // As stored, over white. The size is that of the header, and was checked.
  Result<Picture> (*decode)(ImageBytes file, const PictureLimits& limits);
};

extern const ImageReader kBmpReader;
extern const ImageReader kGifReader;
extern const ImageReader kHeifReader;
extern const ImageReader kJpegReader;
extern const ImageReader kPngReader;
extern const ImageReader kWebpReader;

// "damaged png picture: …"
Error damaged_image(std::string_view format, std::string_view what);
// "heic pictures need libheif: …"; `package` is what to install before building again.
Error missing_image_library(std::string_view formats, std::string_view package);

Picture make_picture(PictureSize size);
inline std::uint64_t n_pixels(PictureSize size) {
  return static_cast<std::uint64_t>(size.width) * static_cast<std::uint64_t>(size.height);
}

// RGB with straight alpha, composed over white. Both may begin at the same place.
void put_over_white(const std::uint8_t* rgba, std::size_t n_pixels, std::uint8_t* rgb);

}  // namespace fourfold
