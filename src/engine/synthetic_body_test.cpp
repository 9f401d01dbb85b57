#include "engine/synthetic_body.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "engine/inspect.h"
#include "engine/test_bodies.h"
#include "engine/workload.h"
#include "tensor/blocks.h"

namespace fourfold {
namespace {

constexpr double kGiga = 1e9;

TEST(SyntheticBody, HasTheShapesOfTheReleasedBodies) {
  const struct {
    const char* body;
    std::int64_t parameters;
  } kCases[] = {{"e2b", 4'628'569'379},
                {"e4b", 7'463'013'418},
                {"12b", 11'907'350'320},
                {"26b", 25'233'141'790},
                {"31b", 30'697'345'340}};
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.body);
    const SparseBody body({.body = c.body, .quant = "q4_0"});
    ASSERT_TRUE(body.model()) << body.error();
    EXPECT_EQ(body.config().body, c.body);
    EXPECT_EQ(body_parameters(body.config().text).used, c.parameters);
  }
}

TEST(SyntheticBody, EveryQuantBindsAllTensors) {
  for (const std::string_view quant : synthetic_quants()) {
    for (const char* name : {"e2b", "26b"}) {
      SCOPED_TRACE(fmt::format("{} {}", name, quant));
      const SparseBody body({.body = name, .quant = std::string(quant)});
      EXPECT_TRUE(body.model()) << body.error();
    }
  }
}

TEST(SyntheticBody, WritesFiniteWeightsOfEveryType) {
  for (const DType type :
       {DType::F32, DType::BF16, DType::Q4_0, DType::Q5_0, DType::Q8_0, DType::Q4_K, DType::Q6_K}) {
    SCOPED_TRACE(name(type));
    constexpr std::int64_t kRows = 8, kCols = 1024;
    GgufWriter writer;
    writer.add_tensor("w", type, {kRows, kCols});
    std::vector<std::byte> bytes;
    const auto written =
        write_synthetic_tensor(writer.tensors()[0], [&](std::span<const std::byte> piece) {
          bytes.insert(bytes.end(), piece.begin(), piece.end());
          return Status();
        });
    ASSERT_TRUE(written.ok());
    ASSERT_EQ(bytes.size(), writer.tensors()[0].size_bytes);
    std::vector<float> values(kRows * kCols);
    dequantize(type, bytes.data(), kRows * kCols, values.data());
    double squares = 0.0;
    for (const float value : values) {
      ASSERT_TRUE(std::isfinite(value));
      squares += double{value} * value;
    }
    const double rms = std::sqrt(squares / (kRows * kCols));
    EXPECT_GT(rms, 1e-3);
    EXPECT_LT(rms, 20.0);
    EXPECT_NE(std::memcmp(values.data(), values.data() + kCols, kCols * sizeof(float)), 0);
  }
}

TEST(SyntheticBody, RefusesWhatTheBudgetDoesNotHold) {
  const MemoryBudget budget{.size_bytes = std::uint64_t{4} << 30, .reason = "a test"};
  const auto body = SyntheticBody::make({.body = "31b", .quant = "q8_0"}, budget);
  ASSERT_FALSE(body.ok());
  EXPECT_EQ(body.error().code, Code::ResourceExhausted);
  EXPECT_NE(body.error().message.find("30.4 GiB"), std::string::npos) << body.error().message;
  EXPECT_NE(body.error().message.find("4.0 GiB (a test)"), std::string::npos);
}

TEST(SyntheticBody, NamesWhatItKnows) {
  const auto body = synthetic_layout({.body = "9b", .quant = "q4_0"});
  ASSERT_FALSE(body.ok());
  EXPECT_EQ(body.error().message, "body: \"9b\" (expected e2b, e4b, 12b, 26b, 31b)");
  const auto quant = synthetic_layout({.body = "e2b", .quant = "q2"});
  ASSERT_FALSE(quant.ok());
  EXPECT_EQ(quant.error().message, "quant: \"q2\" (expected q4_0, q8_0, q4_k, q6_k, bf16)");
}

// Bytes and products of one decoded token, from the table of performance.md 3.1 and 3.2. Attention
// over the first key alone adds less than the tolerance.
TEST(Workload, OfATokenEqualsTheTable) {
  const struct {
    const char* body;
    double macs, head_macs, gigabytes;
  } kCases[] = {{"e2b", 1.877, 0.403, 1.406},
                {"e4b", 3.973, 0.671, 2.825},
                {"26b", 3.084, 0.738, 2.377},
                {"31b", 29.29, 1.409, 17.63}};
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.body);
    const SparseBody body({.body = c.body, .quant = "q4_0"});
    ASSERT_TRUE(body.model()) << body.error();
    const Workload workload = body.workload();
    Work token = workload.step({});
    EXPECT_NEAR(token.macs() / kGiga, c.macs, 2e-3 * c.macs);
    token += workload.head(1);
    EXPECT_NEAR(token.macs() / kGiga, c.macs + c.head_macs, 2e-3 * c.macs);
    EXPECT_NEAR(token.bytes / kGiga, c.gigabytes, 6e-3 * c.gigabytes);
  }
}

// The skip leaves E2B 0.54 of 1.88 GMAC a prompt token; bodies without shared layers skip next to
// nothing.
TEST(Workload, OfAPromptCountsTheSkip) {
  constexpr StepShape kLast{.n_rows = 512, .position = 0, .n_wanted = 1};
  constexpr StepShape kAll{.n_rows = 512, .position = 0, .n_wanted = 512};
  const SparseBody e2b({.body = "e2b", .quant = "q4_0"});
  ASSERT_TRUE(e2b.model()) << e2b.error();
  const double skipped = e2b.workload().step(kLast).int8_macs / 512;
  const double whole = e2b.workload().step(kAll).int8_macs / 512;
  EXPECT_NEAR(whole / kGiga, 1.863, 0.005);  // without the bf16 projection
  EXPECT_NEAR(whole / skipped, 3.5, 0.1);
  const SparseBody large({.body = "31b", .quant = "q4_0"});
  ASSERT_TRUE(large.model()) << large.error();
  EXPECT_GT(large.workload().step(kLast).int8_macs, 0.98 * large.workload().step(kAll).int8_macs);
}

TEST(Workload, ReadsWeightsOncePerChunkAndLaterLayersOnlyForWantedRows) {
  const SparseBody body({.body = "e2b", .quant = "q4_0"});
  ASSERT_TRUE(body.model()) << body.error();
  const Workload workload = body.workload();
  const StepShape prompt{.n_rows = 1024, .position = 0, .n_wanted = 1};
  const Work one_chunk = workload.prefill(prompt, 1024);
  const Work two_chunks = workload.prefill(prompt, 512);
  EXPECT_EQ(one_chunk.int8_macs, two_chunks.int8_macs);
  const Work owners = workload.step({.n_rows = 512, .position = 0, .n_wanted = 0});
  EXPECT_NEAR(two_chunks.bytes - one_chunk.bytes, owners.bytes, 0.05 * owners.bytes);
}

TEST(Workload, OfAttentionGrowsToTheWindowAndWithoutEndInGlobalLayers) {
  const SparseBody body({.body = "e2b", .quant = "q4_0"});
  ASSERT_TRUE(body.model()) << body.error();
  const Workload workload = body.workload();
  const auto attention_macs = [&](std::int64_t position) {
    const double weights = workload.step({.position = 0}).bf16_macs;
    return workload.step({.position = position}).bf16_macs - weights;
  };
  // 28 sliding layers of 8 heads of 256, 7 global ones of 8 heads of 512; K and V.
  constexpr double kSliding = 28.0 * 2 * 8 * 256, kGlobal = 7.0 * 2 * 8 * 512;
  EXPECT_EQ(attention_macs(100), 100 * (kSliding + kGlobal));
  EXPECT_EQ(attention_macs(4000), 511 * kSliding + 4000 * kGlobal);
}

TEST(Workload, OfABatchReadsWeightsOnce) {
  const SparseBody body({.body = "26b", .quant = "q4_0"});
  ASSERT_TRUE(body.model()) << body.error();
  const Workload workload = body.workload();
  const Work one = workload.decode({.n_rows = 1, .position = 0});
  const Work eight = workload.decode({.n_rows = 1, .position = 0, .batch = 8});
  EXPECT_NEAR(eight.macs() / one.macs(), 8.0, 1e-9);
  EXPECT_LT(eight.bytes, 8.0 * one.bytes);
  EXPECT_GT(eight.bytes, one.bytes);  // more experts
}

TEST(Workload, IsLimitedByTheSlowerOfReadingAndMultiplying) {
  const MachineLimits limits{.n_threads = 2,
                             .read_gb_s = 50.0,
                             .int8_gmac_s = 800.0,
                             .bf16_gmac_s = 400.0,
                             .f32_gmac_s = 200.0};
  const Work reading{.bytes = 100e9, .int8_macs = 800e9};
  EXPECT_DOUBLE_EQ(reading.seconds_at(limits), 2.0);
  const Work multiplying{.bytes = 1e9, .int8_macs = 800e9, .bf16_macs = 400e9, .f32_macs = 200e9};
  EXPECT_DOUBLE_EQ(multiplying.seconds_at(limits), 3.0);
}

}  // namespace
}  // namespace fourfold
