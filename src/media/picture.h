// Still pictures: file bytes → RGB pixels (vision-video.md 2.1, 2.6).
//
//   const auto decoded = TRY(decode_picture(bytes, {}));
//   const auto size = TRY(target_size(decoded.picture.size(), kImageBudget));
//   const auto patches = make_patches(resize(decoded.picture, size), 16, PixelScale::Picture);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fourfold {

struct PictureSize {
  int width = 0, height = 0;

  friend bool operator==(const PictureSize&, const PictureSize&) = default;
};

struct Picture {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;  // [height, width, 3]

  PictureSize size() const { return {width, height}; }
};

// Checked against headers before anything is allocated.
struct PictureLimits {
  std::uint64_t file_bytes = std::uint64_t{64} << 20;
  std::uint64_t pixels = 134'217'728;
  int side = 65'535;
  int jpeg_scans = 100;
  std::uint64_t png_chunk_bytes = std::uint64_t{8} << 20;  // other than IDAT
};

struct DecodedPicture {
  Picture picture;          // upright, composed over white
  std::string_view format;  // "png", "jpeg", "webp", "gif", "bmp", "heic", "avif"
  int n_frames = 1;         // of the file; the first one is taken
};

// The type is told by the first bytes. InvalidArgument for damaged or cut files and for what is no
// picture, ResourceExhausted with value and limit, Unimplemented for a format that this build
// lacks.
Result<DecodedPicture> decode_picture(std::span<const std::byte> file, const PictureLimits& limits);

// What decode_picture would give, from the headers alone.
struct PictureInfo {
  PictureSize size;  // upright
  std::string_view format;
  int n_frames = 1;
  std::uint64_t memory_bytes = 0;  // that decoding takes beside the file, at most
};
Result<PictureInfo> read_picture_info(std::span<const std::byte> file, const PictureLimits& limits);
Result<PictureSize> read_picture_size(std::span<const std::byte> file, const PictureLimits& limits);

}  // namespace fourfold
