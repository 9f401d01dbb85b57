// AVX2 with FMA and F16C: two registers of 8 weight rows, four k a lane.
#include "kernels/avx2/bytes.h"
#include "kernels/avx2/lanes.h"
// After those:
#include "kernels/generic/kernels.inc"
#include "kernels/generic/pack.inc"

namespace fourfold {
namespace {

// The panel [k / 4][row][4] is read as two halves of eight rows.
constexpr int kHalves = 2;
constexpr int kHalfRows = kPanelRows / kHalves;
// Tokens of a tile.
constexpr int kMostTokens = 3;

inline __m256i load_bytes(const std::uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline __m256i broadcast_dword(const void* p) {
  std::int32_t dword;
  __builtin_memcpy(&dword, p, 4);
  return _mm256_set1_epi32(dword);
}

// The compiler would add the products of a whole group in a tree, and run out of registers.
inline void keep_order(__m256i& sum) { asm("" : "+x"(sum)); }

inline std::int32_t sum_of_group(const QuantView& x, int t, int g, int group) {
  const std::int32_t* sums = x.sums + t * x.sum_stride + g * (group / kSumBlock);
  return group == kSumBlock ? sums[0] : sums[0] + sums[1];
}

template <int T>
inline void load_sums(const float* acc, __m256 sums[T][kHalves]) {
  for (int t = 0; t < T; ++t) {
    for (int h = 0; h < kHalves; ++h) {
      sums[t][h] = _mm256_loadu_ps(acc + t * kPanelRows + h * kHalfRows);
    }
  }
}

template <int T>
inline void store_sums(const __m256 sums[T][kHalves], float* acc) {
  for (int t = 0; t < T; ++t) {
    for (int h = 0; h < kHalves; ++h) {
      _mm256_storeu_ps(acc + t * kPanelRows + h * kHalfRows, sums[t][h]);
    }
  }
}

// sums += dots·scale (+ the group's sum·offset) for all rows of a panel and one token.
template <bool kOffsets>
inline void add_group(const PanelView& w, const QuantView& x, int t, int g, int group,
                      const __m256i dots[kHalves], __m256 sums[kHalves]) {
  const __m256 x_scale =
      _mm256_set1_ps(x.scales[t * x.scale_stride + g * group / kActivationBlock]);
  for (int h = 0; h < kHalves; ++h) {
    const int at = g * kPanelRows + h * kHalfRows;
    const __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(w.scales + at), x_scale);
    sums[h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[h]), scale, sums[h]);
    if constexpr (kOffsets) {
      const auto x_sum = static_cast<float>(sum_of_group(x, t, g, group));
      const __m256 offset = _mm256_mul_ps(_mm256_loadu_ps(w.offsets + at), x_scale);
      sums[h] = _mm256_fmadd_ps(_mm256_set1_ps(x_sum), offset, sums[h]);
    }
  }
}

// T tokens in the plain form against weights of a few bits, unsigned: the 16-bit sums of vpmaddubsw
// hold kQuads products each before they are widened.
template <int T, int kQuads, int kGroup, bool kOffsets>
inline void narrow_tile(PanelView w, QuantView x, float* acc) {
  __m256 sums[T][kHalves];
  load_sums<T>(acc, sums);
  const __m256i ones = _mm256_set1_epi16(1);
  const std::uint8_t* wq = w.q;
  for (int g = 0; g < w.k / kGroup; ++g) {
    __m256i dots[T][kHalves];
    for (int t = 0; t < T; ++t) {
      dots[t][0] = dots[t][1] = _mm256_set1_epi32(-w.zero * sum_of_group(x, t, g, kGroup));
    }
    for (int i = 0; i < kGroup / 4; i += kQuads) {
      __m256i pairs[T][kHalves];
      for (int j = 0; j < kQuads; ++j, wq += 64) {
        const __m256i weights[kHalves] = {load_bytes(wq), load_bytes(wq + 32)};
        for (int t = 0; t < T; ++t) {
          const __m256i four = broadcast_dword(x.q + t * x.q_stride + g * kGroup + 4 * (i + j));
          for (int h = 0; h < kHalves; ++h) {
            const __m256i products = _mm256_maddubs_epi16(weights[h], four);
            pairs[t][h] = j == 0 ? products : _mm256_add_epi16(pairs[t][h], products);
          }
        }
      }
      for (int t = 0; t < T; ++t) {
        for (int h = 0; h < kHalves; ++h) {
          dots[t][h] = _mm256_add_epi32(dots[t][h], _mm256_madd_epi16(pairs[t][h], ones));
          keep_order(dots[t][h]);
        }
      }
    }
    for (int t = 0; t < T; ++t) add_group<kOffsets>(w, x, t, g, kGroup, dots[t], sums[t]);
  }
  store_sums<T>(sums, acc);
}

// Activations of T tokens as 16 bits, each four in the order 0, 2, 1, 3: the even and the odd bytes
// of the weights are multiplied apart.
constexpr int kWideDepth = 256;
template <int T>
struct WideActivations {
  alignas(32) std::int16_t q[T][kWideDepth];
};

// 16 values from `at` on.
inline __m256i widen(const std::int8_t* q, std::int64_t at) {
  const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(q + at));
  return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(bytes, order));
}

