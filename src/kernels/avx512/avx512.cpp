// AVX-512 with VNNI: 16 weight rows a register, four k a lane (vpdpbusd).
#include "kernels/avx512/lanes.h"
// After lanes.h:
#include "kernels/generic/kernels.inc"

namespace fourfold {
namespace {

// Turns four registers whose 128-bit lane l holds 16 bytes of row 4l + i into four whose dword
// 4l + i is one dword of that row: the panel layout [k / 4][row][4].
inline void transpose_dwords(__m512i rows[4]) {
  const __m512i a = _mm512_unpacklo_epi32(rows[0], rows[1]);
  const __m512i b = _mm512_unpacklo_epi32(rows[2], rows[3]);
  const __m512i c = _mm512_unpackhi_epi32(rows[0], rows[1]);
  const __m512i d = _mm512_unpackhi_epi32(rows[2], rows[3]);
  rows[0] = _mm512_unpacklo_epi64(a, b);
  rows[1] = _mm512_unpackhi_epi64(a, b);
  rows[2] = _mm512_unpacklo_epi64(c, d);
  rows[3] = _mm512_unpackhi_epi64(c, d);
}

// 16 bytes of the rows i, 4 + i, 8 + i, 12 + i.
inline __m512i load_lanes(const std::uint8_t* p, std::int64_t stride, int i) {
  const auto at = [&](int row) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + row * stride));
  };
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(at(i)), at(4 + i), 1);
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(at(8 + i)), at(12 + i), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// vpdpbusd wants one unsigned side: weights are stored with 128 added.
constexpr int kPanelZero = 128;

void pack_panel(const std::int8_t* q, std::int64_t stride, int k, std::uint8_t* out) {
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(q);
  for (int i = 0; i < k; i += 16, out += 256) {
    __m512i rows[4];
    for (int r = 0; r < 4; ++r) rows[r] = load_lanes(bytes + i, stride, r);
    transpose_dwords(rows);
    for (int r = 0; r < 4; ++r) _mm512_storeu_si512(out + 64 * r, _mm512_xor_si512(rows[r], flip));
  }
}

inline __m512i low_nibbles(__m512i x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
inline __m512i high_nibbles(__m512i x) { return low_nibbles(_mm512_srli_epi16(x, 4)); }
// Bits [shift, shift + 2) of every byte, moved to bits 4 and 5.
inline __m512i two_bits(__m512i x, int shift) {
  const __m512i bits = _mm512_srl_epi16(x, _mm_cvtsi32_si128(shift));
  return _mm512_slli_epi16(_mm512_and_si512(bits, _mm512_set1_epi8(3)), 4);
}

// 16 bytes of each of 16 rows as four registers of the panel layout.
inline void load_quads(const std::uint8_t* p, std::int64_t stride, __m512i quads[4]) {
  for (int r = 0; r < 4; ++r) quads[r] = load_lanes(p, stride, r);
  transpose_dwords(quads);
}

// The first dword of the 16 bytes at p, of each row.
inline __m512i load_dwords(const std::uint8_t* p, std::int64_t stride) {
  __m512i rows[4];
  for (int r = 0; r < 4; ++r) rows[r] = load_lanes(p, stride, r);
  return _mm512_unpacklo_epi64(_mm512_unpacklo_epi32(rows[0], rows[1]),
                               _mm512_unpacklo_epi32(rows[2], rows[3]));
}

// The f16 in the low half of each dword.
inline Lanes low_half(__m512i dwords) { return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(dwords))}; }
inline Lanes high_half(__m512i dwords) { return low_half(_mm512_srli_epi32(dwords, 16)); }

// Byte i of each dword, as f32.
inline Lanes signed_byte(__m512i dwords, int i) {
  const __m512i top = _mm512_sll_epi32(dwords, _mm_cvtsi32_si128(24 - 8 * i));
  return {_mm512_cvtepi32_ps(_mm512_srai_epi32(top, 24))};
}
inline Lanes unsigned_byte(__m512i dwords, int i) {
  const __m512i bottom = _mm512_srl_epi32(dwords, _mm_cvtsi32_si128(8 * i));
  return {_mm512_cvtepi32_ps(_mm512_and_si512(bottom, _mm512_set1_epi32(255)))};
}

// Asks for the same bytes of the next panel: 16 rows are 16 streams, too many for the hardware's
// own prefetcher. `n_bytes` are read of each row until the next call.
inline void prefetch_next(const std::uint8_t* rows, std::int64_t stride, int n_bytes) {
  for (int line = 0; line < n_bytes; line += 64) {
    const std::uint8_t* p = rows + kPanelRows * stride + line;
    for (int r = 0; r < kPanelRows; ++r) {
      _mm_prefetch(reinterpret_cast<const char*>(p + r * stride), _MM_HINT_T1);
    }
  }
}

