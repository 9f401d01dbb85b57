// Loops that do nothing but what an instruction set does fastest: the limits that benchmarks are
// measured against (machine_bench.h). Plain data: included by ISA files.
#pragma once

#include <cstdint>

namespace fourfold {

// Runs n_rounds rounds in registers. The result depends on all of them, so that none is left out.
struct Probe {
  float (*run)(std::int64_t n_rounds) = nullptr;
  std::int64_t macs_per_round = 0;
};

struct Probes {
  Probe int8;      // the products of matmul_panel
  Probe f32;       // fma
  Probe bf16_dot;  // none without avx512_bf16, which the CPU may lack all the same
  // Reads n_bytes, a multiple of 512, in one ascending stream.
  float (*read)(const float* p, std::int64_t n_bytes) = nullptr;
};

extern const Probes kScalarProbes;
extern const Probes kAvx2Probes;
extern const Probes kAvx2VnniProbes;
extern const Probes kAvx512Probes;
extern const Probes kNeonProbes;
extern const Probes kDotprodProbes;
extern const Probes kI8mmProbes;

}  // namespace fourfold
