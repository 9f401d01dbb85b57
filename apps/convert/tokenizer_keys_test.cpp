#include "convert/tokenizer_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "convert/test_folder.h"
#include "formats/gguf.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string golden_tokenizer(std::string_view name) {
  return fmt::format(FOURFOLD_SOURCE_DIR "/tests/golden/tokenizer/{}", name);
}

// A folder with a tokenizer of its own; the weights beside it do not matter.
class TokenizerKeysOf : public testing::Test {
 protected:
  TokenizerKeysOf() : folder_("text-only") {
    config_.architecture = "gemma4";
    config_.text.vocab_size = 4000;
    config_.eos_ids = {1, 106, 50};
  }

  void copy_tokenizer(std::string_view name) {
    std::filesystem::copy(golden_tokenizer(name), folder_.file("tokenizer.json"));
  }

  Status make() {
    const auto checkpoint = TRY(folder_.open());
    GgufWriter out;
    warnings_.clear();
    TRY(add_tokenizer_keys(checkpoint, config_, out, warnings_));
    file_ = TRY(GgufFile::parse(MappedFile::from_bytes("made", out.header())));
    return {};
  }
  const GgufMetadata& keys() const { return file_.metadata(); }
  std::vector<std::int64_t> types() const {
    return **keys().find_ints("tokenizer.ggml.token_type");
  }
  const GgufStringArray& pieces() const { return **keys().find_strings("tokenizer.ggml.tokens"); }

  TestFolder folder_;
  ModelConfig config_;
  std::vector<std::string> warnings_;
  GgufFile file_;
};

// The value of a key with its type number; empty when it is absent.
std::span<const std::byte> value_of(const GgufMetadata& metadata, std::string_view key) {
  const auto& entries = metadata.entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].first == key) return metadata.value_bytes(i);
  }
  return {};
}

TEST_F(TokenizerKeysOf, AreThoseOfTheGgufForm) {
  const auto mapped = MappedFile::open(golden_tokenizer("tokenizer-small.gguf"));
  ASSERT_TRUE(mapped.ok());
  const auto golden = GgufFile::parse(*mapped);
  ASSERT_TRUE(golden.ok());
  for (const auto* name : {"tokenizer-small.json", "tokenizer-small-strmerges.json"}) {
    SCOPED_TRACE(name);
    std::filesystem::remove(folder_.file("tokenizer.json"));
    copy_tokenizer(name);
    const Status made = make();
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_THAT(warnings_, IsEmpty());
    for (const auto* key :
         {"model", "tokens", "merges", "bos_token_id", "eos_token_id", "unknown_token_id",
          "padding_token_id", "mask_token_id", "add_bos_token", "add_space_prefix"}) {
      const auto full_key = fmt::format("tokenizer.ggml.{}", key);
      EXPECT_TRUE(
          std::ranges::equal(value_of(keys(), full_key), value_of(golden->metadata(), full_key)))
          << key;
    }
    // Its converter did not know that <|video|>, the last piece, is a control piece.
    auto expected = **golden->metadata().find_ints("tokenizer.ggml.token_type");
    EXPECT_EQ(expected.back(), 1);
    expected.back() = 3;
    EXPECT_EQ(types(), expected);
  }
}

TEST_F(TokenizerKeysOf, SayWhereAnAnswerEnds) {
  copy_tokenizer("tokenizer-small.json");
  struct Case {
    std::vector<int> eos_ids;
    std::uint64_t eos;
    std::vector<std::int64_t> all;
  } kCases[] = {{{1, 106, 50}, 106, {1, 106, 50}}, {{1}, 1, {}}, {{}, 1, {}}};
  for (const auto& c : kCases) {
    config_.eos_ids = c.eos_ids;
    ASSERT_TRUE(make().ok());
    EXPECT_EQ(*keys().require_u64("tokenizer.ggml.eos_token_id"), c.eos);
    const auto all = *keys().find_ints("tokenizer.ggml.eos_token_ids");
    EXPECT_EQ(all.value_or(std::vector<std::int64_t>()), c.all);
    EXPECT_EQ(keys().find("tokenizer.ggml.eot_token_id") != nullptr, c.eos == 106);
  }
}