inline void put(std::uint8_t* q, __m512i x) { _mm512_storeu_si512(q, x); }

// Block layouts: formats.md 2.2. The weights stay unsigned; `zero` of the table says what was
// added.

// Blocks of an f16 scale and 32 nibbles; `level_of` makes weights of nibbles.
template <class LevelOf>
inline void pack_nibbles(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out,
                         LevelOf level_of) {
  for (int b = 0; b < k / 32; ++b, rows += 18, out.q += 512) {
    if (b % 3 == 0) prefetch_next(rows, stride, 64);
    store(out.scales + b * kPanelRows, low_half(load_dwords(rows, stride)));
    __m512i quads[4];
    load_quads(rows + 2, stride, quads);
    for (int i = 0; i < 4; ++i) {
      put(out.q + 64 * i, level_of(low_nibbles(quads[i])));
      put(out.q + 256 + 64 * i, level_of(high_nibbles(quads[i])));
    }
  }
}

void pack_q4_0(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out) {
  pack_nibbles(rows, stride, k, out, [](__m512i nibbles) { return nibbles; });
}

// The levels of IQ4_NL with 128 added.
alignas(16) constexpr std::uint8_t kLevels[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                  129, 141, 153, 166, 181, 197, 217, 241};

void pack_iq4_nl(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out) {
  const __m512i levels =
      _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(kLevels)));
  pack_nibbles(rows, stride, k, out,
               [levels](__m512i nibbles) { return _mm512_shuffle_epi8(levels, nibbles); });
}

// The fifth bits of a row are one u32: bit e belongs to element e.
void pack_q5_0(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out) {
  const __m512i spread = _mm512_set1_epi32(0x00204081);  // bit j of a nibble → bit 8·j
  const __m512i ones = _mm512_set1_epi32(0x01010101);
  for (int b = 0; b < k / 32; ++b, rows += 22, out.q += 512) {
    if (b % 2 == 0) prefetch_next(rows, stride, 64);
    store(out.scales + b * kPanelRows, low_half(load_dwords(rows, stride)));
    __m512i fifth = load_dwords(rows + 2, stride);
    __m512i quads[4];
    load_quads(rows + 6, stride, quads);
    for (int i = 0; i < 8; ++i) {
      const __m512i nibble = _mm512_and_si512(fifth, _mm512_set1_epi32(15));
      const __m512i high = _mm512_and_si512(_mm512_mullo_epi32(nibble, spread), ones);
      const __m512i low = i < 4 ? low_nibbles(quads[i]) : high_nibbles(quads[i - 4]);
      put(out.q + 64 * i, _mm512_or_si512(low, _mm512_slli_epi32(high, 4)));
      fifth = _mm512_srli_epi32(fifth, 4);
    }
  }
}

void pack_q8_0(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out) {
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
  for (int b = 0; b < k / 32; ++b, rows += 34, out.q += 512) {
    prefetch_next(rows, stride, 64);
    store(out.scales + b * kPanelRows, low_half(load_dwords(rows, stride)));
    for (int half = 0; half < 2; ++half) {
      __m512i quads[4];
      load_quads(rows + 2 + 16 * half, stride, quads);
      for (int i = 0; i < 4; ++i) {
        put(out.q + 256 * half + 64 * i, _mm512_xor_si512(quads[i], flip));
      }
    }
  }
}

// scale[g] = d·scales[g], offset[g] = −dmin·mins[g] of all rows and the eight groups: d, dmin and
// 12 bytes of 6-bit numbers at the beginning of a Q4_K or Q5_K block.
inline void put_group_scales(const std::uint8_t* rows, std::int64_t stride, float* scales,
                             float* offsets) {
  __m512i head[4];
  load_quads(rows, stride, head);
  const auto bits = [](__m512i x, int shift, int mask) {
    return _mm512_and_si512(_mm512_srl_epi32(x, _mm_cvtsi32_si128(shift)), _mm512_set1_epi32(mask));
  };
  constexpr int kSix = 0x3f3f3f3f, kFour = 0x0f0f0f0f, kTwo = 0x03030303;
  const auto upper = [&](__m512i low4, __m512i word) {
    return _mm512_or_si512(low4, _mm512_slli_epi32(bits(word, 6, kTwo), 4));
  };
  const __m512i scale_bytes[2] = {bits(head[1], 0, kSix), upper(bits(head[3], 0, kFour), head[1])};
  const __m512i min_bytes[2] = {bits(head[2], 0, kSix), upper(bits(head[3], 4, kFour), head[2])};
  const Lanes d = low_half(head[0]);
  const Lanes dmin = negate(high_half(head[0]));
  for (int g = 0; g < 8; ++g) {
    store(scales + g * kPanelRows, d * unsigned_byte(scale_bytes[g / 4], g % 4));
    store(offsets + g * kPanelRows, dmin * unsigned_byte(min_bytes[g / 4], g % 4));
  }
}

