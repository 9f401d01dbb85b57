#include "tensor/blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "tensor/grids.h"

namespace fourfold {
namespace {

// Layouts and formulas: formats.md 2.2. In the functions below `b` is one block, `q`, `scales` and
// `offsets` its slice of the output. All of these are distinct memory; __restrict says so to the
// vectoriser, since byte pointers may alias everything.
using In = const std::uint8_t* __restrict;
using OutQ = std::int8_t* __restrict;
using OutF = float* __restrict;

constexpr std::int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                        1,    13,   25,  38,  53,  69,  89,  113};
// E2M1 values doubled, so that they are integers.
constexpr std::int8_t kFp4Levels[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

std::uint16_t load_u16(const std::uint8_t* b) {
  return static_cast<std::uint16_t>(b[0] | b[1] << 8);
}
std::uint32_t load_u32(const std::uint8_t* b) {
  return load_u16(b) | static_cast<std::uint32_t>(load_u16(b + 2)) << 16;
}
float load_f16(const std::uint8_t* b) { return f16_to_f32(load_u16(b)); }
int nibble(std::uint8_t byte, int which) { return (byte >> (4 * which)) & 15; }

// The low nibbles of `n` bytes, then the high ones, each less `bias`.
template <int n>
void unpack_nibbles(In b, int bias, OutQ q) {
  for (int j = 0; j < n; ++j) {
    q[j] = static_cast<std::int8_t>((b[j] & 15) - bias);
    q[j + n] = static_cast<std::int8_t>((b[j] >> 4) - bias);
  }
}

// The same through a table of 16 levels.
template <int n>
void unpack_levels(In b, const std::int8_t* levels, OutQ q) {
  for (int j = 0; j < n; ++j) {
    q[j] = levels[b[j] & 15];
    q[j + n] = levels[b[j] >> 4];
  }
}

// One grid entry; bit j of `signs` negates value j.
template <std::size_t n>
void unpack_signed(const std::array<std::uint8_t, n>& entry, unsigned signs, OutQ q) {
  for (std::size_t j = 0; j < n; ++j) {
    const int value = entry[j];
    q[j] = static_cast<std::int8_t>((signs >> j) & 1 ? -value : value);
  }
}

// Seven stored sign bits; the eighth makes the number of negative values even.
unsigned even_signs(unsigned bits) {
  return bits | static_cast<unsigned>(std::popcount(bits) & 1) << 7;
}

// --- 32 values a block ---

void unpack_q4_0(In b, OutQ q, OutF scales, OutF) {
  scales[0] = load_f16(b);
  unpack_nibbles<16>(b + 2, 8, q);
}

void unpack_q4_1(In b, OutQ q, OutF scales, OutF offsets) {
  scales[0] = load_f16(b);
  offsets[0] = load_f16(b + 2);
  unpack_nibbles<16>(b + 4, 0, q);
}

// Bit e of `high` is worth 16 in element e.
void add_fifth_bits(std::uint32_t high, OutQ q) {
  for (int e = 0; e < 32; ++e) q[e] = static_cast<std::int8_t>(q[e] + ((high >> e) & 1) * 16);
}

void unpack_q5_0(In b, OutQ q, OutF scales, OutF) {
  scales[0] = load_f16(b);
  unpack_nibbles<16>(b + 6, 16, q);
  add_fifth_bits(load_u32(b + 2), q);
}

void unpack_q5_1(In b, OutQ q, OutF scales, OutF offsets) {
  scales[0] = load_f16(b);
  offsets[0] = load_f16(b + 2);
  unpack_nibbles<16>(b + 8, 0, q);
  add_fifth_bits(load_u32(b + 4), q);
}

void unpack_q8_0(In b, OutQ q, OutF scales, OutF) {
  scales[0] = load_f16(b);
  std::memcpy(q, b + 2, 32);
}

void unpack_iq4_nl(In b, OutQ q, OutF scales, OutF) {
  scales[0] = load_f16(b);
  unpack_levels<16>(b + 2, kIq4Levels, q);
}

// 2^(exponent − 128): one below the E8M0 bias, because the levels are doubled.
float half_e8m0(std::uint8_t exponent) {
  if (exponent == 255) return std::numeric_limits<float>::quiet_NaN();
  const std::uint32_t bits = exponent < 2 ? 0x00200000u << exponent : (exponent - 1u) << 23;
  return std::bit_cast<float>(bits);
}

void unpack_mxfp4(In b, OutQ q, OutF scales, OutF) {
  scales[0] = half_e8m0(b[0]);
  unpack_levels<16>(b + 1, kFp4Levels, q);
}

// --- 64 and 128 values a block ---

// An unsigned E4M3 number, halved, because the levels are doubled.
float half_ue4m3(std::uint8_t bits) {
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  if ((bits & 0x7F) == 0x7F) return 0.0f;
  if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
  const auto power = std::bit_cast<float>(static_cast<std::uint32_t>(exponent + 127 - 7) << 23);
  return static_cast<float>(8 + mantissa) * power * 0x1p-4f;
}

void unpack_nvfp4(In b, OutQ q, OutF scales, OutF) {
  for (int s = 0; s < 4; ++s) {
    scales[s] = half_ue4m3(b[s]);
    unpack_levels<8>(b + 4 + 8 * s, kFp4Levels, q + 16 * s);
  }
}

void unpack_q1_0(In b, OutQ q, OutF scales, OutF) {
  std::fill_n(scales, 4, load_f16(b));
  for (int e = 0; e < 128; ++e) q[e] = (b[2 + e / 8] >> (e % 8)) & 1 ? 1 : -1;
}

void unpack_q2_0(In b, OutQ q, OutF scales, OutF) {
  std::fill_n(scales, 2, load_f16(b));
  for (int e = 0; e < 64; ++e) {
    q[e] = static_cast<std::int8_t>(((b[2 + e / 4] >> (2 * (e % 4))) & 3) - 1);
  }
}

// --- 256 values a block ---

// 64 bytes of 2-bit fields: each half of the block takes 32 bytes, lowest fields first.
void unpack_pairs(In b, int bias, OutQ q) {
  for (int half = 0; half < 2; ++half) {
    for (int field = 0; field < 4; ++field) {
      for (int l = 0; l < 32; ++l) {
        q[128 * half + 32 * field + l] =
            static_cast<std::int8_t>(((b[32 * half + l] >> (2 * field)) & 3) - bias);
      }
    }
  }
}

void unpack_q2_k(In b, OutQ q, OutF scales, OutF offsets) {
  const float d = load_f16(b + 80);
  const float dmin = load_f16(b + 82);
  for (int g = 0; g < 16; ++g) {
    scales[g] = d * static_cast<float>(b[g] & 15);
    offsets[g] = -(dmin * static_cast<float>(b[g] >> 4));
  }
  unpack_pairs(b + 16, 0, q);
}

void unpack_q3_k(In b, OutQ q, OutF scales, OutF) {
  const float d = load_f16(b + 108);
  const std::uint8_t* packed = b + 96;
  for (int j = 0; j < 16; ++j) {
    const int low = nibble(packed[j % 8], j / 8);
    const int high = (packed[8 + j % 4] >> (2 * (j / 4))) & 3;
    scales[j] = d * static_cast<float>((low | high << 4) - 32);
  }
  unpack_pairs(b + 32, 4, q);
  for (int g = 0; g < 8; ++g) {
    for (int l = 0; l < 32; ++l) {
      q[32 * g + l] = static_cast<std::int8_t>(q[32 * g + l] + ((b[l] >> g) & 1) * 4);
    }
  }
}

// Q4_K and Q5_K: f16 d, f16 dmin, then eight 6-bit scales and minima in 12 bytes.
void unpack_scales_and_mins(In b, OutF scales, OutF offsets) {
  const float d = load_f16(b);
  const float dmin = load_f16(b + 2);
  const std::uint8_t* packed = b + 4;
  for (int g = 0; g < 8; ++g) {
    int scale = packed[g] & 63;
    int min = packed[g + 4] & 63;
    if (g >= 4) {
      scale = (packed[g + 4] & 15) | (packed[g - 4] >> 6) << 4;
      min = (packed[g + 4] >> 4) | (packed[g] >> 6) << 4;
    }
    scales[g] = d * static_cast<float>(scale);
    offsets[g] = -(dmin * static_cast<float>(min));
  }
}

void unpack_q4_k(In b, OutQ q, OutF scales, OutF offsets) {
  unpack_scales_and_mins(b, scales, offsets);
  for (int pair = 0; pair < 4; ++pair) unpack_nibbles<32>(b + 16 + 32 * pair, 0, q + 64 * pair);
}

void unpack_q5_k(In b, OutQ q, OutF scales, OutF offsets) {
  unpack_scales_and_mins(b, scales, offsets);
  for (int pair = 0; pair < 4; ++pair) unpack_nibbles<32>(b + 48 + 32 * pair, 0, q + 64 * pair);
  for (int g = 0; g < 8; ++g) {
    for (int l = 0; l < 32; ++l) {
      q[32 * g + l] = static_cast<std::int8_t>(q[32 * g + l] + ((b[16 + l] >> g) & 1) * 16);
    }
  }
}

void unpack_q6_k(In b, OutQ q, OutF scales, OutF) {
  const float d = load_f16(b + 208);
  for (int g = 0; g < 16; ++g) {
    scales[g] = d * static_cast<float>(static_cast<std::int8_t>(b[192 + g]));
  }
  for (int half = 0; half < 2; ++half) {
    const std::uint8_t* low = b + 64 * half;
    const std::uint8_t* high = b + 128 + 32 * half;
    for (int k = 0; k < 4; ++k) {
      const std::uint8_t* nibbles = low + 32 * (k & 1);
      std::int8_t* __restrict out = q + 128 * half + 32 * k;
      for (int l = 0; l < 32; ++l) {
        const int bits = ((nibbles[l] >> (4 * (k >> 1))) & 15) | ((high[l] >> (2 * k)) & 3) << 4;
        out[l] = static_cast<std::int8_t>(bits - 32);
      }
    }
  }
}

void unpack_iq4_xs(In b, OutQ q, OutF scales, OutF) {
  const float d = load_f16(b);
  const std::uint16_t high = load_u16(b + 2);
  for (int g = 0; g < 8; ++g) {
    const int scale = nibble(b[4 + g / 2], g % 2) | ((high >> (2 * g)) & 3) << 4;
    scales[g] = d * static_cast<float>(scale - 32);
    unpack_levels<16>(b + 8 + 16 * g, kIq4Levels, q + 32 * g);
  }
}

// d · (0.5 + n) · 0.25, the scale of the IQ2 types.
float iq2_scale(float d, std::uint32_t n) { return d * static_cast<float>(2 * n + 1) * 0.125f; }

void unpack_iq2_xxs(In b, OutQ q, OutF scales, OutF) {
  const auto& grid = grids().iq2_xxs;
  const float d = load_f16(b);
  for (int g = 0; g < 8; ++g) {
    const std::uint8_t* indices = b + 2 + 8 * g;
    const std::uint32_t packed = load_u32(indices + 4);
    scales[g] = iq2_scale(d, packed >> 28);
    for (int l = 0; l < 4; ++l) {
      const unsigned signs = even_signs((packed >> (7 * l)) & 127);
      unpack_signed(grid[indices[l]], signs, q + 32 * g + 8 * l);
    }
  }
}

void unpack_iq2_xs(In b, OutQ q, OutF scales, OutF) {
  const auto& grid = grids().iq2_xs;
  const float d = load_f16(b);
  for (int g = 0; g < 16; ++g) {
    scales[g] = iq2_scale(d, static_cast<std::uint32_t>(nibble(b[66 + g / 2], g % 2)));
  }
  for (int octet = 0; octet < 32; ++octet) {
    const unsigned packed = load_u16(b + 2 + 2 * octet);
    unpack_signed(grid[packed & 511], even_signs(packed >> 9), q + 8 * octet);
  }
}

void unpack_iq2_s(In b, OutQ q, OutF scales, OutF) {
  const auto& grid = grids().iq2_s;
  const float d = load_f16(b);
  for (int g = 0; g < 16; ++g) {
    scales[g] = iq2_scale(d, static_cast<std::uint32_t>(nibble(b[74 + g / 2], g % 2)));
  }
  for (int octet = 0; octet < 32; ++octet) {
    const unsigned high = (b[66 + octet / 4] >> (2 * (octet % 4))) & 3u;
    unpack_signed(grid[b[2 + octet] | high << 8], b[34 + octet], q + 8 * octet);
  }
}

void unpack_iq3_xxs(In b, OutQ q, OutF scales, OutF) {
  const auto& grid = grids().iq3_xxs;
  const float d = load_f16(b);
  for (int g = 0; g < 8; ++g) {
    const std::uint8_t* indices = b + 2 + 8 * g;
    const std::uint32_t packed = load_u32(b + 66 + 4 * g);
    scales[g] = d * static_cast<float>(2 * (packed >> 28) + 1) * 0.25f;
    for (int l = 0; l < 4; ++l) {
      const unsigned signs = even_signs((packed >> (7 * l)) & 127);
      std::int8_t* octet = q + 32 * g + 8 * l;
      unpack_signed(grid[indices[2 * l]], signs & 15, octet);
      unpack_signed(grid[indices[2 * l + 1]], signs >> 4, octet + 4);
    }
  }
}

void unpack_iq3_s(In b, OutQ q, OutF scales, OutF) {
  const auto& grid = grids().iq3_s;
  const float d = load_f16(b);
  for (int g = 0; g < 8; ++g) {
    scales[g] = d * static_cast<float>(2 * nibble(b[106 + g / 2], g % 2) + 1);
  }
  for (int quartet = 0; quartet < 64; ++quartet) {
    const unsigned high = (b[66 + quartet / 8] >> (quartet % 8)) & 1u;
    const unsigned signs = static_cast<unsigned>(nibble(b[74 + quartet / 2], quartet % 2));
    unpack_signed(grid[b[2 + quartet] | high << 8], signs, q + 4 * quartet);
  }
}

// IQ1 values are grid ± 1/8, here in eighths: 8 · grid ± 1.
void unpack_iq1_octet(const std::array<std::int8_t, 8>& entry, bool minus, OutQ q) {
  for (int j = 0; j < 8; ++j) {
    q[j] = static_cast<std::int8_t>(8 * entry[static_cast<std::size_t>(j)] + (minus ? -1 : 1));
  }
}

void unpack_iq1_s(In b, OutQ q, OutF scales, OutF) {
  const auto& grid = grids().iq1;
  const float d = load_f16(b);
  for (int g = 0; g < 8; ++g) {
    const unsigned high = load_u16(b + 34 + 2 * g);
    scales[g] = d * static_cast<float>(2 * ((high >> 12) & 7) + 1) * 0.125f;
    for (int l = 0; l < 4; ++l) {
      const unsigned index = b[2 + 4 * g + l] | ((high >> (3 * l)) & 7) << 8;
      unpack_iq1_octet(grid[index], high >> 15, q + 32 * g + 8 * l);
    }
  }
}

void unpack_iq1_m(In b, OutQ q, OutF scales, OutF) {
  const auto& grid = grids().iq1;
  std::uint16_t words[4];
  unsigned d_bits = 0;  // spread over the top nibbles of the four scale words
  for (int w = 0; w < 4; ++w) {
    words[w] = load_u16(b + 48 + 2 * w);
    d_bits |= static_cast<unsigned>(words[w] >> 12) << (4 * w);
  }
  const float d = f16_to_f32(static_cast<std::uint16_t>(d_bits));
  for (int g = 0; g < 16; ++g) {
    const int scale = (words[g / 4] >> (3 * (g % 4))) & 7;
    scales[g] = d * static_cast<float>(2 * scale + 1) * 0.125f;
  }
  for (int octet = 0; octet < 32; ++octet) {
    const unsigned high = static_cast<unsigned>(nibble(b[32 + octet / 2], octet % 2));
    unpack_iq1_octet(grid[b[octet] | (high & 7) << 8], high >> 3, q + 8 * octet);
  }
}

void unpack_tq2_0(In b, OutQ q, OutF scales, OutF) {
  std::fill_n(scales, 8, load_f16(b + 64));
  unpack_pairs(b, 1, q);
}

// `n_trits` trits of each of `n_bytes` bytes, most significant trit first.
void unpack_trits(In b, int n_bytes, int n_trits, OutQ q) {
  unsigned power = 1;
  for (int trit = 0; trit < n_trits; ++trit, power *= 3) {
    for (int j = 0; j < n_bytes; ++j) {
      const unsigned rest = b[j] * power & 255;
      q[n_bytes * trit + j] = static_cast<std::int8_t>(static_cast<int>(rest * 3 >> 8) - 1);
    }
  }
}

void unpack_tq1_0(In b, OutQ q, OutF scales, OutF) {
  std::fill_n(scales, 8, load_f16(b + 52));
  unpack_trits(b, 32, 5, q);
  unpack_trits(b + 32, 16, 5, q + 160);
  unpack_trits(b + 48, 4, 4, q + 240);
}

using UnpackBlock = void (*)(In, OutQ, OutF, OutF);

UnpackBlock find_unpack(DType type) {
  switch (type) {
    case DType::Q4_0: return unpack_q4_0;
    case DType::Q4_1: return unpack_q4_1;
    case DType::Q5_0: return unpack_q5_0;
    case DType::Q5_1: return unpack_q5_1;
    case DType::Q8_0: return unpack_q8_0;
    case DType::Q2_K: return unpack_q2_k;
    case DType::Q3_K: return unpack_q3_k;
    case DType::Q4_K: return unpack_q4_k;
    case DType::Q5_K: return unpack_q5_k;
    case DType::Q6_K: return unpack_q6_k;
    case DType::IQ4_NL: return unpack_iq4_nl;
    case DType::IQ4_XS: return unpack_iq4_xs;
    case DType::IQ3_S: return unpack_iq3_s;
    case DType::IQ3_XXS: return unpack_iq3_xxs;
    case DType::IQ2_S: return unpack_iq2_s;
    case DType::IQ2_XS: return unpack_iq2_xs;
    case DType::IQ2_XXS: return unpack_iq2_xxs;
    case DType::IQ1_S: return unpack_iq1_s;
    case DType::IQ1_M: return unpack_iq1_m;
    case DType::MXFP4: return unpack_mxfp4;
    case DType::NVFP4: return unpack_nvfp4;
    case DType::TQ1_0: return unpack_tq1_0;
    case DType::TQ2_0: return unpack_tq2_0;
    case DType::Q1_0: return unpack_q1_0;
    case DType::Q2_0: return unpack_q2_0;
    default: return nullptr;
  }
}

// The largest block and its number of groups.
constexpr int kMaxBlock = 256;
constexpr int kMaxGroups = 16;

void scale_groups(const DTypeTraits& type, const std::int8_t* __restrict q, OutF scales,
                  OutF offsets, OutF out) {
  for (int g = 0; g < type.block / type.group; ++g) {
    // Every group is a multiple of 16: a constant length lets the loop vectorise.
    for (int part = 0; part < type.group; part += 16) {
      const int begin = g * type.group + part;
      if (type.has_min) {
        for (int j = begin; j < begin + 16; ++j) {
          out[j] = scales[g] * static_cast<float>(q[j]) + offsets[g];
        }
      } else {
        for (int j = begin; j < begin + 16; ++j) out[j] = scales[g] * static_cast<float>(q[j]);
      }
    }
  }
}

void dequantize_blocks(DType type, const std::byte* data, std::int64_t n, float* out) {
  const auto& t = traits(type);
  std::int8_t q[kMaxBlock];
  float scales[kMaxGroups];
  float offsets[kMaxGroups];
  for (std::int64_t i = 0; i < n; i += t.block, data += t.block_bytes) {
    unpack_blocks(type, data, 1, q, scales, offsets);
    scale_groups(t, q, scales, offsets, out + i);
  }
}

template <class Convert>
void widen(const std::byte* data, std::int64_t n, float* out, Convert convert) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data);
  for (std::int64_t i = 0; i < n; ++i) out[i] = convert(load_u16(bytes + 2 * i));
}

}  // namespace

