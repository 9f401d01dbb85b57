// Matrix products by table, weight type and number of tokens, on one thread; attention beside them.
//
//   kernels_bench --benchmark_filter=avx2/Q4_K --benchmark_repetitions=9
//       --benchmark_report_aggregates_only
//
// 1 token is what decoding does: read "weights", the bytes of them a second. 128 are a prefill:
// read "MAC", the multiply-accumulates a second.
#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

// Random bits that make small normal numbers of every type: others can be slower.
std::vector<std::byte> random_bytes(std::int64_t n) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(static_cast<std::size_t>(n));
  for (auto& b : bytes) b = static_cast<std::byte>(32 + random() % 32);
  return bytes;
}

void multiply(benchmark::State& state, const Kernels& kernels, DType type, int n_tokens,
              bool fine) {
  constexpr std::int64_t kRows = 4096;
  constexpr std::int64_t kCols = 2048;
  const auto bytes = random_bytes(size_bytes(type, kRows * kCols));
  const Matrix w{
      .dtype = type, .data = bytes.data(), .n_rows = kRows, .n_cols = kCols, .fine = fine};
  std::vector<float> x(static_cast<std::size_t>(n_tokens * kCols), 0.5f);
  std::vector<float> out(static_cast<std::size_t>(n_tokens * kRows));
  ThreadPool pool(1);
  Ops ops(kernels, pool, false);
  Activations activations;
  for (auto _ : state) {
    activations.set({x.data(), n_tokens, kCols, kCols});
    ops.matmul(w, activations, {out.data(), n_tokens, kRows, kRows});
    benchmark::DoNotOptimize(out.data());
  }
  const auto rounds = static_cast<double>(state.iterations());
  using benchmark::Counter;
  state.counters["weights"] = Counter(rounds * static_cast<double>(bytes.size()), Counter::kIsRate);
  state.counters["MAC"] =
      Counter(rounds * static_cast<double>(n_tokens * kRows * kCols), Counter::kIsRate);
}

// One block of keys for the query heads that share them.
void attend(benchmark::State& state, const Kernels& kernels, int channels, int n_queries) {
  const std::vector<float> keys(static_cast<std::size_t>(kKeyBlock * channels), 0.25f);
  const std::vector<float> q(static_cast<std::size_t>(n_queries * channels), 0.125f);
  const std::vector<int> first(static_cast<std::size_t>(n_queries), 0);
  const std::vector<int> last(static_cast<std::size_t>(n_queries), kKeyBlock);
  std::vector<float> max(static_cast<std::size_t>(n_queries)), sum(max.size()), out(q.size());
  for (auto _ : state) {
    kernels.attend_block({.q = q.data(),
                          .k = keys.data(),
                          .v = keys.data(),
                          .n_queries = n_queries,
                          .channels = channels,
                          .first = first.data(),
                          .last = last.data(),
                          .max = max.data(),
                          .sum = sum.data(),
                          .out = out.data()});
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["MAC"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * 2 * kKeyBlock * channels * n_queries,
      benchmark::Counter::kIsRate);
}

const bool kRegistered = [] {
  for (const Kernels* kernels : usable_kernels()) {
    const std::string table = kernels->name;
    for (const DType type :
         {DType::F16, DType::BF16, DType::Q4_0, DType::Q5_0, DType::Q8_0, DType::Q4_K, DType::Q5_K,
          DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS, DType::MXFP4}) {
      for (const int n_tokens : {1, 128}) {
        for (const bool fine : {false, true}) {
          if (fine && !traits(type).quantised()) continue;
          const std::string label = table + "/" + std::string(name(type)) + "/" +
                                    (fine ? "fine/" : "plain/") + std::to_string(n_tokens);
          benchmark::RegisterBenchmark(label.c_str(), [=](benchmark::State& state) {
            multiply(state, *kernels, type, n_tokens, fine);
          });
        }
      }
    }
    for (const int channels : {256, 512}) {
      const std::string label = table + "/attend/" + std::to_string(channels);
      benchmark::RegisterBenchmark(
          label.c_str(), [=](benchmark::State& state) { attend(state, *kernels, channels, 8); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace fourfold
