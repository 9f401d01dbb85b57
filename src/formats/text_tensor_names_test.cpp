#include "formats/text_tensor_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace fourfold {
namespace {

using testing::Contains;
using testing::ElementsAre;

const std::vector<std::string>& folder_names(const std::vector<TextTensorName>& all,
                                             std::string_view gguf) {
  const auto found = std::ranges::find(all, gguf, &TextTensorName::gguf);
  EXPECT_NE(found, all.end()) << gguf;
  return found->folder;
}

TEST(TextTensorNames, PairBothForms) {
  const auto names = text_tensor_names(12);
  EXPECT_THAT(folder_names(names, "token_embd.weight"), ElementsAre("embed_tokens.weight"));
  EXPECT_THAT(folder_names(names, "blk.11.attn_q.weight"),
              ElementsAre("layers.11.self_attn.q_proj.weight"));
  EXPECT_THAT(folder_names(names, "blk.3.layer_output_scale.weight"),
              ElementsAre("layers.3.layer_scalar"));
}

TEST(TextTensorNames, KnowTheExpertsOfOlderFolders) {
  const auto names = text_tensor_names(1);
  const auto& gate_up = folder_names(names, "blk.0.ffn_gate_up_exps.weight");
  EXPECT_EQ(gate_up.front(), "layers.0.experts.gate_up_proj");
  EXPECT_THAT(gate_up, Contains("layers.0.moe.gate_up_proj.weight"));
  const auto& scale = folder_names(names, "blk.0.ffn_down_exps.scale");
  EXPECT_EQ(scale.front(), "layers.0.router.per_expert_scale");
  EXPECT_THAT(scale, Contains("layers.0.moe.per_expert_scale"));
}

TEST(TextTensorNames, StandForOneTensorEach) {
  std::set<std::string> gguf, folder;
  for (const auto& name : text_tensor_names(3)) {
    EXPECT_TRUE(gguf.insert(name.gguf).second) << name.gguf;
    for (const auto& other : name.folder) EXPECT_TRUE(folder.insert(other).second) << other;
  }
}

}  // namespace
}  // namespace fourfold
