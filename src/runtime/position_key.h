// What a position of a sequence is, for every comparison of prefixes: a token by its id, a soft
// position by its medium and row. Two pictures of one size have the same ids (vision-video.md 10).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/soft_rows.h"
#include "tokenizer/token_id.h"

namespace fourfold {

// The id of a token; for a soft position the top bit and 63 bits of a hash of key and row. Rows
// that grow have the bit below instead: a prefix may end among them, as it may among tokens.
using PositionKey = std::uint64_t;

constexpr bool is_soft(PositionKey key) { return key >> 63 != 0; }

PositionKey soft_position(const MediaKey& key, std::int64_t row);

// One for each id. The spans are ascending and apart; what reaches beyond the ids is left out.
std::vector<PositionKey> position_keys(std::span<const TokenId> ids,
                                       std::span<const SoftSpan> soft = {});

// The longest beginning of at most n positions that does not end inside a block or right behind
// one: K/V may be gone on from there in every body (vision-video.md 7).
std::int64_t whole_blocks(std::span<const PositionKey> keys, std::int64_t n);

// How many leading positions are equal.
std::int64_t n_equal(std::span<const PositionKey> a, std::span<const PositionKey> b);

}  // namespace fourfold
