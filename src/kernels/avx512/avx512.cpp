// AVX-512 with VNNI: 16 weight rows a register, four k a lane (vpdpbusd).
#include "kernels/avx512/bytes.h"
#include "kernels/avx512/lanes.h"
// After those:
#include "kernels/generic/kernels.inc"
#include "kernels/generic/pack.inc"

namespace fourfold {
namespace {

// Four k of one token, for all rows.
inline __m512i four_of(const std::int8_t* q) {
  std::int32_t four;
  __builtin_memcpy(&four, q, 4);
  return _mm512_set1_epi32(four);
}

// The sum of a group's activations.
template <int kGroup>
inline std::int32_t sum_of_group(const std::int32_t* sums) {
  return kGroup == 2 * kSumBlock ? sums[0] + sums[1] : sums[0];
}

// Adds four k of a token, which begin at x's element `at`; high_dots are those of the fine form's
// high part.
template <bool kFine>
inline void add_dots(__m512i weights, const QuantView& x, std::int64_t at, __m512i& dots,
                     __m512i& high_dots) {
  if constexpr (kFine) {
    high_dots = _mm512_dpbusd_epi32(high_dots, weights, four_of(x.q + at));
    dots = _mm512_dpbusd_epi32(dots, weights, four_of(x.q_fine + at));
  } else {
    dots = _mm512_dpbusd_epi32(dots, weights, four_of(x.q + at));
  }
}

// sum + the group's products, scaled; w_offset counts only with kOffsets.
template <bool kOffsets, bool kFine>
inline __m512 add_group(__m512 sum, __m512i dots, __m512i high_dots, __m512 w_scale,
                        __m512 w_offset, float x_scale, std::int32_t x_sum) {
  if constexpr (kFine) dots = _mm512_add_epi32(dots, _mm512_slli_epi32(high_dots, 7));
  const __m512 scale = _mm512_set1_ps(x_scale);
  sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_mul_ps(w_scale, scale), sum);
  if constexpr (!kOffsets) return sum;
  return _mm512_fmadd_ps(_mm512_set1_ps(static_cast<float>(x_sum)), _mm512_mul_ps(w_offset, scale),
                         sum);
}

// T tokens against the panel; kGroup is 16 or 32.
template <int T, int kGroup, bool kOffsets, bool kFine>
inline void panel_tile(const PanelView& w, const QuantView& x, float* acc) {
  __m512 sum[T];
  for (int t = 0; t < T; ++t) sum[t] = _mm512_loadu_ps(acc + t * kPanelRows);
  const std::uint8_t* wq = w.q;
  for (int g = 0; g < w.k / kGroup; ++g) {
    constexpr int kSums = kGroup / kSumBlock;
    const __m512 w_scale = _mm512_loadu_ps(w.scales + g * kPanelRows);
    const __m512 w_offset =
        kOffsets ? _mm512_loadu_ps(w.offsets + g * kPanelRows) : _mm512_setzero_ps();
    __m512i dots[T];
    __m512i high_dots[T];
    std::int32_t x_sums[T];
    for (int t = 0; t < T; ++t) {
      x_sums[t] = sum_of_group<kGroup>(x.sums + t * x.sum_stride + g * kSums);
      dots[t] = _mm512_set1_epi32(-w.zero * x_sums[t]);
      high_dots[t] = _mm512_setzero_si512();
    }
    for (int i = 0; i < kGroup / 4; ++i, wq += 64) {
      const __m512i weights = _mm512_loadu_si512(wq);
      for (int t = 0; t < T; ++t) {
        const std::int64_t at = t * x.q_stride + g * kGroup + 4 * i;
        add_dots<kFine>(weights, x, at, dots[t], high_dots[t]);
      }
    }
    for (int t = 0; t < T; ++t) {
      const float x_scale = x.scales[t * x.scale_stride + g * kGroup / kActivationBlock];
      sum[t] = add_group<kOffsets, kFine>(sum[t], dots[t], high_dots[t], w_scale, w_offset, x_scale,
                                          x_sums[t]);
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

}  // namespace
}  // namespace fourfold

// After panel_tokens and add_group:
#include "kernels/avx512/dot.inc"
#include "kernels/generic/forms.inc"

namespace fourfold {

const Kernels kAvx512Kernels = {
    .name = "avx512",
#include "kernels/generic/table.inc"
};

}  // namespace fourfold
