#include "cli/spelling.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

struct Typed {
  std::string name;
  std::string meant;
};

class ClosestName : public testing::TestWithParam<Typed> {};

TEST_P(ClosestName, IsWhatWasMeant) {
  const std::vector<std::string> known = {"run",        "complete",  "tokenize",
                                          "detokenize", "--threads", "--max-tokens",
                                          "--temp",     "--top-k",   "--top-p"};
  EXPECT_EQ(closest_name(GetParam().name, known), GetParam().meant);
}

INSTANTIATE_TEST_SUITE_P(Names, ClosestName,
                         testing::Values(Typed{"rnu", "run"}, Typed{"tokenise", "tokenize"},
                                         Typed{"compelte", "complete"},
                                         Typed{"--thread", "--threads"},
                                         Typed{"--max", "--max-tokens"}, Typed{"--topk", "--top-k"},
                                         Typed{"gemma.gguf", ""}, Typed{"--schema", ""},
                                         Typed{"", ""}));

}  // namespace
}  // namespace fourfold
