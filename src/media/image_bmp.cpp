// BMP: 1, 4, 8, 16, 24 and 32 bits, not compressed, rows in either order.
#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "media/byte_order.h"
#include "media/image_reader.h"

namespace fourfold {
namespace {

constexpr std::size_t kFileHeader = 14, kCoreHeader = 12, kInfoHeader = 40, kMasksHeader = 52;

enum Compression : std::uint32_t {
  kRgb = 0,
  kRle8 = 1,
  kRle4 = 2,
  kBitFields = 3,
  kJpeg = 4,
  kPng = 5,
  kAlphaBitFields = 6,
};

using Rgb = std::array<std::uint8_t, 3>;

struct Bmp {
  PictureSize size;
  bool is_top_down = false;
  int bits = 0;
  std::array<std::uint32_t, 3> masks = {};  // red, green, blue, of 16 and 32 bits
  std::array<Rgb, 256> palette = {};        // black where the file has no colour
  ImageBytes rows;                          // all of them
  std::size_t row_bytes = 0;
};

Error damaged(std::string_view what) { return damaged_image("bmp", what); }

Status check_compression(std::uint32_t compression) {
  switch (compression) {
    case kRgb:
    case kBitFields:
    case kAlphaBitFields: return {};
    case kRle8:
    case kRle4:
      return unimplemented("bmp picture: run-length coding is not supported (expected none)");
    case kJpeg:
    case kPng:
      return unimplemented("bmp picture: an embedded {} file is not supported (send that file)",
                           compression == kJpeg ? "JPEG" : "PNG");
    default: return damaged(fmt::format("unknown compression {}", compression));
  }
}

// A mask is a run of bits.
Status check_masks(const Bmp& bmp) {
  const std::uint32_t all = bmp.bits == 16 ? 0xffff : 0xffffffff;
  for (const std::uint32_t mask : bmp.masks) {
    const std::uint32_t run = mask == 0 ? 0 : mask >> std::countr_zero(mask);
    if (mask == 0 || (mask & ~all) != 0 || (run & (run + 1)) != 0) {
      return damaged(fmt::format("colour mask {:#x} of {} bits", mask, bmp.bits));
    }
  }
  return {};
}

// Colours between the headers and the pixels; each has one byte more unless the header is the
// oldest one.
void read_palette(ImageBytes file, std::size_t begin, std::size_t end, std::size_t entry,
                  std::size_t n, Bmp& bmp) {
  for (std::size_t i = 0; i < n && begin + entry <= end; ++i, begin += entry) {
    for (std::size_t c = 0; c < 3; ++c) {
      bmp.palette[i][c] = static_cast<std::uint8_t>(byte_at(file, begin + 2 - c));
    }
  }
}

Status read_info_header(ImageBytes file, std::size_t header_bytes, Bmp& bmp, std::size_t& palette) {
  const auto height = static_cast<std::int32_t>(read_u32_le(file, 22));
  if (height == std::numeric_limits<std::int32_t>::min()) return damaged("a height of -2147483648");
  bmp.size = {.width = static_cast<std::int32_t>(read_u32_le(file, 18)),
              .height = height < 0 ? -height : height};
  bmp.is_top_down = height < 0;
  bmp.bits = read_u16_le(file, 28);
  const std::uint32_t compression = read_u32_le(file, 30);
  TRY(check_compression(compression));

  palette = kFileHeader + header_bytes;
  if (compression == kRgb) {
    bmp.masks = bmp.bits == 16 ? std::array<std::uint32_t, 3>{0x7c00, 0x3e0, 0x1f}
                               : std::array<std::uint32_t, 3>{0xff0000, 0xff00, 0xff};
    return {};
  }
  if (bmp.bits != 16 && bmp.bits != 32) {
    return damaged(fmt::format("colour masks for {} bits (expected 16 or 32)", bmp.bits));
  }
  constexpr std::size_t kMasks = kFileHeader + kInfoHeader;
  if (file.size() < kMasks + 12) return damaged("cut short in its headers");
  for (std::size_t c = 0; c < 3; ++c) bmp.masks[c] = read_u32_le(file, kMasks + 4 * c);
  // Old headers are followed by the masks, newer ones contain them.
  if (header_bytes < kMasksHeader) palette += compression == kAlphaBitFields ? 16 : 12;
  return check_masks(bmp);
}

Status find_rows(ImageBytes file, Bmp& bmp) {
  if (bmp.size.width <= 0 || bmp.size.height == 0) return {};  // refused by the caller
  const std::size_t offset = read_u32_le(file, 10);
  const auto width = static_cast<std::uint64_t>(bmp.size.width);
  const auto bits = width * static_cast<std::uint64_t>(bmp.bits);
  bmp.row_bytes = (bits + 31) / 32 * 4;
  // The last row may lack what fills it up.
  const std::uint64_t needed =
      bmp.row_bytes * (static_cast<std::uint64_t>(bmp.size.height) - 1) + (bits + 7) / 8;
  if (offset > file.size() || file.size() - offset < needed) {
    return damaged(fmt::format("cut short: {} bytes of pixels (expected {})",
                               offset > file.size() ? 0 : file.size() - offset, needed));
  }
  bmp.rows = file.subspan(offset);
  return {};
}

Result<Bmp> parse_bmp(ImageBytes file) {
  if (file.size() < kFileHeader + kCoreHeader) return damaged("cut short in its headers");
  Bmp bmp;
  const std::size_t header_bytes = read_u32_le(file, kFileHeader);
  const bool is_core = header_bytes == kCoreHeader;
  if (!is_core && (header_bytes < kInfoHeader || header_bytes > 124)) {
    return damaged(fmt::format("a header of {} bytes (expected 12, or 40 to 124)", header_bytes));
  }
  if (file.size() < kFileHeader + header_bytes) return damaged("cut short in its headers");
  std::size_t palette = kFileHeader + header_bytes;
  std::uint32_t n_colours = 0;
  if (is_core) {
    bmp.size = {.width = read_u16_le(file, 18), .height = read_u16_le(file, 20)};
    bmp.bits = read_u16_le(file, 24);
  } else {
    TRY(read_info_header(file, header_bytes, bmp, palette));
    n_colours = read_u32_le(file, 46);
  }
  constexpr std::array kBits = {1, 4, 8, 16, 24, 32};
  if (std::find(kBits.begin(), kBits.end(), bmp.bits) == kBits.end()) {
    return damaged(fmt::format("{} bits for a pixel (expected 1, 4, 8, 16, 24 or 32)", bmp.bits));
  }
  if (is_core && bmp.bits == 16) bmp.masks = {0x7c00, 0x3e0, 0x1f};
  if (is_core && bmp.bits == 32) bmp.masks = {0xff0000, 0xff00, 0xff};
  TRY(find_rows(file, bmp));
  if (bmp.bits <= 8) {
    const std::uint32_t most = 1u << bmp.bits;
    const std::size_t end = std::min<std::size_t>(file.size(), read_u32_le(file, 10));
    read_palette(file, palette, end, is_core ? 3 : 4,
                 n_colours == 0 ? most : std::min(n_colours, most), bmp);
  }
  return bmp;
}

void expand_palette_row(const Bmp& bmp, ImageBytes row, std::uint8_t* out) {
  const auto bits = static_cast<std::size_t>(bmp.bits);
  const std::size_t per_byte = 8 / bits;
  for (std::size_t x = 0; x < static_cast<std::size_t>(bmp.size.width); ++x) {
    // The first pixel is in the highest bits.
    const std::size_t shift = 8 - bits * (x % per_byte + 1);
    const std::size_t index = byte_at(row, x / per_byte) >> shift & ((1u << bits) - 1);
    out = std::copy(bmp.palette[index].begin(), bmp.palette[index].end(), out);
  }
}

void expand_masked_row(const Bmp& bmp, ImageBytes row, std::uint8_t* out) {
  for (std::size_t x = 0; x < static_cast<std::size_t>(bmp.size.width); ++x) {
    const std::uint32_t pixel = bmp.bits == 16 ? read_u16_le(row, 2 * x) : read_u32_le(row, 4 * x);
    for (const std::uint32_t mask : bmp.masks) {
      const int shift = std::countr_zero(mask);
      const std::uint64_t value = (pixel & mask) >> shift;
      *out++ = static_cast<std::uint8_t>(value * 255 / (mask >> shift));
    }
  }
}

void expand_bgr_row(const Bmp& bmp, ImageBytes row, std::uint8_t* out) {
  for (std::size_t x = 0; x < static_cast<std::size_t>(bmp.size.width); ++x) {
    for (std::size_t c = 0; c < 3; ++c) {
      *out++ = static_cast<std::uint8_t>(byte_at(row, 3 * x + 2 - c));
    }
  }
}

Result<ImageHeader> read_header(ImageBytes file, const PictureLimits&) {
  const auto bmp = TRY(parse_bmp(file));
  return ImageHeader{.size = bmp.size, .memory_bytes = n_pixels(bmp.size) * 3};
}

Result<Picture> decode(ImageBytes file, const PictureLimits&) {
  const auto bmp = TRY(parse_bmp(file));
  const auto expand = bmp.bits <= 8    ? expand_palette_row
                      : bmp.bits == 24 ? expand_bgr_row
                                       : expand_masked_row;
  Picture picture = make_picture(bmp.size);
  const auto height = static_cast<std::size_t>(bmp.size.height);
  for (std::size_t y = 0; y < height; ++y) {
    const std::size_t stored = bmp.is_top_down ? y : height - 1 - y;
    expand(bmp, bmp.rows.subspan(stored * bmp.row_bytes),
           picture.rgb.data() + y * static_cast<std::size_t>(bmp.size.width) * 3);
  }
  return picture;
}

}  // namespace

const ImageReader kBmpReader = {.read_header = read_header, .decode = decode};

}  // namespace fourfold