void pack_q4_k(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out) {
  for (int b = 0; b < k / 256; ++b, rows += 144) {
    prefetch_next(rows, stride, 144);
    put_group_scales(rows, stride, out.scales + 8 * b * kPanelRows,
                     out.offsets + 8 * b * kPanelRows);
    for (int pair = 0; pair < 4; ++pair, out.q += 1024) {
      for (int half = 0; half < 2; ++half) {
        __m512i quads[4];
        load_quads(rows + 16 + 32 * pair + 16 * half, stride, quads);
        for (int i = 0; i < 4; ++i) {
          put(out.q + 256 * half + 64 * i, low_nibbles(quads[i]));
          put(out.q + 512 + 256 * half + 64 * i, high_nibbles(quads[i]));
        }
      }
    }
  }
}

void pack_q5_k(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out) {
  const __m512i sixteen = _mm512_set1_epi8(16);
  for (int b = 0; b < k / 256; ++b, rows += 176, out.q += 4096) {
    prefetch_next(rows, stride, 176);
    put_group_scales(rows, stride, out.scales + 8 * b * kPanelRows,
                     out.offsets + 8 * b * kPanelRows);
    for (int half = 0; half < 2; ++half) {
      __m512i fifth[4];
      load_quads(rows + 16 + 16 * half, stride, fifth);
      for (int pair = 0; pair < 4; ++pair) {
        __m512i quads[4];
        load_quads(rows + 48 + 32 * pair + 16 * half, stride, quads);
        std::uint8_t* q = out.q + 1024 * pair + 256 * half;
        for (int i = 0; i < 4; ++i) {
          const __m512i even = _mm512_and_si512(_mm512_slli_epi16(fifth[i], 4), sixteen);
          const __m512i odd = _mm512_and_si512(_mm512_slli_epi16(fifth[i], 3), sixteen);
          put(q + 64 * i, _mm512_or_si512(low_nibbles(quads[i]), even));
          put(q + 512 + 64 * i, _mm512_or_si512(high_nibbles(quads[i]), odd));
          fifth[i] = _mm512_srli_epi16(fifth[i], 2);
        }
      }
    }
  }
}

void pack_q6_k(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out) {
  for (int b = 0; b < k / 256; ++b, rows += 210) {
    prefetch_next(rows, stride, 210);
    __m512i tail[4], scales[4];
    load_quads(rows + 194, stride, tail);  // d is the block's last two bytes
    load_quads(rows + 192, stride, scales);
    const Lanes d = high_half(tail[3]);
    for (int g = 0; g < 16; ++g) {
      store(out.scales + (16 * b + g) * kPanelRows, d * signed_byte(scales[g / 4], g % 4));
    }
    for (int n = 0; n < 2; ++n, out.q += 2048) {
      for (int half = 0; half < 2; ++half) {
        __m512i first[4], second[4], high[4];
        load_quads(rows + 64 * n + 16 * half, stride, first);
        load_quads(rows + 64 * n + 32 + 16 * half, stride, second);
        load_quads(rows + 128 + 32 * n + 16 * half, stride, high);
        std::uint8_t* q = out.q + 256 * half;
        for (int i = 0; i < 4; ++i, q += 64) {
          put(q, _mm512_or_si512(low_nibbles(first[i]), two_bits(high[i], 0)));
          put(q + 512, _mm512_or_si512(low_nibbles(second[i]), two_bits(high[i], 2)));
          put(q + 1024, _mm512_or_si512(high_nibbles(first[i]), two_bits(high[i], 4)));
          put(q + 1536, _mm512_or_si512(high_nibbles(second[i]), two_bits(high[i], 6)));
        }
      }
    }
  }
}

