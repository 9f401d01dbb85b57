// Attention over a K/V cache by table, cache type and head dimension: a prefill of 512 rows and one
// decoded row, at a depth. One KV head with eight query heads, on one thread.
//
//   kernels_bench --benchmark_filter=avx512bf16/decode/bf16
//
// Read "MAC", the multiply-accumulates a second of what is visible, and "cache", the bytes of keys
// and values a second as if each were read once.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/ops.h"

namespace fourfold {
namespace {

constexpr int kGroup = 8;

// A filled cache of one KV head.
struct Cache {
  std::vector<std::byte> memory;
  std::vector<std::byte*> blocks;
  KvView view;

  Cache(const Kernels& kernels, KvType type, int channels, std::int64_t n_tokens) {
    view.layout = {.type = type, .n_heads = 1, .channels = channels};
    view.n_blocks = (n_tokens + kKeyBlock - 1) / kKeyBlock;
    const std::int64_t block_bytes = view.layout.block_bytes();
    constexpr std::uintptr_t kLine = 64;
    memory.resize(static_cast<std::size_t>(view.n_blocks * block_bytes) + kLine);
    const std::uintptr_t past = reinterpret_cast<std::uintptr_t>(memory.data()) % kLine;
    for (std::int64_t b = 0; b < view.n_blocks; ++b) {
      blocks.push_back(memory.data() + (kLine - past) + b * block_bytes);
    }
    view.blocks = blocks.data();
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0.0f, 1.0f);
    std::vector<float> row(static_cast<std::size_t>(channels));
    for (std::int64_t t = 0; t < n_tokens; ++t) {
      if (t % 16 == 0) {
        for (float& x : row) x = normal(random);
      }
      store_kv(kernels, view, t, row.data(), row.data());
    }
  }
};

void attend(benchmark::State& state, const Kernels& kernels, KvType type, int channels, int n_rows,
            std::int64_t depth) {
  const Cache cache(kernels, type, channels, depth + n_rows);
  std::vector<AttentionRow> rows;
  std::int64_t n_visible = 0;
  for (std::int64_t r = 0; r < n_rows; ++r) {
    rows.push_back({.kv = &cache.view, .first_key = 0, .last_key = depth + r + 1});
    n_visible += rows.back().last_key;
  }
  const std::int64_t width = std::int64_t{kGroup} * channels;
  std::vector<float> q(static_cast<std::size_t>(n_rows * width), 0.0625f);
  std::vector<float> out(q.size());
  ThreadPool pool(1);
  Ops ops(kernels, pool, false);
  for (auto _ : state) {
    ops.attend(rows, {q.data(), n_rows, width, width}, kGroup, {out.data(), n_rows, width, width});
    benchmark::DoNotOptimize(out.data());
  }
  const auto rounds = static_cast<double>(state.iterations());
  using benchmark::Counter;
  state.counters["MAC"] =
      Counter(rounds * static_cast<double>(2 * n_visible * width), Counter::kIsRate);
  state.counters["cache"] =
      Counter(rounds * static_cast<double>((depth + n_rows) * cache.view.layout.token_bytes()),
              Counter::kIsRate);
}

const bool kRegistered = [] {
  struct Shape {
    const char* label;
    int n_rows;
    std::int64_t depth;
  };
  for (const Kernels* kernels : usable_kernels()) {
    for (const Shape shape : {Shape{"prefill/0", 512, 0}, Shape{"prefill/8192", 512, 8192},
                              Shape{"decode/16384", 1, 16383}}) {
      for (const KvType type : {KvType::BF16, KvType::Q8_0, KvType::F16}) {
        for (const int channels : {256, 512}) {
          const std::string label = std::string(kernels->name) + "/" + shape.label + "/" +
                                    std::string(name(type)) + "/" + std::to_string(channels);
          benchmark::RegisterBenchmark(label.c_str(), [=](benchmark::State& state) {
            attend(state, *kernels, type, channels, shape.n_rows, shape.depth);
          });
        }
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace fourfold
