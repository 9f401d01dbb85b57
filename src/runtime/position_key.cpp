#include "runtime/position_key.h"

#include <algorithm>
#include <cstring>

namespace fourfold {
namespace {

std::uint64_t mix(std::uint64_t value) {
  value ^= value >> 32;
  value *= 0x9E3779B97F4A7C15;
  value ^= value >> 29;
  value *= 0xBF58476D1CE4E5B9;
  return value ^ value >> 32;
}

// No id is so large.
PositionKey as_growing(PositionKey key) {
  return (key & ~(std::uint64_t{1} << 63)) | std::uint64_t{1} << 62;
}

}  // namespace

PositionKey soft_position(const MediaKey& key, std::int64_t row) {
  auto hash = mix(static_cast<std::uint64_t>(row) + 1);
  for (std::size_t at = 0; at < key.size(); at += sizeof hash) {
    std::uint64_t word = 0;
    std::memcpy(&word, key.data() + at, sizeof word);
    hash = mix(hash ^ word) + hash;
  }
  return mix(hash) | std::uint64_t{1} << 63;
}

std::vector<PositionKey> position_keys(std::span<const TokenId> ids,
                                       std::span<const SoftSpan> soft) {
  std::vector<PositionKey> keys;
  keys.reserve(ids.size());
  for (const TokenId id : ids) keys.push_back(static_cast<std::uint32_t>(id));
  const auto n_ids = static_cast<std::int64_t>(ids.size());
  for (const SoftSpan& span : soft) {
    const std::int64_t end = std::min(n_ids, span.first + span.rows->n_rows);
    for (std::int64_t at = span.first; at < end; ++at) {
      const PositionKey key = soft_position(span.rows->key, at - span.first);
      keys[static_cast<std::size_t>(at)] = span.rows->grows ? as_growing(key) : key;
    }
  }
  return keys;
}

std::int64_t whole_blocks(std::span<const PositionKey> keys, std::int64_t n) {
  while (n > 0 && is_soft(keys[static_cast<std::size_t>(n - 1)])) --n;
  return n;
}

std::int64_t n_equal(std::span<const PositionKey> a, std::span<const PositionKey> b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

}  // namespace fourfold
