// AVX-VNNI, for CPUs with AVX2 that have vpdpbusd without AVX-512.
#include <immintrin.h>

#include "kernels/probes.h"

namespace fourfold {
namespace {

inline __m256i add_four(__m256i dots, __m256i weights, __m256i four) {
  return _mm256_dpbusd_avx_epi32(dots, weights, four);
}

// Lanes are two registers here: ten chains.
constexpr int kProbeLanes = 5;
constexpr int kChains = 10;

}  // namespace
}  // namespace fourfold

// After add_four:
#include "kernels/avx2/vnni.inc"
// After kProbeLanes:
#include "kernels/generic/probes.inc"

namespace fourfold {
namespace {

float run_int8(std::int64_t n_rounds) {
  const __m256i weights = _mm256_set1_epi8(3);
  const __m256i x = _mm256_set1_epi8(-5);
  __m256i sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = _mm256_setzero_si256();
  for (std::int64_t round = 0; round < n_rounds; ++round) {
    for (int i = 0; i < kChains; ++i) sums[i] = add_four(sums[i], weights, x);
  }
  for (int i = 1; i < kChains; ++i) sums[0] = _mm256_add_epi32(sums[0], sums[i]);
  return static_cast<float>(_mm256_extract_epi32(sums[0], 0));
}

}  // namespace

const Kernels kAvx2VnniKernels = {
    .name = "avx2-vnni",
#include "kernels/generic/table.inc"
};

const Probes kAvx2VnniProbes = {
    .int8 = {.run = run_int8, .macs_per_round = kChains * 32},
    .f32 = {.run = run_f32, .macs_per_round = kProbeLanes * kLaneCount},
    .bf16_dot = {},
    .read = read_stream,
};

}  // namespace fourfold
