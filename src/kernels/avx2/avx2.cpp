// AVX2 with FMA and F16C: two registers of 8 weight rows, four k a lane.
#include "kernels/avx2/bytes.h"
#include "kernels/avx2/eight_rows.h"
#include "kernels/avx2/lanes.h"
// After those:
#include "kernels/generic/kernels.inc"
#include "kernels/generic/panels.inc"

namespace fourfold {
namespace {

// The compiler would add the products of a whole group in a tree, and run out of registers.
inline void keep_order(__m256i& sum) { asm("" : "+x"(sum)); }

// T tokens in the plain form against weights of a few bits, unsigned: the 16-bit sums of vpmaddubsw
// hold kQuads products each before they are widened.
template <int T, int kQuads, int kGroup, bool kOffsets>
inline void narrow_tile(PanelView w, QuantView x, PanelSums acc) {
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

// The fine form as one number.
inline __m256i widen_fine(const QuantView& x, std::int64_t at) {
  return _mm256_add_epi16(_mm256_slli_epi16(widen(x.q, at), 7), widen(x.q_fine, at));
}

template <int T, bool kFine>
inline void widen_tokens(const QuantView& x, int first_k, int n, WideActivations<T>& out) {
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < n; i += 16) {
      const std::int64_t at = t * x.q_stride + first_k + i;
      const __m256i q = kFine ? widen_fine(x, at) : widen(x.q, at);
      _mm256_store_si256(reinterpret_cast<__m256i*>(out.q[t] + i), q);
    }
  }
}

// T tokens in either form against unsigned weights of up to eight bits.
template <int T, int kGroup, bool kOffsets, bool kFine>
inline void wide_tile(PanelView w, QuantView x, PanelSums acc) {
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

// Calls tile.template operator()<T>(the activations from a token on, its accumulators) with as many
// tokens T of kSizes, which fall, as there are left.
template <int... kSizes, class Tile>
inline void for_tiles(const QuantView& x, int n_tokens, PanelSums acc, Tile tile) {
  int t = 0;
  const auto tiles = [&]<int T>() {
    for (; t + T <= n_tokens; t += T) {
      tile.template operator()<T>(from_token(x, t), from_token(acc, t));
    }
  };
  (tiles.template operator()<kSizes>(), ...);
}

// The stored weights are w.zero more than the true ones, which says how large they can be: 15 with
// zero 8; 31 with 0, 12 and 16; 63 with 32; else, or with w.bytes, any byte. Two products of 127
// and the largest, so many times, stay below 2^15.
template <int kGroup, bool kOffsets, bool kFine>
inline void panel_tokens(const PanelView& w, const QuantView& x, int n_tokens, PanelSums acc) {
  if (kFine || w.bytes || w.zero > 32) {
    for_tiles<3, 2, 1>(x, n_tokens, acc, [&]<int T>(const QuantView& from, const PanelSums& out) {
      wide_tile<T, kGroup, kOffsets, kFine>(w, from, out);
    });
  } else if (w.zero > 16) {
    for_tiles<3, 1>(x, n_tokens, acc, [&]<int T>(const QuantView& from, const PanelSums& out) {
      narrow_tile<T, 2, kGroup, kOffsets>(w, from, out);
    });
  } else {
    int t = 0;
    if constexpr (kGroup == 32 && !kOffsets) {
      // 16 bits hold the sums of a whole group: those of 32 bits need no registers beside them, so
      // there is room for a fourth token.
      for (; w.zero == 8 && t + 4 <= n_tokens; t += 4) {
        narrow_tile<4, 8, kGroup, kOffsets>(w, from_token(x, t), from_token(acc, t));
      }
    }
    for_tiles<3, 1>(from_token(x, t), n_tokens - t, from_token(acc, t),
                    [&]<int T>(const QuantView& from, const PanelSums& out) {
                      narrow_tile<T, 4, kGroup, kOffsets>(w, from, out);
                    });
  }
}

namespace eight_rows {

#include "kernels/generic/blocks.inc"

// One token's products with a group of weights, by the limits that panel_tokens names.
template <class Format, bool kFine>
class GroupDots {
 public:
  void start(std::int32_t sum) {
    // add_signed takes the weights as they are.
    sum_ = kSigned ? _mm256_setzero_si256() : _mm256_set1_epi32(sum);
  }

  void add(const Bytes quads[4], const QuantView& x, int k) {
    if constexpr (kSigned) {
      for (int i = 0; i < 4; ++i) add_signed(quads[i].v, x.q + k + 4 * i);
    } else if constexpr (kNarrow) {
      constexpr int kQuads = Format::kZero > 16 ? 2 : 4;
      for (int i = 0; i < 4; i += kQuads) {
        if constexpr (kFine) add_narrow<kQuads>(quads + i, x.q_fine + k + 4 * i, 1);
        add_narrow<kQuads>(quads + i, x.q + k + 4 * i, kFine ? kFineSteps : 1);
      }
    } else {
      add_wide(quads, x, k);
    }
  }

  Bytes total() const { return {sum_}; }

 private:
  static constexpr bool kNarrow = Format::kZero <= 32;
  static constexpr bool kSigned = !kNarrow && !kFine;

  // kQuads times four values, the 16-bit sums times so many steps.
  template <int kQuads>
  void add_narrow(const Bytes* quads, const std::int8_t* q, int steps) {
    __m256i pairs = _mm256_maddubs_epi16(quads[0].v, broadcast_dword(q));
    for (int j = 1; j < kQuads; ++j) {
      pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(quads[j].v, broadcast_dword(q + 4 * j)));
    }
    const __m256i factor = _mm256_set1_epi16(static_cast<std::int16_t>(steps));
    add_dots(_mm256_madd_epi16(pairs, factor));
  }

  // The weight's size times the value with its sign: two products of at most 128 · 127 stay below
  // 2^15.
  void add_signed(__m256i stored_weights, const std::int8_t* q) {
    const __m256i weights = _mm256_xor_si256(stored_weights, _mm256_set1_epi8(-128));
    const __m256i values = _mm256_sign_epi8(broadcast_dword(q), weights);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), values);
    add_dots(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }

  // Values of 16 bits, in the order of WideActivations.
  void add_wide(const Bytes quads[4], const QuantView& x, int k) {
    alignas(32) std::int16_t wide[16];
    _mm256_store_si256(reinterpret_cast<__m256i*>(wide), widen_fine(x, k));
    asm("" : "+m"(wide));  // loads that broadcast are cheaper than shuffles
    for (int i = 0; i < 4; ++i) {
      const __m256i even = _mm256_and_si256(quads[i].v, _mm256_set1_epi16(255));
      const __m256i odd = _mm256_srli_epi16(quads[i].v, 8);
      add_dots(_mm256_add_epi32(_mm256_madd_epi16(even, broadcast_dword(wide + 4 * i)),
                                _mm256_madd_epi16(odd, broadcast_dword(wide + 4 * i + 2))));
    }
  }

  void add_dots(__m256i dots) {
    sum_ = _mm256_add_epi32(sum_, dots);
    keep_order(sum_);
  }

  __m256i sum_;
};

#include "kernels/generic/dot.inc"

}  // namespace eight_rows
}  // namespace
}  // namespace fourfold

// After panel_tokens and the formats of eight_rows:
#include "kernels/generic/eight_rows_formats.inc"
#include "kernels/generic/forms.inc"

namespace fourfold {

const Kernels kAvx2Kernels = {
    .name = "avx2",
#include "kernels/generic/table.inc"
};

}  // namespace fourfold
