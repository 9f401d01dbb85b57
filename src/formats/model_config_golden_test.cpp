// The tiny random bodies of tests/golden/text, in both forms.
#include <gtest/gtest.h>

#include <string>

#include "formats/model_config.h"

namespace fourfold {
namespace {

ModelConfig load(const std::string& case_name, const std::string& file = "") {
  const auto checkpoint = Checkpoint::open(FOURFOLD_BUILD_DIR "/golden/text/" + case_name + file);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  if (!checkpoint.ok()) return {};
  const auto config = load_model_config(*checkpoint);
  EXPECT_TRUE(config.ok()) << config.error().message;
  return config.ok() ? *config : ModelConfig();
}

class TwoForms : public testing::TestWithParam<const char*> {};

TEST_P(TwoForms, GiveTheSameConfig) {
  const std::string case_name = GetParam();
  auto folder = load(case_name);
  auto gguf = load(case_name, "/model.gguf");
  ASSERT_GT(folder.text.n_layers, 0);

  // A GGUF holds 1 + w already, and cannot say that it was saved from a class without media.
  EXPECT_EQ(folder.text.norm_weight_plus_one, case_name == "gemma3");
  EXPECT_FALSE(gguf.text.norm_weight_plus_one);
  folder.text.norm_weight_plus_one = false;
  if (case_name == "text-only") {
    EXPECT_EQ(folder.text.image_token_id, -1);
    EXPECT_FALSE(folder.text.bidirectional_vision);
    gguf.text.image_token_id = gguf.text.audio_token_id = gguf.text.video_token_id = -1;
    gguf.text.bidirectional_vision = false;
  }
  EXPECT_TRUE(folder.text == gguf.text);
  EXPECT_EQ(folder.suppress_ids, gguf.suppress_ids);
  EXPECT_EQ(folder.architecture, gguf.architecture);
  EXPECT_EQ(folder.body, "");
  EXPECT_EQ(gguf.body, "");
}

INSTANTIATE_TEST_SUITE_P(Bodies, TwoForms,
                         testing::Values("e2b", "e4b", "12b", "26b", "31b", "text-only", "gemma3"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(GoldenConfig, E2bSharesKvAndDoublesTheWidthThere) {
  const auto text = load("e2b").text;
  EXPECT_EQ(text.n_layers, 10);
  EXPECT_EQ(text.first_shared_layer(), 5);
  EXPECT_EQ(text.per_layer_width, 256);
  EXPECT_EQ(text.logit_softcap, 30.0f);
  EXPECT_EQ(text.image_token_id, 376);
  EXPECT_FALSE(text.bidirectional_vision);
  const LayerConfig own_global{
      .sliding = false, .n_kv_heads = 1, .head_dim = 512, .ffn_width = 256, .kv_source = 4};
  const LayerConfig shared_sliding{
      .sliding = true, .n_kv_heads = 1, .head_dim = 256, .ffn_width = 512, .kv_source = 3};
  EXPECT_TRUE(text.layers[4] == own_global);
  EXPECT_TRUE(text.layers[5] == shared_sliding);
  EXPECT_EQ(text.layers[9].kv_source, 4);
}

TEST(GoldenConfig, GlobalLayersOfTheLargeBodiesUseKAsV) {
  const auto config = load("12b");
  EXPECT_TRUE(config.text.layers[5].k_eq_v);
  EXPECT_FALSE(config.text.layers[4].k_eq_v);
  EXPECT_EQ(config.text.layers[5].n_kv_heads, 1);
  EXPECT_EQ(config.text.layers[4].n_kv_heads, 2);
  EXPECT_TRUE(config.text.bidirectional_vision);
  EXPECT_EQ(config.suppress_ids, (std::vector<int>{379, 378}));
  EXPECT_EQ(config.eos_ids, (std::vector<int>{1, 106, 50}));
  EXPECT_TRUE(config.sampling.from_file);
}

TEST(GoldenConfig, ExpertsOfThe26b) {
  const auto text = load("26b").text;
  EXPECT_EQ(text.n_experts, 8);
  EXPECT_EQ(text.n_experts_used, 2);
  EXPECT_EQ(text.expert_ffn_width, 96);
  EXPECT_EQ(text.layers[0].ffn_width, 288);
}

TEST(GoldenConfig, SavedSchemaOfThe31b) {
  const auto text = load("31b").text;
  EXPECT_EQ(text.layers[2].head_dim, 512);
  EXPECT_EQ(text.layers[2].n_kv_heads, 2);
  EXPECT_EQ(text.layers[1].n_kv_heads, 4);
}

TEST(GoldenConfig, Gemma3KeepsASlidingLastLayer) {
  const auto text = load("gemma3").text;
  EXPECT_TRUE(text.layers.back().sliding);
  EXPECT_FALSE(text.layers[5].sliding);
  EXPECT_EQ(text.attention_scale, 0.0625f);
  EXPECT_EQ(text.rope_rotated_fraction, 1.0f);
  EXPECT_EQ(text.logit_softcap, std::nullopt);
  EXPECT_FALSE(text.value_norm);
}

}  // namespace
}  // namespace fourfold
