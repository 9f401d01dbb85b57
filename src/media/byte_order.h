// Integers in file bytes. The caller has checked that they are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fourfold {

inline std::uint32_t byte_at(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<std::uint32_t>(bytes[at]);
}
inline std::uint16_t read_u16_le(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) | byte_at(bytes, at + 1) << 8);
}
inline std::uint16_t read_u16_be(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}
inline std::uint32_t read_u32_le(std::span<const std::byte> bytes, std::size_t at) {
  return read_u16_le(bytes, at) | std::uint32_t{read_u16_le(bytes, at + 2)} << 16;
}
inline std::uint32_t read_u32_be(std::span<const std::byte> bytes, std::size_t at) {
  return std::uint32_t{read_u16_be(bytes, at)} << 16 | read_u16_be(bytes, at + 2);
}

}  // namespace fourfold
