#include "kernels/machine_bench.h"

#include <gtest/gtest.h>

#include "kernels/dispatch.h"

namespace fourfold {
namespace {

constexpr MachineBenchOptions kShort = {
    .n_windows = 4, .window_ms = 1.0, .buffer_bytes = std::int64_t{1} << 20};

// Any CPU that runs this does more than a tenth of a billion a second, and none a million billion.
constexpr double kLeast = 0.1;
constexpr double kMost = 1e6;

TEST(MachineBench, GivesPlausibleLimitsOfEveryTable) {
  for (const Kernels* kernels : usable_kernels()) {
    SCOPED_TRACE(kernels->name);
    const auto limits = measure_machine(*kernels, 2, kShort);
    ASSERT_TRUE(limits.ok());
    EXPECT_EQ(limits->n_threads, 2);
    for (const double limit :
         {limits->read_gb_s, limits->int8_gmac_s, limits->bf16_gmac_s, limits->f32_gmac_s}) {
      EXPECT_GT(limit, kLeast);
      EXPECT_LT(limit, kMost);
    }
  }
}

// A table of its own instructions that is not faster than plain loops has lost its probes.
TEST(MachineBench, VectorsBeatPlainLoops) {
  const Kernels& best = *usable_kernels().front();
  if (&best == usable_kernels().back()) GTEST_SKIP() << "this CPU has the scalar table only";
  const auto vectors = measure_machine(best, 1, kShort);
  const auto loops = measure_machine(**choose_kernels("scalar"), 1, kShort);
  ASSERT_TRUE(vectors.ok() && loops.ok());
  EXPECT_GT(vectors->int8_gmac_s, 2.0 * loops->int8_gmac_s);
  EXPECT_GT(vectors->f32_gmac_s, 2.0 * loops->f32_gmac_s);
}

TEST(MachineBench, RefusesABufferThatCannotBe) {
  MachineBenchOptions options = kShort;
  options.buffer_bytes = std::int64_t{1} << 60;
  const auto limits = measure_machine(*usable_kernels().front(), 1, options);
  ASSERT_FALSE(limits.ok());
  EXPECT_EQ(limits.error().code, Code::ResourceExhausted);
}

}  // namespace
}  // namespace fourfold
