#include "media/picture.h"

#include <algorithm>
#include <utility>

#include "media/image_reader.h"
#include "media/media_type.h"

namespace fourfold {
namespace {

struct Format {
  std::string_view mime;
  std::string_view name;
  const ImageReader* reader;
};

constexpr Format kFormats[] = {
    {"image/png", "png", &kPngReader},    {"image/jpeg", "jpeg", &kJpegReader},
    {"image/webp", "webp", &kWebpReader}, {"image/gif", "gif", &kGifReader},
    {"image/bmp", "bmp", &kBmpReader},    {"image/heic", "heic", &kHeifReader},
    {"image/avif", "avif", &kHeifReader},
};

Result<Format> find_format(ImageBytes file, const PictureLimits& limits) {
  if (file.empty()) {
    return invalid_argument("an empty file (expected {})", formats_of(MediaKind::Image));
  }
  if (file.size() > limits.file_bytes) {
    return resource_exhausted("a picture of {} bytes (limit {})", file.size(), limits.file_bytes);
  }
  const auto type = find_media_type({reinterpret_cast<const char*>(file.data()), file.size()});
  if (!type) {
    return invalid_argument("no picture that we know (expected {})", formats_of(MediaKind::Image));
  }
  for (const auto& format : kFormats) {
    if (format.mime == type->mime) return format;
  }
  return invalid_argument("the bytes are {} (expected {})", type->mime,
                          formats_of(MediaKind::Image));
}

Status check_size(PictureSize size, const PictureLimits& limits) {
  if (size.width < 1 || size.height < 1) {
    return invalid_argument("damaged picture: {} × {} pixels (expected at least 1 × 1)", size.width,
                            size.height);
  }
  if (size.width > limits.side || size.height > limits.side) {
    return resource_exhausted("a picture of {} × {} pixels (limit of a side: {})", size.width,
                              size.height, limits.side);
  }
  if (n_pixels(size) > limits.pixels) {
    return resource_exhausted("a picture of {} × {} = {} pixels (limit {})", size.width,
                              size.height, n_pixels(size), limits.pixels);
  }
  return {};
}

// Orientations 5 to 8 turn by 90 degrees.
PictureSize upright(PictureSize stored, int orientation) {
  return orientation >= 5 ? PictureSize{stored.height, stored.width} : stored;
}

// Where the stored pixel that becomes (0, 0) is, and the steps from it to the ones right and below.
struct Turn {
  std::ptrdiff_t first, right, down;  // in pixels
};

Turn make_turn(PictureSize stored, int orientation) {
  const std::ptrdiff_t w = stored.width, h = stored.height;
  switch (orientation) {
    case 2: return {w - 1, -1, w};
    case 3: return {h * w - 1, -1, -w};
    case 4: return {(h - 1) * w, 1, -w};
    case 5: return {0, w, 1};
    case 6: return {(h - 1) * w, -w, 1};
    case 7: return {h * w - 1, -w, -1};
    case 8: return {w - 1, w, -1};
    default: return {0, 1, w};
  }
}

Picture turn_upright(const Picture& stored, int orientation) {
  const Turn turn = make_turn(stored.size(), orientation);
  Picture out = make_picture(upright(stored.size(), orientation));
  // In tiles: a column of a large picture is not in the cache when the next one needs it.
  constexpr int kTile = 64;
  for (int top = 0; top < out.height; top += kTile) {
    for (int left = 0; left < out.width; left += kTile) {
      for (int y = top; y < std::min(top + kTile, out.height); ++y) {
        for (int x = left; x < std::min(left + kTile, out.width); ++x) {
          const auto from = static_cast<std::size_t>(turn.first + x * turn.right + y * turn.down);
          const auto to = static_cast<std::size_t>(y) * static_cast<std::size_t>(out.width) +
                          static_cast<std::size_t>(x);
          std::copy_n(stored.rgb.data() + 3 * from, 3, out.rgb.data() + 3 * to);
        }
      }
    }
  }
  return out;
}

struct Opened {
  Format format;
  ImageHeader header;
};

Result<Opened> open_picture(ImageBytes file, const PictureLimits& limits) {
  const Format format = TRY(find_format(file, limits));
  const ImageHeader header = TRY(format.reader->read_header(file, limits));
  TRY(check_size(header.size, limits));
  return Opened{.format = format, .header = header};
}

}  // namespace

Result<PictureInfo> read_picture_info(std::span<const std::byte> file,
                                      const PictureLimits& limits) {
  const auto [format, header] = TRY(open_picture(file, limits));
  // Turning takes a second copy of the pixels.
  const std::uint64_t turned = header.orientation == 1 ? 0 : 3 * n_pixels(header.size);
  return PictureInfo{.size = upright(header.size, header.orientation),
                     .format = format.name,
                     .n_frames = header.n_frames,
                     .memory_bytes = header.memory_bytes + turned};
}

Result<PictureSize> read_picture_size(std::span<const std::byte> file,
                                      const PictureLimits& limits) {
  const auto info = TRY(read_picture_info(file, limits));
  return info.size;
}

Result<DecodedPicture> decode_picture(std::span<const std::byte> file,
                                      const PictureLimits& limits) {
  const auto [format, header] = TRY(open_picture(file, limits));
  Picture picture = TRY(format.reader->decode(file, limits));
  if (picture.size() != header.size) {
    return internal_error("{} picture: decoded {} × {} pixels, its headers say {} × {}",
                          format.name, picture.width, picture.height, header.size.width,
                          header.size.height);
  }
  if (header.orientation != 1) picture = turn_upright(picture, header.orientation);
  return DecodedPicture{
      .picture = std::move(picture), .format = format.name, .n_frames = header.n_frames};
}

Error damaged_image(std::string_view format, std::string_view what) {
  return invalid_argument("damaged {} picture: {}", format, what);
}

Error missing_image_library(std::string_view formats, std::string_view package) {
  return unimplemented(
      "{} pictures need a library that this build lacks: apt-get install {}, then build again",
      formats, package);
}

Picture make_picture(PictureSize size) {
  Picture picture{.width = size.width, .height = size.height, .rgb = {}};
  picture.rgb.resize(n_pixels(size) * 3);
  return picture;
}

void put_over_white(const std::uint8_t* rgba, std::size_t n_pixels, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < n_pixels; ++i, rgba += 4, rgb += 3) {
    const std::uint32_t alpha = rgba[3];
    for (int c = 0; c < 3; ++c) {
      // Division by 255, rounded, as Pillow does it.
      const std::uint32_t sum = rgba[c] * alpha + 255 * (255 - alpha) + 128;
      rgb[c] = static_cast<std::uint8_t>(((sum >> 8) + sum) >> 8);
    }
  }
}

}  // namespace fourfold
