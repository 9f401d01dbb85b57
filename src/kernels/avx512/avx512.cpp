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

// The nibbles are unsigned already, with 8 added.
constexpr int kQ4Zero = 8;

void pack_q4_0(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out) {
  const __m512i low_mask = _mm512_set1_epi8(15);
  for (int b = 0; b < k / 32; ++b, rows += 18) {
    alignas(32) std::uint16_t halves[kPanelRows];
    for (int r = 0; r < kPanelRows; ++r) {
      __builtin_memcpy(&halves[r], rows + r * stride, 2);
    }
    __m512i quads[4];
    for (int r = 0; r < 4; ++r) quads[r] = load_lanes(rows + 2, stride, r);
    transpose_dwords(quads);
    std::uint8_t* q = out.q + b * 512;
    for (int r = 0; r < 4; ++r) {
      _mm512_storeu_si512(q + 64 * r, _mm512_and_si512(quads[r], low_mask));
      _mm512_storeu_si512(q + 256 + 64 * r,
                          _mm512_and_si512(_mm512_srli_epi16(quads[r], 4), low_mask));
    }
    store(out.scales + b * kPanelRows, load_f16(halves));
  }
}

// T tokens against the panel; kGroup is 16 or 32.
template <int T, int kGroup, bool kOffsets>
inline void panel_tile(const PanelView& w, const QuantView& x, float* acc) {
  __m512 sum[T];
  for (int t = 0; t < T; ++t) sum[t] = _mm512_loadu_ps(acc + t * kPanelRows);
  const std::uint8_t* wq = w.q;
  for (int g = 0; g < w.k / kGroup; ++g) {
    constexpr int kSums = kGroup / kSumBlock;
    const __m512 w_scale = _mm512_loadu_ps(w.scales + g * kPanelRows);
    __m512i dots[T];
    std::int32_t x_sums[T];
    for (int t = 0; t < T; ++t) {
      const std::int32_t* sums = x.sums + t * x.sum_stride + g * kSums;
      x_sums[t] = kSums == 2 ? sums[0] + sums[1] : sums[0];
      dots[t] = _mm512_set1_epi32(-w.zero * x_sums[t]);
    }
    for (int i = 0; i < kGroup / 4; ++i, wq += 64) {
      const __m512i weights = _mm512_loadu_si512(wq);
      for (int t = 0; t < T; ++t) {
        std::int32_t four;
        __builtin_memcpy(&four, x.q + t * x.q_stride + g * kGroup + 4 * i, 4);
        dots[t] = _mm512_dpbusd_epi32(dots[t], weights, _mm512_set1_epi32(four));
      }
    }
    for (int t = 0; t < T; ++t) {
      const __m512 x_scale =
          _mm512_set1_ps(x.scales[t * x.scale_stride + g * kGroup / kActivationBlock]);
      sum[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[t]), _mm512_mul_ps(w_scale, x_scale),
                               sum[t]);
      if constexpr (kOffsets) {
        const __m512 offset = _mm512_loadu_ps(w.offsets + g * kPanelRows);
        sum[t] = _mm512_fmadd_ps(_mm512_set1_ps(static_cast<float>(x_sums[t])),
                                 _mm512_mul_ps(offset, x_scale), sum[t]);
      }
    }
  }
  for (int t = 0; t < T; ++t) _mm512_storeu_ps(acc + t * kPanelRows, sum[t]);
}

inline QuantView from_token(const QuantView& x, int t) {
  QuantView rest = x;
  rest.q += t * x.q_stride;
  rest.scales += t * x.scale_stride;
  rest.sums += t * x.sum_stride;
  return rest;
}

template <int kGroup, bool kOffsets>
inline void panel_tokens(const PanelView& w, const QuantView& x, int n_tokens, float* acc) {
  int t = 0;
  for (; t + 8 <= n_tokens; t += 8) {
    panel_tile<8, kGroup, kOffsets>(w, from_token(x, t), acc + t * kPanelRows);
  }
  for (; t + 4 <= n_tokens; t += 4) {
    panel_tile<4, kGroup, kOffsets>(w, from_token(x, t), acc + t * kPanelRows);
  }
  for (; t < n_tokens; ++t) {
    panel_tile<1, kGroup, kOffsets>(w, from_token(x, t), acc + t * kPanelRows);
  }
}

void matmul_panel(const PanelView& w, const QuantView& x, int n_tokens, float* acc) {
  if (w.group == 32) {
    w.offsets ? panel_tokens<32, true>(w, x, n_tokens, acc)
              : panel_tokens<32, false>(w, x, n_tokens, acc);
  } else {
    w.offsets ? panel_tokens<16, true>(w, x, n_tokens, acc)
              : panel_tokens<16, false>(w, x, n_tokens, acc);
  }
}

}  // namespace

const Kernels kAvx512Kernels = {
    .name = "avx512",
#include "kernels/generic/table.inc"
    .pack_panel = pack_panel,
    .panel_zero = kPanelZero,
    .pack_q4_0 = pack_q4_0,
    .q4_0_zero = kQ4Zero,
    .matmul_panel = matmul_panel,
    .attend_block = attend_block,
};

}  // namespace fourfold
