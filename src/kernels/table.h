// The lower floor: what one thread computes on rows and tiles. One table per instruction set,
// chosen once (dispatch.h). `ref/` defines every function; the others give the same bits.
//
// Two rules make that possible (docs/decisions/0003-same-bits.md):
//  - f32 reductions run in 16 virtual lanes, lane j takes elements j, j+16, j+32 … by fma, missing
//    elements count as zero, and the lanes are added in one tree: +8, +4, +2, +1.
//  - integer dots are exact; each group of weights adds fma(float(sum), w_scale·x_scale, acc), in
//    ascending k, to one f32 accumulator per output.
//
// This header is included by files compiled for one instruction set: plain data only.
#pragma once

#include <cstdint>

namespace fourfold {

// Rows of a panel: so many weight rows lie interleaved, one per 32-bit lane of a 512-bit register.
inline constexpr int kPanelRows = 16;
// Activations are integers with one f32 scale per 32 values; their sums are kept per 16. The plain
// form has 8 bits, q in ±127. The fine form has 15: 128·q + q_fine, q in ±127, q_fine in −64 … 63;
// both parts meet the weights in the same instructions.
inline constexpr int kActivationBlock = 32;
inline constexpr int kSumBlock = 16;
// Keys are attended in blocks of 64 that start at absolute positions 0, 64, 128 …
inline constexpr int kKeyBlock = 64;

// A stretch of k of 16 weight rows as small integers. The byte order inside `q` belongs to the
// table that packed it.
struct PanelView {
  const std::uint8_t* q;  // [k · 16]
  const float* scales;    // [k / group, 16], of 64 [k / 32, 16]
  const float* offsets;   // [k / group, 16], or null
  int k;                  // multiple of 32
  int group;              // 16, 32, or 64 (see quantize_pairs)
  int zero;               // what the packing added to each weight
  bool starts = false;    // sums begin here, whatever they were
  bool bytes = false;     // stored weights are any bytes, also where zero says that they are few
};
// The sums of a panel: a token's 16 lie side by side.
struct PanelSums {
  float* first;         // token's
  std::int64_t stride;  // in elements, from token to token
};
struct PanelOut {
  std::uint8_t* q;
  float* scales;
  float* offsets;  // null for types without
};

// Packs k values (a multiple of the type's block) of 16 rows of blocks; stride is in bytes.
using PackRows = void (*)(const std::uint8_t* rows, std::int64_t stride, int k, PanelOut out);

inline constexpr int kFineSteps = 128;
inline constexpr int kFineMax = 127 * kFineSteps + 63;

// Quantised activations, from the panel's first k on.
struct QuantView {
  const std::int8_t* q;       // [T, k]
  const std::int8_t* q_fine;  // [T, k], or null: the plain form
  const float* scales;        // [T, k / 32]
  const std::int32_t* sums;   // [T, k / 16]
  std::int64_t q_stride;      // in elements, from token to token
  std::int64_t scale_stride;
  std::int64_t sum_stride;
};

// acc [16] += k values of 16 rows of blocks × one token's activations: what pack and matmul_panel
// give, without a panel between.
using DotRows = void (*)(const std::uint8_t* rows, std::int64_t stride, int k, const QuantView& x,
                         float* acc);

// The same of a panel of 16 interleaved rows (tensor/interleaved_rows.h).
using PackInterleaved = void (*)(const std::uint8_t* panel, int k, PanelOut out);
using DotInterleaved = void (*)(const std::uint8_t* panel, int k, const QuantView& x, float* acc);

// A block type that a table reads straight from the file's bytes, or from interleaved ones.
struct Packer {
  PackRows pack = nullptr;                     // null: by way of unpack_blocks and pack_panel
  int zero = 0;                                // what it adds to each weight
  DotRows dot = nullptr;                       // null: by way of a panel
  PackInterleaved pack_interleaved = nullptr;  // there if pack is
  DotInterleaved dot_interleaved = nullptr;    // there if dot is
};

// Online softmax over one block of keys for n_queries query vectors that share a KV head.
struct AttendBlock {
  const float* q;  // [n_queries, channels], already scaled
  const float* k;  // [64, channels]
  const float* v;  // [64, channels]
  int n_queries;
  int channels;
  const int* first;  // [n_queries]: visible keys of the block are [first, last)
  const int* last;
  float* max;  // [n_queries] running maximum
  float* sum;  // [n_queries] running sum of exp(score − max)
  float* out;  // [n_queries, channels] running Σ exp(score − max) · v
};

// Attention in bf16, over a span of 512 keys: scores, softmax and weighted values, each by a kernel
// of its own. A dot adds products of pairs, the second value's first, by fma, so to the same bits
// on every CPU: factors are zero or at least kLeastFactor, where nothing becomes subnormal, which
// vpdpbf16ps would flush.
inline constexpr int kSpan = 512;
inline constexpr float kLeastFactor = 0x1p-50f;
// The weight of a score so far below the largest is zero: others stay above kLeastFactor.
inline constexpr float kLeastDistance = -34.0f;

// Some channels of a block of keys.
struct KeyPart {
  const std::uint16_t* rows;  // [64, channels]
  std::int64_t stride;        // in elements
  int channels;               // multiple of 32
};
inline constexpr int kMaxKeyParts = 4;

// scores[i, j] = q[i] · k[j] of the keys first <= j < last of a block, in 16 lanes: the pair p of
// channels goes to lane p mod 16, and the lanes are added as everywhere. Other scores of the block
// may be overwritten.
struct ScoreKeys {
  const std::uint16_t* q;  // [n_queries, channels]
  int n_queries;
  int channels;
  KeyPart parts[kMaxKeyParts];  // of the channels, in order
  int n_parts;
  int first;
  int last;
  float* scores;
  std::int64_t score_stride;
  const std::uint16_t* next;  // as many rows that will be read soon, or null
};

// The weights of one query: exp(score − max) in bf16, zero outside the keys [first, last).
struct SoftmaxSpan {
  float* scores;  // [kSpan], destroyed
  int first;
  int last;                // first < last
  int n_keys;              // weights to write, multiple of 16
  std::uint16_t* weights;  // [n_keys]
  float* max;
  float* sum;  // of the weights as they were rounded
};

// out[i] += Σ weights[i, j] · v[j] over the keys [first, last) of a block; the pairs of keys are
// (0, 1), (2, 3) …, and a key outside of [first, last) counts as zero.
struct WeighValues {
  const std::uint16_t* weights;
  std::int64_t weight_stride;
  int n_queries;
  int channels;            // multiple of 32
  const std::uint16_t* v;  // [64, channels]
  int first;
  int last;
  float* out;                 // [n_queries, channels]
  const std::uint16_t* next;  // as many rows that will be read soon, or null
};

// Turns the scores of 16 queries and a stretch of keys into weights of eight bits, as a panel: what
// these keys add to a running softmax. A group of 32 keys has one scale a query.
struct SoftmaxPanel {
  const float* scores;  // [n_keys, 16] exponents of two, and so is max
  int n_keys;           // multiple of 32
  int n_visible;        // 1 … n_keys; those behind weigh nothing
  float* max;           // [16] running maximum
  float* sum;           // [16] running sum of the weights, as they were rounded
  float* correction;    // [16] what values summed so far are to be multiplied with
  std::uint8_t* panel;  // [n_keys · 16] weights 0 … 255, with zero = weights_zero(panel_zero)
  float* scales;        // [n_keys / 32, 16]
};
// Unsigned bytes in the place of signed ones.
constexpr int weights_zero(int panel_zero) { return panel_zero - 128; }
// The weight of a score is 255 · 2^u rounded to nearest even, u its distance to the largest of the
// group, and at least kLeastExponent: n whole and |f| <= 1/2 of it, and 255 · 2^f by a polynomial.
inline constexpr float kPanelWeight = 255.0f;
inline constexpr float kLn2 = 0.693147182f;
inline constexpr float kLeastExponent = -16.0f;
inline constexpr float kWeightTerms[] = {254.980759f, 176.749863f, 61.8730659f, 14.2387619f};

// Where a block's largest value may come to lie among the 127 steps of fit_q8_0: the others fall on
// other steps each time. Of normally distributed values, eight trials leave 0.84 of the squared
// error of one at 127. Not inline: tables read it, and their symbols are their own.
inline constexpr int kScaleTrials = 8;
constexpr float kTrialSteps[kScaleTrials] = {127.0f, 126.3f, 125.6f, 124.9f,
                                             124.2f, 123.5f, 122.8f, 122.1f};
// Where a scale that f16 rounds leads beyond: the last step all the same.
inline constexpr float kMostSteps = 127.49f;

struct Kernels {
  const char* name;

