// Small picture files made by tests, sound or damaged.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace fourfold {

inline std::vector<std::byte> to_bytes(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

inline std::string u16_be(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}
inline std::string u32_be(std::uint32_t value) {
  return u16_be(value >> 16) + u16_be(value & 0xffff);
}
inline std::string u16_le(unsigned value) {
  return {static_cast<char>(value), static_cast<char>(value >> 8)};
}
inline std::string u32_le(std::uint32_t value) {
  return u16_le(value & 0xffff) + u16_le(value >> 16);
}

inline std::string deflated(std::string_view text) {
  uLongf size = compressBound(text.size());
  std::string out(size, '\0');
  compress2(reinterpret_cast<Bytef*>(out.data()), &size,
            reinterpret_cast<const Bytef*>(text.data()), text.size(), 1);
  out.resize(size);
  return out;
}

// One chunk of a PNG file.
inline std::string png_chunk(std::string_view type, std::string_view data) {
  const std::string body = std::string(type) + std::string(data);
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size());
  return u32_be(static_cast<std::uint32_t>(data.size())) + body +
         u32_be(static_cast<std::uint32_t>(crc));
}

struct PngHeaderFields {
  std::uint32_t width = 1, height = 1;
  int bits = 8, colour = 2;  // 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA
  int interlace = 0;
};

class PngFile {
 public:
  explicit PngFile(const PngHeaderFields& header) {
    add("IHDR", u32_be(header.width) + u32_be(header.height) +
                    std::string{static_cast<char>(header.bits), static_cast<char>(header.colour), 0,
                                0, static_cast<char>(header.interlace)});
  }
  void add(std::string_view type, std::string_view data) { text_ += png_chunk(type, data); }
  void add_raw(std::string_view bytes) { text_ += bytes; }
  std::vector<std::byte> finish() const { return to_bytes(text_ + png_chunk("IEND", "")); }

 private:
  std::string text_ = "\x89PNG\r\n\x1a\n";
};

// A TIFF structure of one entry, little end first.
inline std::string exif_with_orientation(int orientation, unsigned type = 3, unsigned count = 1) {
  return std::string("II*\0", 4) + u32_le(8) + u16_le(1) + u16_le(0x112) + u16_le(type) +
         u32_le(count) + u32_le(static_cast<std::uint32_t>(orientation)) + u32_le(0);
}

struct BmpFields {
  std::int32_t width = 1, height = 1;
  unsigned bits = 24;
  std::uint32_t compression = 0;
  std::uint32_t n_colours = 0;
  std::string after_header;  // masks and palette
  std::string rows;
  std::int64_t offset = -1;  // of the rows; −1: behind all else
};

inline std::string bmp_file(const BmpFields& fields) {
  const std::string header = u32_le(40) + u32_le(static_cast<std::uint32_t>(fields.width)) +
                             u32_le(static_cast<std::uint32_t>(fields.height)) + u16_le(1) +
                             u16_le(fields.bits) + u32_le(fields.compression) + u32_le(0) +
                             u32_le(0) + u32_le(0) + u32_le(fields.n_colours) + u32_le(0);
  const auto offset = fields.offset >= 0
                          ? static_cast<std::uint32_t>(fields.offset)
                          : static_cast<std::uint32_t>(54 + fields.after_header.size());
  return "BM" + u32_le(0) + u32_le(0) + u32_le(offset) + header + fields.after_header + fields.rows;
}

}  // namespace fourfold
