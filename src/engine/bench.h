// Measures prefill and decode of a model, and how near they come to the limits of the machine.
//
//   const auto report = TRY(run_bench("gemma.gguf", {.prefill = {512}}, print_row));
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/bench_ops.h"
#include "engine/engine.h"
#include "kernels/machine_bench.h"

namespace fourfold {

// Lists multiply: one row each. A length of 0 is no row.
struct BenchOptions {
  std::vector<int> prefill = {512, 2048};  // tokens
  std::vector<int> decode = {128};         // tokens
  // Tokens that lie in the cache already. Empty: those of 0, 4096 and 16384 that the model holds.
  std::vector<int> depths;
  std::vector<int> batches = {1};  // sequences
  std::vector<int> threads;        // empty: the CPU budget
  bool all_positions = false;      // prefill runs every row to the end; logits of the last one only
  int n_reps = 5;                  // after one that does not count
  bool explain = false;            // time the operations too
  EngineOptions engine;            // n_threads and context are set by the rows
  MachineBenchOptions machine;
};

enum class BenchKind { Prefill, Decode };
std::string_view name(BenchKind kind);  // "prefill", "decode"

struct BenchRow {
  BenchKind kind = BenchKind::Prefill;
  int n = 0;
  int depth = 0;
  int batch = 1;
  int threads = 1;
  bool all_positions = false;
  std::vector<double> tok_s;  // of all sequences together, one a repetition
  double median = 0.0, min = 0.0, max = 0.0;
  // At the median speed: bytes and products that the shapes ask for (workload.h), 1e9 a second.
  double gb_s = 0.0;
  double gmac_s = 0.0;
  double of_limit = 0.0;  // the time at the machine's limits ÷ the time taken
  double cpu_over_wall = 0.0;
  std::vector<BenchOp> ops;  // with `explain`
  std::string explanation;   // of what costs most, one line

  // Others had a share of the processors.
  bool noisy() const { return cpu_over_wall < 0.95 * threads; }
};

struct MachineReport {
  std::string cpu;     // model name, empty when unknown
  int cpu_budget = 1;  // threads
  std::string isa;     // name of the kernel table
  // Ascending numbers of threads: one, those that were asked for, the budget.
  std::vector<MachineLimits> per_thread;

  const MachineLimits& at(int n_threads) const;
  const MachineLimits& all() const { return at(cpu_budget); }
};

// Limits for 1, `threads` and all threads of the budget.
Result<MachineReport> measure_machine(const std::string& force_isa, const std::vector<int>& threads,
                                      const MachineBenchOptions& options);

struct BenchReport {
  std::string body;   // "e2b", … or empty
  std::string quant;  // the type of most weight bytes: "q4_0"
  std::string kv;     // "bf16", or "q8_0,bf16" for rings and global layers
  double load_ms = 0.0;
  bool packed = false;  // all that can be
  std::uint64_t peak_rss_bytes = 0;
  std::uint64_t peak_anon_bytes = 0;  // seen after each repetition
  MachineReport machine;
  std::vector<BenchRow> rows;
};

// `on_machine` and `on_row` are told as soon as there is something to tell; either may be null.
struct BenchProgress {
  std::function<void(const MachineReport& machine)> on_machine;
  std::function<void(const BenchRow& row)> on_row;
};

// InvalidArgument for rows that the model's context does not hold, ResourceExhausted for those
// that the memory budget does not.
Result<BenchReport> run_bench(const std::string& model_path, BenchOptions options,
                              const BenchProgress& progress);

}  // namespace fourfold