TEST_F(TokenizerKeysOf, FitTheRowsOfTheEmbedding) {
  copy_tokenizer("tokenizer-small.json");
  config_.text.vocab_size = 4002;
  ASSERT_TRUE(make().ok());
  EXPECT_EQ(pieces()[3999], "<|video|>");
  EXPECT_EQ(pieces()[4001], "[PAD4001]");
  EXPECT_EQ(types()[4001], 5);

  config_.text.vocab_size = 3999;  // the last piece is special and has no row
  ASSERT_TRUE(make().ok());
  EXPECT_EQ(pieces().size(), 3999u);
  EXPECT_EQ(pieces()[3998], "<audio|>");

  config_.text.vocab_size = 3994;  // an ordinary one has none
  const Status made = make();
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().message, HasSubstr("tokenizer.json: piece 3994"));
}

TEST_F(TokenizerKeysOf, TellTheTypesOfGemma3Apart) {
  folder_.write_text("tokenizer.json", R"({
    "added_tokens": [{"id": 0, "content": "<pad>", "special": true},
                     {"id": 1, "content": "<table>", "special": false}],
    "model": {"type": "BPE", "vocab": {"<pad>": 0, "<table>": 1, "<0x41>": 2, "a": 3, "b": 4, "ab": 5},
              "merges": ["a b"]}})");
  config_ = {.architecture = "gemma3"};
  config_.text.family = Family::Gemma3;
  config_.text.vocab_size = 6;
  const Status made = make();
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(*keys().require_string("tokenizer.ggml.model"), "llama");
  EXPECT_EQ(*keys().require_string("tokenizer.ggml.pre"), "default");
  EXPECT_THAT(types(), ElementsAre(3, 4, 6, 1, 1, 1));
  const auto& scores = std::get<GgufNumberArray>(*keys().find("tokenizer.ggml.scores"));
  EXPECT_EQ(scores.float_at(1), -1000.0);
  EXPECT_EQ(scores.float_at(5), -5.0);
  EXPECT_THAT(**keys().find_strings("tokenizer.ggml.merges"), ElementsAre("a b"));
}

TEST_F(TokenizerKeysOf, KeepTheChatTemplateWhereThereIsOne) {
  copy_tokenizer("tokenizer-small.json");
  ASSERT_TRUE(make().ok());
  EXPECT_EQ(keys().find("tokenizer.chat_template"), nullptr);
  folder_.write_text("chat_template.jinja", "{{ messages }}");
  ASSERT_TRUE(make().ok());
  EXPECT_EQ(*keys().require_string("tokenizer.chat_template"), "{{ messages }}");
}

TEST_F(TokenizerKeysOf, AreAbsentAloudWithoutATokenizer) {
  config_.suppress_ids = {3, 4};
  ASSERT_TRUE(make().ok());
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("tokenizer.json: no such file")));
  EXPECT_EQ(keys().find("tokenizer.ggml.tokens"), nullptr);
  EXPECT_THAT(**keys().find_ints("tokenizer.ggml.suppress_tokens"), ElementsAre(3, 4));
}

TEST_F(TokenizerKeysOf, RefuseMergesThatASpaceWouldSplitElsewhere) {
  folder_.write_text("tokenizer.json", R"({
    "model": {"type": "BPE", "vocab": {"a b": 0, "c": 1, "a bc": 2}, "merges": [["a b", "c"]]}})");
  config_.text.vocab_size = 3;
  config_.eos_ids = {};
  const Status made = make();
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().message, HasSubstr("merge 0"));
}

}  // namespace
}  // namespace fourfold
