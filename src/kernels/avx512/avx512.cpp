// AVX-512 with VNNI: 16 weight rows a register, four k a lane (vpdpbusd).
#include "kernels/avx512/bytes.h"
#include "kernels/avx512/lanes.h"
// After those:
#include "kernels/generic/kernels.inc"
#include "kernels/generic/pack.inc"
// After kernels.inc:
#include "kernels/avx512/bf16_dots.inc"

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
  std::int32_t sum = sums[0];
  for (int i = 1; i < kGroup / kSumBlock; ++i) sum += sums[i];
  return sum;
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

// T tokens against P panels of one shape, which share what is loaded of the activations; kGroup is
// 16, 32 or 64. The fine form's high parts go first, times 128 by a shift, so that both parts of a
// dot need one register.
//
// Every loop over tokens, panels and bytes is unrolled by order: where the compiler thinks one too
// large, the sums of all are in memory. Inlined, since what a call prepares takes as long as the
// products of a short row.
template <int P, int T, int kGroup, bool kOffsets, bool kFine>
[[gnu::always_inline]] inline void panel_tile(const PanelView* w, const QuantView& x,
                                              const PanelSums* acc) {
  constexpr int kScaleStride = kGroup == 64 ? 2 * kPanelRows : kPanelRows;
  __m512 sum[P][T];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      sum[p][t] = w->starts ? _mm512_setzero_ps() : _mm512_loadu_ps(sums_of(acc[p], t));
    }
  }
  for (int g = 0; g < w->k / kGroup; ++g) {
    std::int32_t x_sums[T];
    __m512i dots[P][T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      x_sums[t] = sum_of_group<kGroup>(x.sums + t * x.sum_stride + g * (kGroup / kSumBlock));
      const __m512i start = _mm512_set1_epi32(-w->zero * x_sums[t]);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) dots[p][t] = kFine ? _mm512_setzero_si512() : start;
    }
    const auto add_products = [&](const std::int8_t* q) {
#pragma GCC unroll 16
      for (int i = 0; i < kGroup / 4; ++i) {
        const int k = g * kGroup + 4 * i;
        __m512i weights[P];
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) weights[p] = _mm512_loadu_si512(w[p].q + k * kPanelRows);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
          const __m512i four = four_of(q + t * x.q_stride + k);
#pragma GCC unroll 8
          for (int p = 0; p < P; ++p) {
            dots[p][t] = _mm512_dpbusd_epi32(dots[p][t], weights[p], four);
          }
        }
      }
    };
    if constexpr (kFine) {
      add_products(x.q);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const __m512i start = _mm512_set1_epi32(-w->zero * x_sums[t]);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) {
          dots[p][t] = _mm512_add_epi32(_mm512_slli_epi32(dots[p][t], 7), start);
        }
      }
    }
    add_products(kFine ? x.q_fine : x.q);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const __m512 w_scale = _mm512_loadu_ps(w[p].scales + g * kScaleStride);
      const __m512 w_offset =
          kOffsets ? _mm512_loadu_ps(w[p].offsets + g * kScaleStride) : _mm512_setzero_ps();
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const float x_scale = x.scales[t * x.scale_stride + g * kGroup / kActivationBlock];
        sum[p][t] = add_group<kOffsets, false>(sum[p][t], dots[p][t], _mm512_setzero_si512(),
                                               w_scale, w_offset, x_scale, x_sums[t]);
      }
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) _mm512_storeu_ps(sums_of(acc[p], t), sum[p][t]);
  }
}

// Twelve accumulators and as many sums leave registers for what is loaded, where that is little;
// else eight.
template <int P, int kGroup, bool kOffsets, bool kFine>
inline void panel_tokens(const PanelView* w, const QuantView& x, int n_tokens,
                         const PanelSums* acc) {
  int t = 0;
  const auto tiles = [&]<int T>() {
    for (; t + T <= n_tokens; t += T) {
      PanelSums from[P];
      for (int p = 0; p < P; ++p) from[p] = from_token(acc[p], t);
      panel_tile<P, T, kGroup, kOffsets, kFine>(w, from_token(x, t), from);
    }
  };
  if constexpr (P == 1) tiles.template operator()<8>();
  if constexpr (P == 2 && !kFine && !kOffsets) tiles.template operator()<6>();
  tiles.template operator()<4>();
  tiles.template operator()<2>();
  tiles.template operator()<1>();
}

template <int P, int kGroup, bool kOffsets>
inline void panel_form(const PanelView* w, const QuantView& x, int n_tokens, const PanelSums* acc) {
  x.q_fine ? panel_tokens<P, kGroup, kOffsets, true>(w, x, n_tokens, acc)
           : panel_tokens<P, kGroup, kOffsets, false>(w, x, n_tokens, acc);
}

template <int P>
inline void multiply_panels(const PanelView* w, const QuantView& x, int n_tokens,
                            const PanelSums* acc) {
  if (w->group == 64) {
    panel_tokens<P, 64, false, false>(w, x, n_tokens, acc);
  } else if (w->group == 32) {
    w->offsets ? panel_form<P, 32, true>(w, x, n_tokens, acc)
               : panel_form<P, 32, false>(w, x, n_tokens, acc);
  } else {
    w->offsets ? panel_form<P, 16, true>(w, x, n_tokens, acc)
               : panel_form<P, 16, false>(w, x, n_tokens, acc);
  }
}

void matmul_panel(const PanelView& w, const QuantView& x, int n_tokens, PanelSums acc) {
  multiply_panels<1>(&w, x, n_tokens, &acc);
}

void matmul_two_panels(const PanelView w[2], const QuantView& x, int n_tokens,
                       const PanelSums acc[2]) {
  multiply_panels<2>(w, x, n_tokens, acc);
}

}  // namespace
}  // namespace fourfold

// After add_dots and add_group:
#include "kernels/avx512/dot.inc"

namespace fourfold {
namespace {

constexpr Kernels kTable = {
    .name = "avx512",
#include "kernels/generic/table.inc"
};

constexpr Kernels with_bf16_dots(Kernels table) {
  table.name = "avx512bf16";
  table.score_keys = score_keys_by_dots;
  table.weigh_values = weigh_values_by_dots;
  return table;
}

}  // namespace

const Kernels kAvx512Kernels = kTable;
const Kernels kAvx512Bf16Kernels = with_bf16_dots(kTable);

}  // namespace fourfold
