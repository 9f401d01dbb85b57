// Overflow-checked u64 arithmetic for sizes that come from files.
#pragma once

#include <cstdint>
#include <optional>

namespace fourfold {

inline std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// Smallest multiple of `unit` that is not below `value`; unit is not zero.
inline std::optional<std::uint64_t> checked_round_up(std::uint64_t value, std::uint64_t unit) {
  const auto padded = checked_add(value, unit - 1);
  if (!padded) return std::nullopt;
  return *padded / unit * unit;
}

// For sizes of our own, which cannot overflow.
constexpr std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace fourfold
