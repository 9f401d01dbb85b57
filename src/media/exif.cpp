#include "media/exif.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "media/byte_order.h"

namespace fourfold {
namespace {

using Bytes = std::span<const std::byte>;

constexpr char kPrefix[] = {'E', 'x', 'i', 'f', 0, 0};
constexpr std::uint16_t kOrientation = 0x0112;
constexpr std::uint16_t kShort = 3, kLong = 4;  // types of TIFF 6.0
constexpr std::size_t kEntrySize = 12;

// A TIFF structure; everything in it is in the byte order that its first two bytes tell.
class Tiff {
 public:
  static std::optional<Tiff> open(Bytes bytes) {
    if (bytes.size() < 8) return std::nullopt;
    const bool is_little = byte_at(bytes, 0) == 'I' && byte_at(bytes, 1) == 'I';
    const bool is_big = byte_at(bytes, 0) == 'M' && byte_at(bytes, 1) == 'M';
    if (!is_little && !is_big) return std::nullopt;
    const Tiff tiff(bytes, is_little);
    if (tiff.u16(2) != 42) return std::nullopt;
    return tiff;
  }

  // 0 beyond the end.
  std::uint32_t u16(std::size_t at) const {
    if (at > bytes_.size() || bytes_.size() - at < 2) return 0;
    return is_little_ ? read_u16_le(bytes_, at) : read_u16_be(bytes_, at);
  }
  std::uint32_t u32(std::size_t at) const {
    if (at > bytes_.size() || bytes_.size() - at < 4) return 0;
    return is_little_ ? read_u32_le(bytes_, at) : read_u32_be(bytes_, at);
  }

 private:
  Tiff(Bytes bytes, bool is_little) : bytes_(bytes), is_little_(is_little) {}

  Bytes bytes_;
  bool is_little_;
};

}  // namespace

int read_exif_orientation(std::span<const std::byte> exif) {
  if (exif.size() >= sizeof kPrefix && std::memcmp(exif.data(), kPrefix, sizeof kPrefix) == 0) {
    exif = exif.subspan(sizeof kPrefix);
  }
  const auto tiff = Tiff::open(exif);
  if (!tiff) return 1;
  const std::size_t directory = tiff->u32(4);
  const std::size_t n_entries = tiff->u16(directory);
  for (std::size_t i = 0; i < n_entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntrySize;
    if (tiff->u16(entry) != kOrientation) continue;
    const std::uint32_t type = tiff->u16(entry + 2), count = tiff->u32(entry + 4);
    if (count != 1 || (type != kShort && type != kLong)) return 1;
    const std::uint32_t value = type == kShort ? tiff->u16(entry + 8) : tiff->u32(entry + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace fourfold
