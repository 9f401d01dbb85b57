#include "engine/bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "formats/golden.h"

namespace fourfold {
namespace {

constexpr MachineBenchOptions kShortMachine = {
    .n_windows = 1, .window_ms = 1.0, .buffer_bytes = std::int64_t{1} << 20};

BenchOptions short_bench() {
  return {.prefill = {8},
          .decode = {4},
          .depths = {0},
          .n_reps = 3,
          .engine = {.chunk = 16},
          .machine = kShortMachine};
}

Result<BenchReport> bench(const BenchOptions& options, const BenchProgress& progress = {}) {
  return run_bench(golden_path("text/e2b/model.gguf"), options, progress);
}

TEST(Bench, MeasuresEveryCombinationOnce) {
  BenchOptions options = short_bench();
  options.depths = {0, 20};
  options.batches = {1, 3};
  options.threads = {1, 2};
  int n_told = 0;
  const auto report = bench(options, {.on_row = [&](const BenchRow&) { ++n_told; }});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(n_told, 16);
  std::set<std::string> seen;
  for (const BenchRow& row : report->rows) {
    seen.insert(
        fmt::format("{} {} {} {} {}", name(row.kind), row.n, row.depth, row.batch, row.threads));
    EXPECT_EQ(row.tok_s.size(), 3u);
    EXPECT_LE(row.min, row.median);
    EXPECT_LE(row.median, row.max);
    EXPECT_GT(row.gb_s, 0.0);
    EXPECT_GT(row.gmac_s, 0.0);
    EXPECT_GT(row.of_limit, 0.0);
    EXPECT_GT(row.cpu_over_wall, 0.0);
  }
  EXPECT_EQ(seen.size(), 16u);
  EXPECT_TRUE(seen.count("decode 4 20 3 2"));
  EXPECT_GT(report->peak_rss_bytes, 0u);
  EXPECT_GT(report->peak_anon_bytes, 0u);
  EXPECT_LE(report->peak_anon_bytes, report->peak_rss_bytes + (std::uint64_t{1} << 20));
}

TEST(Bench, TellsWhatItMeasured) {
  BenchOptions options = short_bench();
  options.engine.kv_ring = KvType::Q8_0;
  options.engine.kv_global = KvType::F16;
  const auto report = bench(options);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->kv, "q8_0,f16");
  EXPECT_FALSE(report->quant.empty());
  EXPECT_GT(report->load_ms, 0.0);
  EXPECT_EQ(report->machine.per_thread.front().n_threads, 1);
  EXPECT_EQ(report->machine.all().n_threads, report->machine.cpu_budget);
}

TEST(Bench, AllPositionsMeansMoreProducts) {
  BenchOptions options = short_bench();
  options.decode = {};
  options.n_reps = 1;
  const auto skipped = bench(options);
  options.all_positions = true;
  const auto whole = bench(options);
  ASSERT_TRUE(skipped.ok() && whole.ok());
  EXPECT_FALSE(skipped->rows[0].all_positions);
  EXPECT_TRUE(whole->rows[0].all_positions);
  const auto products = [](const BenchRow& row) { return row.gmac_s / row.median; };
  EXPECT_GT(products(whole->rows[0]), 1.2 * products(skipped->rows[0]));
}

TEST(Bench, ExplainsNothingUnasked) {
  const auto report = bench(short_bench());
  ASSERT_TRUE(report.ok());
  for (const BenchRow& row : report->rows) {
    EXPECT_TRUE(row.ops.empty());
    EXPECT_TRUE(row.explanation.empty());
  }
}

class Explain : public testing::TestWithParam<const char*> {};

// The operations report what they did; the workload computes it from the shapes.
TEST_P(Explain, AccountsForAllOfTheTimeAndAllProducts) {
  BenchOptions options = short_bench();
  options.depths = {20};
  options.batches = {1, 2};
  options.n_reps = 2;
  options.explain = true;
  const auto report = run_bench(golden_path(GetParam()), options, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_EQ(report->rows.size(), 4u);
  for (const BenchRow& row : report->rows) {
    double share = 0.0, gmacs = 0.0;
    for (const BenchOp& op : row.ops) {
      EXPECT_GT(op.calls, 0) << op.op;
      EXPECT_GE(op.ms, 0.0) << op.op;
      share += op.share;
      gmacs += op.gmac_s * op.ms / 1e3;
    }
    EXPECT_NEAR(share, 1.0, 1e-9);
    const double seconds = row.n * row.batch / row.median;
    EXPECT_NEAR(gmacs / (row.gmac_s * seconds), 1.0, 1e-9);
    EXPECT_TRUE(std::is_sorted(row.ops.begin(), row.ops.end(),
                               [](const auto& a, const auto& b) { return a.ms > b.ms; }));
    EXPECT_NE(row.explanation.find(name(row.kind)), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(Bodies, Explain,
                         testing::Values("text/e2b/model.gguf", "text/26b/model.gguf",
                                         "text/31b/model.gguf", "text/e4b-quant/model-kmix.gguf"));

TEST(Explanation, NamesTheOperationWithTheMostTimeAboveItsLimit) {
  const BenchOp head{
      .op = "head", .type = "Q6_K", .ms = 5.0, .share = 0.5, .limit = "int8 peak", .of_limit = 0.9};
  const BenchOp down{.op = "ffn down",
                     .type = "Q4_0",
                     .ms = 4.0,
                     .share = 0.41,
                     .limit = "read bandwidth",
                     .of_limit = 0.71};
  const BenchOp norms{.op = "norms", .ms = 1.0, .share = 0.09};
  const BenchOp slow_norms{.op = "norms", .ms = 2.0, .share = 0.18};
  EXPECT_EQ(explain({head, down, norms}, "decode"),
            "ffn down (Q4_0): 41 % of decode, at 71 % of the read bandwidth");
  EXPECT_EQ(explain({head, down, slow_norms}, "prefill"),
            "norms: 18 % of prefill, which neither reading nor multiplying bounds");
}

TEST(Bench, RefusesADepthBeyondTheModelsContext) {
  BenchOptions options = short_bench();
  options.depths = {1 << 24};
  const auto report = bench(options);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, Code::InvalidArgument);
}

TEST(BenchRow, IsNoisyWhenOthersHadAShareOfTheProcessors) {
  BenchRow row{.threads = 2};
  row.cpu_over_wall = 1.89;
  EXPECT_TRUE(row.noisy());
  row.cpu_over_wall = 1.91;
  EXPECT_FALSE(row.noisy());
}

TEST(MachineReport, HasTheLimitsOfTheThreadsAskedFor) {
  const auto report = measure_machine("scalar", {3}, kShortMachine);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->isa, "scalar");
  EXPECT_EQ(report->at(3).n_threads, 3);
  std::vector<int> counts;
  for (const auto& limits : report->per_thread) counts.push_back(limits.n_threads);
  EXPECT_TRUE(std::is_sorted(counts.begin(), counts.end()));
  EXPECT_EQ(counts.front(), 1);
}

}  // namespace
}  // namespace fourfold
