// The K/V cache of one layer and one sequence, as kernels see it: blocks of 64 tokens.
//
// A block starts at an absolute position that is a multiple of 64. Within it every KV head has its
// K rows and then its V rows, each row in the cache's element type. The folded form of layers whose
// V is the raw K projection (text-model.md 2.2) keeps of K only the rotated lanes; the others are
// read from V, and the query carries the norm weight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kernels/table.h"

namespace fourfold {

enum class KvType : std::uint8_t { F32, BF16, F16, Q8_0 };

std::optional<KvType> kv_type_from_name(std::string_view name);  // "f32", "bf16", "f16", "q8_0"
std::string_view name(KvType type);
// Bytes of n values; q8_0 rounds n up to a multiple of 32.
std::int64_t kv_bytes(KvType type, std::int64_t n);

// Upper bound of n_folded_pairs (64 in all released bodies).
inline constexpr int kMaxFoldedPairs = 256;

struct KvLayout {
  KvType type = KvType::BF16;
  int n_heads = 0;   // K
  int channels = 0;  // C, of V and of an unfolded K
  // Folded: only the pairs (j, j + C/2) with j < n_folded_pairs of K are stored. 0: all of K.
  int n_folded_pairs = 0;

  bool folded() const { return n_folded_pairs > 0; }
  int stored_k_channels() const { return folded() ? 2 * n_folded_pairs : channels; }
  std::int64_t k_row_bytes() const { return kv_bytes(type, stored_k_channels()); }
  std::int64_t v_row_bytes() const { return kv_bytes(type, channels); }
  std::int64_t head_bytes() const { return kKeyBlock * (k_row_bytes() + v_row_bytes()); }
  std::int64_t block_bytes() const { return n_heads * head_bytes(); }
  std::int64_t token_bytes() const { return n_heads * (k_row_bytes() + v_row_bytes()); }
};

struct KvView {
  KvLayout layout;
  std::byte* const* blocks = nullptr;  // owned by the sequence's cache
  std::int64_t n_blocks = 0;
  bool ring = false;  // block b of the sequence lies at b % n_blocks

  std::byte* block(std::int64_t index) const { return blocks[ring ? index % n_blocks : index]; }
};

// Stores k and v [n_heads, channels] of one token, rounded to the cache's type.
void store_kv(const Kernels& kernels, const KvView& view, std::int64_t position, const float* k,
              const float* v);

// Reads the rows [first, last) of one head and one block into k and v [64, channels].
void load_kv(const Kernels& kernels, const KvView& view, int head, std::int64_t block, int first,
             int last, float* k, float* v);

// The rows of one head and one block in bf16: those of a bf16 cache where they lie, those of q8_0
// converted. Channels and n_folded_pairs are multiples of 32.
struct Bf16Block {
  std::uint16_t* k_memory = nullptr;  // [64, channels], for what is converted
  std::uint16_t* v_memory = nullptr;

  KeyPart parts[kMaxKeyParts] = {};
  int n_parts = 0;
  const std::uint16_t* v = nullptr;  // [64, channels]

  // Where the rows of a bf16 cache lie that read_keys or read_values will use; null for others.
  static const std::uint16_t* keys_in_place(const KvView& view, int head, std::int64_t block);
  static const std::uint16_t* values_in_place(const KvView& view, int head, std::int64_t block);

  // Sets the parts; the keys [first, last) of them are there.
  void read_keys(const Kernels& kernels, const KvView& view, int head, std::int64_t block,
                 int first, int last);
  // Likewise v.
  void read_values(const Kernels& kernels, const KvView& view, int head, std::int64_t block,
                   int first, int last);
};

}  // namespace fourfold
