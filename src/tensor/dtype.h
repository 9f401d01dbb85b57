// The element and block types of tensors in files, and their sizes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fourfold {

// Outside spellings (ggml's and safetensors') are kept.
enum class DType : std::uint8_t {
  F32,
  F16,
  BF16,
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q8_0,
  Q2_K,
  Q3_K,
  Q4_K,
  Q5_K,
  Q6_K,
  IQ4_NL,
  IQ4_XS,
  IQ3_S,
  IQ3_XXS,
  IQ2_S,
  IQ2_XS,
  IQ2_XXS,
  IQ1_S,
  IQ1_M,
  MXFP4,
  NVFP4,
  TQ1_0,
  TQ2_0,
  Q1_0,
  Q2_0,
  // Stored, never computed with: integer and byte tensors of safetensors folders and side data.
  I8,
  I16,
  I32,
  I64,
  U8,
  U16,
  U32,
  U64,
  F64,
  Bool,
  F8_E4M3,
  F8_E5M2,
  F8_E8M0,
};
inline constexpr int kDTypeCount = static_cast<int>(DType::F8_E8M0) + 1;

struct DTypeTraits {
  std::string_view name;  // "Q4_K"
  int block = 1;          // values per block
  int block_bytes = 0;
  int group = 0;         // quantised types: values that share a scale (16 or 32…), else 0
  bool has_min = false;  // quantised types: each group also has an additive constant

  bool quantised() const { return group != 0; }
};

const DTypeTraits& traits(DType type);
inline std::string_view name(DType type) { return traits(type).name; }

// Number of the GGUF format (formats.md 1.3); nullopt for retired and unknown numbers.
std::optional<DType> dtype_from_gguf(std::uint32_t number);
std::optional<std::uint32_t> gguf_number(DType type);

// True for the types that weights may have: F32, F16, BF16 and all quantised ones.
bool is_weight_type(DType type);

// Bytes of `n` values; n is a multiple of the block.
inline std::int64_t size_bytes(DType type, std::int64_t n) {
  return n / traits(type).block * traits(type).block_bytes;
}

}  // namespace fourfold
