// What AVX2 with FMA can do at best.
#include "kernels/probes.h"

#include "kernels/avx2/lanes.h"

namespace fourfold {
namespace {

// Lanes are two registers here: ten chains.
constexpr int kProbeLanes = 5;
constexpr int kChains = 8;

}  // namespace
}  // namespace fourfold

// After kProbeLanes:
#include "kernels/generic/probes.inc"

namespace fourfold {
namespace {

float run_int8(std::int64_t n_rounds) {
  __m256i weights = _mm256_set1_epi8(3);
  const __m256i x = _mm256_set1_epi8(-5);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = _mm256_setzero_si256();
  for (std::int64_t round = 0; round < n_rounds; ++round) {
    for (int i = 0; i < kChains; ++i) {
      asm volatile("" : "+x"(weights));  // may have changed: the product is not reused
      const __m256i pairs = _mm256_maddubs_epi16(weights, x);
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs, ones));
    }
  }
  for (int i = 1; i < kChains; ++i) sums[0] = _mm256_add_epi32(sums[0], sums[i]);
  return static_cast<float>(_mm256_extract_epi32(sums[0], 0));
}

}  // namespace

const Probes kAvx2Probes = {
    .int8 = {.run = run_int8, .macs_per_round = kChains * 32},
    .f32 = {.run = run_f32, .macs_per_round = kProbeLanes * kLaneCount},
    .bf16_dot = {},
    .read = read_stream,
};

}  // namespace fourfold
