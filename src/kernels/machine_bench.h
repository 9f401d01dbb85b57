// What this machine can do at best with a kernel table: the limits that speeds are a share of.
//
//   const MachineLimits limits = TRY(measure_machine(kernels, 2, {}));  // about a second
#pragma once

#include <cstdint>

#include "base/result.h"
#include "kernels/table.h"

namespace fourfold {

struct MachineLimits {
  int n_threads = 0;
  double read_gb_s = 0.0;  // DRAM, one stream a thread, 1e9 bytes
  // 1e9 multiply-accumulates in registers. int8: the table's own instructions. bf16: its dots; f32
  // where the CPU has none, because weights are widened then.
  double int8_gmac_s = 0.0;
  double bf16_gmac_s = 0.0;
  double f32_gmac_s = 0.0;
};

struct MachineBenchOptions {
  // The best of n_windows counts. They are short, so that one at least is not interrupted.
  int n_windows = 80;
  double window_ms = 2.5;
  std::int64_t buffer_bytes = std::int64_t{256} << 20;  // several times the last cache
};

// ResourceExhausted when the buffer cannot be had.
Result<MachineLimits> measure_machine(const Kernels& kernels, int n_threads,
                                      const MachineBenchOptions& options);

}  // namespace fourfold
