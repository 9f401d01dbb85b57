// What plain loops, as the compiler turns them into code, can do at best.
#include "kernels/probes.h"

namespace fourfold {
namespace {

constexpr int kChains = 8;

float run_int8(std::int64_t n_rounds) {
  std::int32_t weight = 3;
  std::int32_t x = -5;
  std::int32_t sums[kChains] = {};
  for (std::int64_t round = 0; round < n_rounds; ++round) {
    for (int i = 0; i < kChains; ++i) {
      asm volatile("" : "+r"(weight), "+r"(x));  // may have changed: the product is not reused
      sums[i] += weight * x;
    }
  }
  std::int32_t total = 0;
  for (const std::int32_t sum : sums) total += sum;
  return static_cast<float>(total);
}

float run_f32(std::int64_t n_rounds) {
  float weight = 0.5f;
  float sums[kChains] = {};
  for (std::int64_t round = 0; round < n_rounds; ++round) {
    for (int i = 0; i < kChains; ++i) {
      asm volatile("" : "+m"(weight));
      sums[i] += weight * 0.5f;
    }
  }
  float total = 0.0f;
  for (const float sum : sums) total += sum;
  return total;
}

float read_stream(const float* p, std::int64_t n_bytes) {
  float sums[kChains] = {};
  const float* end = p + n_bytes / static_cast<std::int64_t>(sizeof(float));
  for (; p < end; p += kChains) {
    for (int i = 0; i < kChains; ++i) sums[i] += p[i];
  }
  float total = 0.0f;
  for (const float sum : sums) total += sum;
  return total;
}

}  // namespace

const Probes kScalarProbes = {
    .int8 = {.run = run_int8, .macs_per_round = kChains},
    .f32 = {.run = run_f32, .macs_per_round = kChains},
    .bf16_dot = {},
    .read = read_stream,
};

}  // namespace fourfold
