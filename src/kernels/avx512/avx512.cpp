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

// T tokens against the panel; kGroup is 16 or 32.
template <int T, int kGroup, bool kOffsets, bool kFine>
inline void panel_tile(const PanelView& w, const QuantView& x, float* acc) {
  __m512 sum[T];
  for (int t = 0; t < T; ++t) sum[t] = _mm512_loadu_ps(acc + t * kPanelRows);
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

}  // namespace
}  // namespace fourfold

// After panel_tokens and four_of:
#include "kernels/avx512/dot.inc"
#include "kernels/generic/forms.inc"

namespace fourfold {

const Kernels kAvx512Kernels = {
    .name = "avx512",
#include "kernels/generic/table.inc"
};

}  // namespace fourfold
