#include "chat/model_kind.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

struct File {
  std::string what;
  KindHints hints;
  bool chats = false;
};

void PrintTo(const File& file, std::ostream* out) { *out << file.what; }

class IsChatModel : public testing::TestWithParam<File> {};

TEST_P(IsChatModel, FollowsWhatTheFileTells) {
  EXPECT_EQ(is_chat_model(GetParam().hints), GetParam().chats);
}

INSTANTIATE_TEST_SUITE_P(
    Files, IsChatModel,
    testing::Values(File{.what = "stops at the end of a turn",
                         .hints = {.end_of_turn_is_eos = true, .names = {"blob"}},
                         .chats = true},
                    File{.what = "named it, stops at <eos> only",
                         .hints = {.names = {"gemma-4-E2B_q4_0-it.gguf"}},
                         .chats = true},
                    File{.what = "a fine-tune with a template",
                         .hints = {.has_chat_template = true, .names = {"my-gemma"}},
                         .chats = true},
                    File{
                        .what = "the pretrained 270M",
                        .hints = {.names = {"gemma-3-270m-q4_k_m.gguf", "Gemma 3 270m", "gemma-3"}},
                        .chats = false},
                    File{.what = "pretrained with a template",
                         .hints = {.has_chat_template = true, .names = {"gemma-3-1b-pt"}},
                         .chats = false}));

}  // namespace
}  // namespace fourfold