float f16_to_f32(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(half & 0x7FFF) << 13;
  if (magnitude >= 0x0F800000) return std::bit_cast<float>(sign | 0x70000000 | magnitude);
  // Read as f32 the exponent is 112 too small; the product is exact, also for subnormals.
  const float value = std::bit_cast<float>(magnitude) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
}

std::uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000;
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  std::uint32_t half;
  if (magnitude > 0x7F800000) {
    half = 0x7E00;  // NaN
  } else if (magnitude >= 0x477FF000) {
    half = 0x7C00;  // 65520 and above round to infinity
  } else if (magnitude < 0x38800000) {
    // Subnormal: next to 0.5 an f32 has exactly the steps of 2^-24 that are wanted.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3F000000;
  } else {
    const std::uint32_t odd = (magnitude >> 13) & 1;
    half = (magnitude - 0x38000000 + 0xFFF + odd) >> 13;
  }
  return static_cast<std::uint16_t>(sign | half);
}

std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

void unpack_blocks(DType type, const std::byte* blocks, std::int64_t n_blocks, std::int8_t* q,
                   float* scales, float* offsets) {
  const UnpackBlock unpack = find_unpack(type);
  CHECK(unpack != nullptr);
  const auto& t = traits(type);
  const int n_groups = t.block / t.group;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(blocks);
  for (std::int64_t i = 0; i < n_blocks; ++i) {
    unpack(bytes, q, scales, offsets);
    bytes += t.block_bytes;
    q += t.block;
    scales += n_groups;
    if (t.has_min) offsets += n_groups;
  }
}

void dequantize(DType type, const std::byte* data, std::int64_t n, float* out) {
  CHECK(is_weight_type(type));
  switch (type) {
    case DType::F32: std::copy_n(data, n * 4, reinterpret_cast<std::byte*>(out)); return;
    case DType::F16: widen(data, n, out, f16_to_f32); return;
    case DType::BF16: widen(data, n, out, bf16_to_f32); return;
    default: dequantize_blocks(type, data, n, out);
  }
}

}  // namespace fourfold
