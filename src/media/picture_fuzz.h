// What must hold for any file, in fuzzers of pictures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "media/picture.h"

namespace fourfold {

inline void check_picture_file(std::span<const std::byte> file) {
  // Small, so that a run gets through many files.
  const PictureLimits limits = {
      .file_bytes = 1 << 20, .pixels = 1 << 18, .side = 4096, .png_chunk_bytes = 1 << 16};
  const auto size = read_picture_size(file, limits);
  const auto decoded = decode_picture(file, limits);
  if (!decoded.ok()) {
    CHECK(!decoded.error().message.empty());
    CHECK(decoded.error().code != Code::Internal);
    return;
  }
  const Picture& picture = decoded->picture;
  CHECK(size.ok() && *size == picture.size());
  CHECK(picture.width >= 1 && picture.width <= limits.side);
  CHECK(picture.height >= 1 && picture.height <= limits.side);
  CHECK(picture.rgb.size() ==
        static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.height) * 3);
  CHECK(decoded->n_frames >= 1);
  // Reads every value, for the sanitizers.
  std::uint32_t sum = 0;
  for (const auto level : picture.rgb) sum = sum * 31 + level;
  volatile std::uint32_t sink = sum;
  (void)sink;
}

}  // namespace fourfold