// T tokens against the panel; kGroup is 16 or 32.
template <int T, int kGroup, bool kOffsets, bool kFine>
inline void panel_tile(const PanelView& w, const QuantView& x, float* acc) {
  __m512 sum[T];
  for (int t = 0; t < T; ++t) sum[t] = _mm512_loadu_ps(acc + t * kPanelRows);
  const auto four_of = [](const std::int8_t* q) {
    std::int32_t four;
    __builtin_memcpy(&four, q, 4);
    return _mm512_set1_epi32(four);
  };
  const std::uint8_t* wq = w.q;
  for (int g = 0; g < w.k / kGroup; ++g) {
    constexpr int kSums = kGroup / kSumBlock;
    const __m512 w_scale = _mm512_loadu_ps(w.scales + g * kPanelRows);
    __m512i dots[T];
    __m512i high_dots[T];  // of the fine form's high part
    std::int32_t x_sums[T];
    for (int t = 0; t < T; ++t) {
      const std::int32_t* sums = x.sums + t * x.sum_stride + g * kSums;
      x_sums[t] = kSums == 2 ? sums[0] + sums[1] : sums[0];
      dots[t] = _mm512_set1_epi32(-w.zero * x_sums[t]);
      if constexpr (kFine) high_dots[t] = _mm512_setzero_si512();
    }
    for (int i = 0; i < kGroup / 4; ++i, wq += 64) {
      const __m512i weights = _mm512_loadu_si512(wq);
      for (int t = 0; t < T; ++t) {
        const std::int64_t at = t * x.q_stride + g * kGroup + 4 * i;
        if constexpr (kFine) {
          high_dots[t] = _mm512_dpbusd_epi32(high_dots[t], weights, four_of(x.q + at));
          dots[t] = _mm512_dpbusd_epi32(dots[t], weights, four_of(x.q_fine + at));
        } else {
          dots[t] = _mm512_dpbusd_epi32(dots[t], weights, four_of(x.q + at));
        }
      }
    }
    for (int t = 0; t < T; ++t) {
      if constexpr (kFine) {
        dots[t] = _mm512_add_epi32(dots[t], _mm512_slli_epi32(high_dots[t], 7));
      }
      const __m512 x_scale =
          _mm512_set1_ps(x.scales[t * x.scale_stride + g * kGroup / kActivationBlock]);
      sum[t] =
          _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[t]), _mm512_mul_ps(w_scale, x_scale), sum[t]);
      if constexpr (kOffsets) {
        const __m512 offset = _mm512_loadu_ps(w.offsets + g * kPanelRows);
        sum[t] = _mm512_fmadd_ps(_mm512_set1_ps(static_cast<float>(x_sums[t])),
                                 _mm512_mul_ps(offset, x_scale), sum[t]);
      }
    }
  }
  for (int t = 0; t < T; ++t) _mm512_storeu_ps(acc + t * kPanelRows, sum[t]);
}

template <int kGroup, bool kOffsets, bool kFine>
inline void panel_tokens(const PanelView& w, const QuantView& x, int n_tokens, float* acc) {
  int t = 0;
  for (; t + 8 <= n_tokens; t += 8) {
    panel_tile<8, kGroup, kOffsets, kFine>(w, from_token(x, t), acc + t * kPanelRows);
  }
  for (; t + 4 <= n_tokens; t += 4) {
    panel_tile<4, kGroup, kOffsets, kFine>(w, from_token(x, t), acc + t * kPanelRows);
  }
  for (; t < n_tokens; ++t) {
    panel_tile<1, kGroup, kOffsets, kFine>(w, from_token(x, t), acc + t * kPanelRows);
  }
}

template <int kGroup, bool kOffsets>
inline void panel_form(const PanelView& w, const QuantView& x, int n_tokens, float* acc) {
  x.q_fine ? panel_tokens<kGroup, kOffsets, true>(w, x, n_tokens, acc)
           : panel_tokens<kGroup, kOffsets, false>(w, x, n_tokens, acc);
}

void matmul_panel(const PanelView& w, const QuantView& x, int n_tokens, float* acc) {
  if (w.group == 32) {
    w.offsets ? panel_form<32, true>(w, x, n_tokens, acc)
              : panel_form<32, false>(w, x, n_tokens, acc);
  } else {
    w.offsets ? panel_form<16, true>(w, x, n_tokens, acc)
              : panel_form<16, false>(w, x, n_tokens, acc);
  }
}

}  // namespace

const Kernels kAvx512Kernels = {
    .name = "avx512",
#include "kernels/generic/table.inc"
    .pack_panel = pack_panel,
    .panel_zero = kPanelZero,
    .q4_0 = {.pack = pack_q4_0, .zero = 8},
    .q5_0 = {.pack = pack_q5_0, .zero = 16},
    .q8_0 = {.pack = pack_q8_0, .zero = 128},
    .q4_k = {.pack = pack_q4_k, .zero = 0},
    .q5_k = {.pack = pack_q5_k, .zero = 0},
    .q6_k = {.pack = pack_q6_k, .zero = 32},
    .iq4_nl = {.pack = pack_iq4_nl, .zero = 128},
    .matmul_panel = matmul_panel,
    .attend_block = attend_block,
};

}  // namespace fourfold
