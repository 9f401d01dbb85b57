#include "engine/synthetic_media.h"

#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <utility>

namespace fourfold {
namespace {

// audio.md 8 and 9.
TEST(SyntheticTowers, HaveTheTensorsOfTheReleasedEars) {
  for (const auto& [body, n_parameters] :
       {std::pair("e2b", 307'183'904), std::pair("e4b", 308'756'768)}) {
    const auto layout = synthetic_towers_layout(body);
    ASSERT_TRUE(layout.ok());
    std::int64_t n = 0;
    int n_tensors = 0, n_bounds = 0;
    for (const auto& tensor : layout->tensors()) {
      if (!tensor.name.starts_with("a.") && !tensor.name.starts_with("mm.a.")) continue;
      ++n_tensors;
      std::int64_t elements = 1;
      for (const auto dim : tensor.shape) elements *= dim;
      n += elements;
      n_bounds += tensor.name.ends_with("put_min") || tensor.name.ends_with("put_max");
    }
    EXPECT_EQ(n_tensors, 752);
    EXPECT_EQ(n_bounds, 480);
    EXPECT_EQ(n - n_bounds, n_parameters) << body;
  }
  EXPECT_EQ(synthetic_towers_layout("12b").error().message,
            "body: \"12b\" (expected e2b, e4b, 26b or 31b)");
}

// vision-video.md 9 and 10.
TEST(SyntheticTowers, HaveTheTensorsOfTheReleasedEyes) {
  struct Row {
    const char* body;
    std::int64_t n_parameters;
    int n_tensors;
  };
  for (const auto& row : {Row{"e2b", 168'544'256, 659}, Row{"e4b", 169'330'688, 659},
                          Row{"26b", 572'794'416, 356}, Row{"31b", 575'743'536, 356}}) {
    const auto layout = synthetic_towers_layout(row.body);
    ASSERT_TRUE(layout.ok());
    std::int64_t n = 0;
    int n_tensors = 0;
    for (const auto& tensor : layout->tensors()) {
      if (!tensor.name.starts_with("v.") && !tensor.name.starts_with("mm.i")) continue;
      ++n_tensors;
      const bool is_bound = tensor.name.ends_with("put_min") || tensor.name.ends_with("put_max");
      std::int64_t elements = is_bound ? 0 : 1;
      for (const auto dim : tensor.shape) elements *= dim;
      n += elements;
    }
    EXPECT_EQ(n_tensors, row.n_tensors) << row.body;
    EXPECT_EQ(n, row.n_parameters) << row.body;
  }
}

TEST(SyntheticTowers, HaveFiniteBounds) {
  const auto value = [](const char* name) {
    float bound = 0.0f;
    const GgufWriter::Tensor tensor{.name = name, .shape = {1}, .size_bytes = sizeof(float)};
    EXPECT_TRUE(write_synthetic_tower_tensor(tensor, [&](std::span<const std::byte> bytes) {
                  std::memcpy(&bound, bytes.data(), sizeof bound);
                  return Status();
                }).ok());
    return bound;
  };
  EXPECT_EQ(value("a.blk.0.attn_q.input_min"), -100.0f);
  EXPECT_EQ(value("a.blk.0.attn_q.output_max"), 100.0f);
  EXPECT_EQ(value("a.blk.0.ffn_norm.weight"), 1.0f);
}

}  // namespace
}  // namespace fourfold