  float (*dot)(const float* a, const float* b, int n);
  // out = x · (mean(x²) + eps)^(−1/2) ⊙ weight; weight may be null. out may be x.
  void (*rms_norm)(const float* x, const float* weight, int n, float eps, float* out);
  void (*add)(float* x, const float* y, int n);                  // x += y
  void (*add_scaled)(float* x, const float* y, float s, int n);  // x = fma(s, y, x)
  void (*scale)(float* x, float s, int n);                       // x *= s
  void (*multiply)(const float* a, const float* b, int n, float* out);
  // x[i] *= factors[i mod 16], n a multiple of 16.
  void (*multiply_lanes)(float* x, const float* factors, int n);
  // out[j, i] = x[i, j] of 16 rows of 16 values; strides in elements.
  void (*transpose)(const float* x, std::int64_t stride, float* out, std::int64_t out_stride);
  // out = gelu(gate) ⊙ up with the tanh form of GELU (text-model.md 3.8).
  void (*gelu_multiply)(const float* gate, const float* up, int n, float* out);
  // out = a ⊙ sigmoid(b). With a = b it is SiLU; out may be either.
  void (*sigmoid_multiply)(const float* a, const float* b, int n, float* out);
  void (*softcap)(float* x, int n, float cap);  // x = cap · tanh(x / cap)
  // out = x within [low, high]; NaN stays. out may be x.
  void (*clamp)(const float* x, float low, float high, int n, float* out);
  // x = exp(x − shift); returns the sum.
  float (*exp_sum)(float* x, int n, float shift);
  // Rotates the pairs (j, j + distance), j < n_pairs, by the angles whose cos and sin are given.
  void (*rope)(float* x, const float* cos, const float* sin, int n_pairs, int distance);

