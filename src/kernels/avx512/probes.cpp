// What AVX-512 with VNNI, and its bf16 dots where there are any, can do at best.
#include "kernels/probes.h"

#include "kernels/avx512/lanes.h"

namespace fourfold {
namespace {

// Two instructions start each cycle and take at most five.
constexpr int kProbeLanes = 12;

}  // namespace
}  // namespace fourfold

// After kProbeLanes:
#include "kernels/generic/probes.inc"

namespace fourfold {
namespace {

float run_int8(std::int64_t n_rounds) {
  const __m512i weights = _mm512_set1_epi8(3);
  const __m512i x = _mm512_set1_epi8(-5);
  __m512i sums[kProbeLanes];
  for (int i = 0; i < kProbeLanes; ++i) sums[i] = _mm512_setzero_si512();
  for (std::int64_t round = 0; round < n_rounds; ++round) {
    for (int i = 0; i < kProbeLanes; ++i) sums[i] = _mm512_dpbusd_epi32(sums[i], weights, x);
  }
  for (int i = 1; i < kProbeLanes; ++i) sums[0] = _mm512_add_epi32(sums[0], sums[i]);
  return static_cast<float>(_mm512_reduce_add_epi32(sums[0]));
}

__attribute__((target("avx512bf16"))) float run_bf16(std::int64_t n_rounds) {
  const __m512bh one = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1.0f), _mm512_set1_ps(1.0f));
  __m512 sums[kProbeLanes];
  for (int i = 0; i < kProbeLanes; ++i) sums[i] = _mm512_setzero_ps();
  for (std::int64_t round = 0; round < n_rounds; ++round) {
    for (int i = 0; i < kProbeLanes; ++i) sums[i] = _mm512_dpbf16_ps(sums[i], one, one);
  }
  for (int i = 1; i < kProbeLanes; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  return _mm512_reduce_add_ps(sums[0]);
}

}  // namespace

const Probes kAvx512Probes = {
    .int8 = {.run = run_int8, .macs_per_round = kProbeLanes * 64},
    .f32 = {.run = run_f32, .macs_per_round = kProbeLanes * kLaneCount},
    .bf16_dot = {.run = run_bf16, .macs_per_round = kProbeLanes * 32},
    .read = read_stream,
};

}  // namespace fourfold
