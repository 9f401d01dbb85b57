// 64-bit Arm with the matrix instructions for bytes (smmla): two rows of eight k times two tokens.
// One token alone would leave half of each idle: its dots are by sdot.
#include "kernels/neon/bytes.h"
#include "kernels/neon/eight_rows.h"
#include "kernels/neon/lanes.h"
#include "kernels/neon/panel.h"
#include "kernels/probes.h"
// After those:
#include "kernels/generic/kernels.inc"

namespace fourfold {
namespace {

// The panel is [k / 8][row][8].
constexpr int kRowBytes = 8;

inline void put_quads(std::uint8_t* p, const Bytes quads[4]) {
  for (int i = 0; i < 4; i += 2) {
    for (int r = 0; r < kQuarters; ++r, p += 32) {
      vst1q_u8(p, vreinterpretq_u8_u32(vzip1q_u32(quads[i].v[r], quads[i + 1].v[r])));
      vst1q_u8(p + 16, vreinterpretq_u8_u32(vzip2q_u32(quads[i].v[r], quads[i + 1].v[r])));
    }
  }
}

namespace eight_rows {

inline void put_quads(std::uint8_t* p, const Bytes quads[4]) {
  for (int i = 0; i < 4; i += 2) {
    for (int r = 0; r < kQuarters; ++r) {
      std::uint8_t* to = p + 64 * i + 32 * r;
      vst1q_u8(to, vreinterpretq_u8_u32(vzip1q_u32(quads[i].v[r], quads[i + 1].v[r])));
      vst1q_u8(to + 16, vreinterpretq_u8_u32(vzip2q_u32(quads[i].v[r], quads[i + 1].v[r])));
    }
  }
}

}  // namespace eight_rows

constexpr int kRowPairs = kPanelRows / 2;

// n_tokens of kPairs pairs; where the last one is missing, its place takes the last that there is
// and is not added.
template <int kPairs, int kGroup, bool kOffsets, bool kFine>
inline void panel_tile(PanelView w, QuantView x, int n_tokens, PanelSums acc) {
  const auto token_at = [n_tokens](int place) { return place < n_tokens ? place : n_tokens - 1; };
  const auto pair_at = [&](const std::int8_t* q, int pair, int i) {
    return vcombine_s8(vld1_s8(q + token_at(2 * pair) * x.q_stride + i),
                       vld1_s8(q + token_at(2 * pair + 1) * x.q_stride + i));
  };
  const std::uint8_t* wq = w.q;
  for (int g = 0; g < w.k / kGroup; ++g) {
    int32x4_t dots[kPairs][kRowPairs];
    int32x4_t high_dots[kPairs][kRowPairs];  // of the fine form's high part
    for (int t = 0; t < kPairs; ++t) {
      for (int r = 0; r < kRowPairs; ++r) dots[t][r] = high_dots[t][r] = vdupq_n_s32(0);
    }
    for (int i = g * kGroup; i < (g + 1) * kGroup; i += 8, wq += 128) {
      int8x16_t low[kPairs], high[kPairs];
      for (int t = 0; t < kPairs; ++t) {
        low[t] = pair_at(kFine ? x.q_fine : x.q, t, i);
        if constexpr (kFine) high[t] = pair_at(x.q, t, i);
      }
      for (int r = 0; r < kRowPairs; ++r) {
        const int8x16_t weights = vreinterpretq_s8_u8(vld1q_u8(wq + 16 * r));
        for (int t = 0; t < kPairs; ++t) {
          dots[t][r] = vmmlaq_s32(dots[t][r], weights, low[t]);
          if constexpr (kFine) high_dots[t][r] = vmmlaq_s32(high_dots[t][r], weights, high[t]);
        }
      }
    }
    for (int t = 0; t < kPairs; ++t) {
      if constexpr (kFine) {
        for (int r = 0; r < kRowPairs; ++r) {
          dots[t][r] = vaddq_s32(dots[t][r], vshlq_n_s32(high_dots[t][r], 7));
        }
      }
      const auto add_token = [&](int token, auto rows_of) {
        if (token >= n_tokens) return;
        const GroupOfToken group = group_of<kGroup>(x, token, g);
        for (int r = 0; r < kQuarters; ++r) {
          add_quarter<kGroup, kOffsets>(w, g, r, group, rows_of(dots[t][2 * r], dots[t][2 * r + 1]),
                                        sums_of(acc, token));
        }
      };
      add_token(2 * t, [](int32x4_t a, int32x4_t b) { return vuzp1q_s32(a, b); });
      add_token(2 * t + 1, [](int32x4_t a, int32x4_t b) { return vuzp2q_s32(a, b); });
    }
  }
}

// The fine form needs twice the registers.
template <int kGroup, bool kOffsets, bool kFine>
inline void panel_tokens(const PanelView& w, const QuantView& x, int n_tokens, PanelSums acc) {
  constexpr int kPairs = kFine ? 1 : 3;
  int t = 0;
  for (; t + 2 * kPairs <= n_tokens; t += 2 * kPairs) {
    panel_tile<kPairs, kGroup, kOffsets, kFine>(w, from_token(x, t), 2 * kPairs,
                                                from_token(acc, t));
  }
  for (; t < n_tokens; t += 2) {
    panel_tile<1, kGroup, kOffsets, kFine>(w, from_token(x, t), n_tokens - t < 2 ? 1 : 2,
                                           from_token(acc, t));
  }
}

template <int kLane>
inline int32x4_t add_dots(int32x4_t sums, int8x16_t weights, int8x16_t x) {
  return vdotq_laneq_s32(sums, weights, x, kLane);
}

constexpr int kMacsPerProduct = 32;
inline int32x4_t add_products(int32x4_t sums, int8x16_t weights, int8x16_t x) {
  return vmmlaq_s32(sums, weights, x);
}

}  // namespace
}  // namespace fourfold

// After put_quads and add_products:
#include "kernels/generic/forms.inc"
#include "kernels/generic/panels.inc"
#include "kernels/neon/probes.inc"

// After eight_rows::put_quads and add_dots:
#include "kernels/neon/blocks.inc"

namespace fourfold {

const Kernels kI8mmKernels = {
    .name = "neon-i8mm",
#include "kernels/generic/table.inc"
};

const Probes kI8mmProbes = kProbes;

}  // namespace fourfold