  void (*f32_from_bf16)(const std::uint16_t* x, int n, float* out);
  void (*f32_from_f16)(const std::uint16_t* x, int n, float* out);
  void (*bf16_from_f32)(const float* x, int n, std::uint16_t* out);
  // The same, with zero for what is smaller than kLeastFactor.
  void (*bf16_for_dots)(const float* x, int n, std::uint16_t* out);
  void (*f16_from_f32)(const float* x, int n, std::uint16_t* out);
  // Q8_0 blocks (f16 scale, 32 int8), n a multiple of 32.
  void (*f32_from_q8_0)(const std::uint8_t* x, int n, float* out);
  void (*q8_0_from_f32)(const float* x, int n, std::uint8_t* out);
  // The same with the scale of least squared error, of those that put the largest value at
  // kTrialSteps; with `pairs` one for each two blocks, and n is a multiple of 64.
  void (*fit_q8_0)(const float* x, int n, bool pairs, std::uint8_t* out);

  // out[t, r] = dot(w[r], x[t]) over k.
  void (*matmul_f32)(const float* w, std::int64_t w_stride, int n_rows, const float* x,
                     std::int64_t x_stride, int n_tokens, int k, float* out,
                     std::int64_t out_stride);

  // The same with bf16 weights; strides in elements.
  void (*matmul_bf16)(const std::uint16_t* w, std::int64_t w_stride, int n_rows, const float* x,
                      std::int64_t x_stride, int n_tokens, int k, float* out,
                      std::int64_t out_stride);

  // n values, multiple of 32: scale = max|x| / N, integer = nearest even of x · (N / max|x|), with
  // N = 127, or kFineMax when q_fine is given.
  void (*quantize)(const float* x, int n, std::int8_t* q, std::int8_t* q_fine, float* scales,
                   std::int32_t* sums);
  // The same in the plain form, n a multiple of 64, with the larger scale for both blocks of a
  // pair: against weights whose scales are equal in pairs too, a panel of group 64 adds each pair
  // at once.
  void (*quantize_pairs)(const float* x, int n, std::int8_t* q, float* scales, std::int32_t* sums);
  // q [16, k] row-major (stride in bytes) → panel with zero = panel_zero.
  void (*pack_panel)(const std::int8_t* q, std::int64_t stride, int k, std::uint8_t* out);
  int panel_zero;
  Packer q4_0, q5_0, q8_0, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, mxfp4;
  // acc [n_tokens, 16] += panel × activations.
  void (*matmul_panel)(const PanelView& w, const QuantView& x, int n_tokens, PanelSums acc);
  // The same for two panels that differ only in their numbers: activations are loaded once for
  // both.
  void (*matmul_two_panels)(const PanelView w[2], const QuantView& x, int n_tokens,
                            const PanelSums acc[2]);

  void (*attend_block)(const AttendBlock& block);
  void (*softmax_panel)(const SoftmaxPanel& stretch);
  void (*score_keys)(const ScoreKeys& block);
  void (*softmax_span)(const SoftmaxSpan& span);
  void (*weigh_values)(const WeighValues& block);
};

}  // namespace fourfold