template <int T, bool kFine>
inline void widen_tokens(const QuantView& x, int first_k, int n, WideActivations<T>& out) {
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < n; i += 16) {
      const std::int64_t at = t * x.q_stride + first_k + i;
      __m256i q = widen(x.q, at);
      if constexpr (kFine) q = _mm256_add_epi16(_mm256_slli_epi16(q, 7), widen(x.q_fine, at));
      _mm256_store_si256(reinterpret_cast<__m256i*>(out.q[t] + i), q);
    }
  }
}

// T tokens in either form against unsigned weights of up to eight bits.
template <int T, int kGroup, bool kOffsets, bool kFine>
inline void wide_tile(PanelView w, QuantView x, float* acc) {
  __m256 sums[T][kHalves];
  load_sums<T>(acc, sums);
  const __m256i low_bytes = _mm256_set1_epi16(255);
  const std::uint8_t* wq = w.q;
  WideActivations<T> wide;
  for (int g = 0; g < w.k / kGroup; ++g) {
    constexpr int kGroups = kWideDepth / kGroup;
    if (g % kGroups == 0) {
      const int first_k = g * kGroup;
      widen_tokens<T, kFine>(x, first_k, w.k - first_k < kWideDepth ? w.k - first_k : kWideDepth,
                             wide);
    }
    __m256i dots[T][kHalves];
    for (int t = 0; t < T; ++t) {
      dots[t][0] = dots[t][1] = _mm256_set1_epi32(-w.zero * sum_of_group(x, t, g, kGroup));
    }
    for (int i = 0; i < kGroup; i += 4, wq += 64) {
      __m256i even[kHalves], odd[kHalves];
      for (int h = 0; h < kHalves; ++h) {
        const __m256i weights = load_bytes(wq + 32 * h);
        even[h] = _mm256_and_si256(weights, low_bytes);
        odd[h] = _mm256_srli_epi16(weights, 8);
      }
      for (int t = 0; t < T; ++t) {
        const std::int16_t* q = wide.q[t] + g % kGroups * kGroup + i;
        const __m256i evens = broadcast_dword(q);
        const __m256i odds = broadcast_dword(q + 2);
        for (int h = 0; h < kHalves; ++h) {
          dots[t][h] = _mm256_add_epi32(dots[t][h], _mm256_madd_epi16(even[h], evens));
          dots[t][h] = _mm256_add_epi32(dots[t][h], _mm256_madd_epi16(odd[h], odds));
          keep_order(dots[t][h]);
        }
      }
    }
    for (int t = 0; t < T; ++t) add_group<kOffsets>(w, x, t, g, kGroup, dots[t], sums[t]);
  }
  store_sums<T>(sums, acc);
}

// Calls tile.template operator()<T>(the activations from a token on, its accumulators).
template <class Tile>
inline void for_tiles(const QuantView& x, int n_tokens, float* acc, Tile tile) {
  int t = 0;
  for (; t + kMostTokens <= n_tokens; t += kMostTokens) {
    tile.template operator()<kMostTokens>(from_token(x, t), acc + t * kPanelRows);
  }
  for (; t < n_tokens; ++t) tile.template operator()<1>(from_token(x, t), acc + t * kPanelRows);
}

// The stored weights are w.zero more than the true ones, which says how large they can be: 15 with
// zero 8; 31 with 0, 12 and 16; 63 with 32; else any byte. Two products of 127 and the largest, so
// many times, stay below 2^15.
template <int kGroup, bool kOffsets, bool kFine>
inline void panel_tokens(const PanelView& w, const QuantView& x, int n_tokens, float* acc) {
  const auto narrow = [&]<int kQuads>() {
    for_tiles(x, n_tokens, acc, [&]<int T>(const QuantView& from, float* out) {
      narrow_tile<T, kQuads, kGroup, kOffsets>(w, from, out);
    });
  };
  if (kFine || w.zero > 32) {
    for_tiles(x, n_tokens, acc, [&]<int T>(const QuantView& from, float* out) {
      wide_tile<T, kGroup, kOffsets, kFine>(w, from, out);
    });
  } else if (w.zero > 16) {
    narrow.template operator()<2>();
  } else {
    narrow.template operator()<4>();
  }
}

}  // namespace
}  // namespace fourfold

// After panel_tokens:
#include "kernels/generic/forms.inc"

// After pack.inc:
#include "kernels/generic/no_dot.inc"

namespace fourfold {

const Kernels kAvx2Kernels = {
    .name = "avx2",
#include "kernels/generic/table.inc"
};

}  // namespace fourfold
