#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "formats/test_files.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/test_vocabulary.h"

namespace fourfold {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Ids = std::vector<TokenId>;

Tokenizer make(Result<Tokenizer> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

Result<Tokenizer> from_gguf(const testing_files::GgufBuilder& keys) {
  const auto file = GgufFile::parse(testing_files::in_memory(keys.build()));
  if (!file) return file.error();
  return Tokenizer::from_gguf(file->metadata());
}

Tokenizer gemma4() { return make(Tokenizer::from_json(TestVocabulary::gemma4().json())); }
Tokenizer gemma3() { return make(from_gguf(TestVocabulary::gemma3().gguf("llama"))); }

// The pieces of a text, to read in a failed test.
std::vector<std::string> pieces_of(const Tokenizer& tokenizer, const Ids& ids) {
  std::vector<std::string> pieces;
  for (const TokenId id : ids) pieces.emplace_back(tokenizer.piece(id));
  return pieces;
}
std::vector<std::string> pieces_of(const Tokenizer& tokenizer, std::string_view text,
                                   Trust trust = Trust::Untrusted) {
  return pieces_of(tokenizer, tokenizer.encode(text, trust));
}

// Plain text

TEST(Tokenizer, MergesByRankFromTheLeft) {
  EXPECT_THAT(pieces_of(gemma4(), "hello world"), ElementsAre("hello", "▁world"));
  EXPECT_THAT(pieces_of(gemma4(), "hel"), ElementsAre("hel"));
  EXPECT_THAT(pieces_of(gemma4(), "aaa"), ElementsAre("aa", "a"));
  EXPECT_THAT(pieces_of(gemma4(), "aaaaaaa"), ElementsAre("aaaa", "aa", "a"));
}

TEST(Tokenizer, TakesASpaceAndItsMarkForTheSame) {
  EXPECT_EQ(gemma4().encode(" world", Trust::Untrusted),
            gemma4().encode("▁world", Trust::Untrusted));
}

TEST(Tokenizer, SpellsUnknownCharactersInBytes) {
  EXPECT_THAT(pieces_of(gemma4(), "x€"), ElementsAre("x", "<0xE2>", "<0x82>", "<0xAC>"));
  EXPECT_THAT(pieces_of(gemma4(), "😂"), ElementsAre("<0xF0>", "<0x9F>", "<0x98>", "<0x82>"));
  EXPECT_THAT(pieces_of(gemma4(), "ß"), ElementsAre("<0xC3>", "<0x9F>"));
  EXPECT_THAT(pieces_of(gemma4(), "\r"), ElementsAre("<0x0D>"));
}

TEST(Tokenizer, SpellsEachIllFormedByteAndMergesNothingAcross) {
  EXPECT_THAT(pieces_of(gemma4(),
                        "h\xFF"
                        "e"),
              ElementsAre("h", "<0xFF>", "e"));
  EXPECT_THAT(pieces_of(gemma4(), "\xC3"), ElementsAre("<0xC3>"));
  EXPECT_THAT(pieces_of(gemma4(), "\xED\xA0\x80"), ElementsAre("<0xED>", "<0xA0>", "<0x80>"));
  EXPECT_THAT(pieces_of(gemma4(), "\xC3\xC3\xA9"), ElementsAre("<0xC3>", "é"));
}

TEST(Tokenizer, TakesUnusedPiecesAndTagsForOrdinaryText) {
  EXPECT_EQ(pieces_of(gemma4(), "<unused0>", Trust::Trusted).size(), 9u);
  EXPECT_EQ(pieces_of(gemma4(), "[multimodal]", Trust::Trusted).size(), 12u);
}

TEST(Tokenizer, OfEmptyTextIsEmpty) {
  EXPECT_THAT(gemma4().encode("", Trust::Trusted), IsEmpty());
  EXPECT_THAT(gemma4().encode(std::span<const Segment>()), IsEmpty());
}

// Files

TEST(Tokenizer, IsTheSameFromEveryFile) {
  const auto vocabulary = TestVocabulary::gemma4();
  const std::string text = "hello  world\n\n\n\t=x€<|turn>\xFF";
  const Ids ids = make(Tokenizer::from_json(vocabulary.json())).encode(text, Trust::Trusted);
  EXPECT_EQ(make(from_gguf(vocabulary.gguf())).encode(text, Trust::Trusted), ids);
  EXPECT_EQ(make(from_gguf(vocabulary.gguf("llama"))).encode(text, Trust::Trusted), ids);
}

TEST(Tokenizer, LetsTheLaterOfTwoEqualPiecesWin) {
  auto vocabulary = TestVocabulary::gemma4();
  vocabulary.rename("<unused0>", "hello");
  vocabulary.pieces.emplace_back("=");
  vocabulary.types.clear();
  const Tokenizer tokenizer = make(from_gguf(vocabulary.gguf()));
  EXPECT_THAT(tokenizer.encode("hello=", Trust::Untrusted),
              ElementsAre(vocabulary.id("hello"), std::ssize(vocabulary.pieces) - 1));
  EXPECT_EQ(tokenizer.bytes(TestVocabulary::gemma4().id("<unused0>")), "hello");
}

TEST(Tokenizer, NamesForeignPipelineSectionsInOneWarning) {
  const auto tokenizer = make(Tokenizer::from_json(TestVocabulary::gemma4().json(
      R"("normalizer":{"type":"Replace","content":"▁","pattern":{"String":" "}},
         "pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\p{L}+"}},
         "post_processor":null,"decoder":{"type":"ByteLevel"},"truncation":null,)")));
  EXPECT_THAT(tokenizer.warnings(), ElementsAre(HasSubstr("pre_tokenizer, decoder ignored")));
  EXPECT_THAT(pieces_of(tokenizer, "hello world"), ElementsAre("hello", "▁world"));
}

TEST(Tokenizer, OpensAFolderAFileAndNamesWhatItCannotOpen) {
  const testing_files::TempFolder folder;
  folder.write("tokenizer.json", TestVocabulary::gemma4().json());
  folder.write("vocab.gguf", TestVocabulary::gemma4().gguf().build());
  folder.write("notes.txt", "Dear diary");
  EXPECT_TRUE(Tokenizer::open(folder.path()));
  EXPECT_TRUE(Tokenizer::open(folder.file("tokenizer.json")));
  EXPECT_TRUE(Tokenizer::open(folder.file("vocab.gguf")));
  const auto notes = Tokenizer::open(folder.file("notes.txt"));
  ASSERT_FALSE(notes);
  EXPECT_THAT(notes.error().message, HasSubstr("notes.txt: neither a GGUF"));
  const auto absent = Tokenizer::open(folder.file("absent"));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::NotFound);
}

TEST(Tokenizer, IsLoadedFromAnOpenModel) {
  const testing_files::TempFolder folder;
  const auto file = folder.write("m.gguf", TestVocabulary::gemma4()
                                               .gguf()
                                               .string("general.architecture", "gemma4")
                                               .tensor("a", {32})
                                               .build());
  folder.write("tokenizer.json", TestVocabulary::gemma3().json());
  folder.write("config.json", "{}");
  folder.write("model.safetensors",
               testing_files::safetensors_bytes(
                   R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  const auto gguf = Checkpoint::open(file);
  ASSERT_TRUE(gguf) << gguf.error().message;
  EXPECT_EQ(make(Tokenizer::load(*gguf)).family(), Family::Gemma4);
  const auto opened_folder = Checkpoint::open(folder.path());
  ASSERT_TRUE(opened_folder) << opened_folder.error().message;
  EXPECT_THAT(Tokenizer::load(*opened_folder).error().message, HasSubstr("neither merges"));
}

TEST(Tokenizer, IsFoundFromAnyPartOfASplitSet) {
  const testing_files::TempFolder folder;
  const auto part = [](testing_files::GgufBuilder keys, std::uint32_t number) {
    return keys.u32("split.no", number)
        .u32("split.count", 2)
        .u32("split.tensors.count", 2)
        .tensor("t" + std::to_string(number), {32})
        .build();
  };
  folder.write("m-00001-of-00002.gguf",
               part(TestVocabulary::gemma4().gguf().string("general.architecture", "gemma4"), 0));
  const auto second = folder.write("m-00002-of-00002.gguf", part({}, 1));
  const auto tokenizer = Tokenizer::open(second);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_THAT(pieces_of(*tokenizer, "hello"), ElementsAre("hello"));
}

struct BadVocabulary {
  const char* name;
  std::function<void(TestVocabulary&)> damage;
  const char* message;
};
std::ostream& operator<<(std::ostream& out, const BadVocabulary& bad) { return out << bad.name; }

class BadVocabularies : public testing::TestWithParam<BadVocabulary> {};

TEST_P(BadVocabularies, AreRefusedWithTheReason) {
  auto vocabulary = TestVocabulary::gemma4();
  vocabulary.types.clear();
  GetParam().damage(vocabulary);
  for (const auto& result :
       {Tokenizer::from_json(vocabulary.json()), from_gguf(vocabulary.gguf())}) {
    ASSERT_FALSE(result);
    EXPECT_TRUE(result.error().code == Code::DataLoss ||
                result.error().code == Code::InvalidArgument);
    EXPECT_THAT(result.error().message, HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, BadVocabularies,
    testing::Values(
        BadVocabulary{"Empty", [](auto& v) { v = {}; }, "not a Gemma vocabulary"},
        BadVocabulary{"OfAnotherModel", [](auto& v) { v.rename("<|turn>", "<|im_start|>"); },
                      "not a Gemma vocabulary"},
        BadVocabulary{"WithoutBos", [](auto& v) { v.rename("<bos>", "<s>"); }, "no piece <bos>"},
        BadVocabulary{"WithoutAByte", [](auto& v) { v.rename("<0xAB>", "<0xab>"); },
                      "no piece <0xAB>"},
        BadVocabulary{"WithoutSpaceMark", [](auto& v) { v.rename("▁", "_▁"); }, "no piece ▁"},
        BadVocabulary{"WithoutMerges", [](auto& v) { v.merges.clear(); }, "no merges"},
        BadVocabulary{"UnknownPart", [](auto& v) { v.merges.emplace_back("zz", "z"); }, "merge 20"},
        BadVocabulary{"UnknownUnion", [](auto& v) { v.merges.emplace_back("z", "z"); }, "merge 20"},
        BadVocabulary{"MergesToControl",
                      [](auto& v) {
                        v.pieces.emplace_back("<bos");
                        v.merges.emplace_back("<bos", ">");
                      },
                      "<bos>"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Tokenizer, RefusesPiecesThatAreNotUtf8) {
  auto vocabulary = TestVocabulary::gemma4();
  vocabulary.rename("<unused0>", "\xC3");
  EXPECT_THAT(from_gguf(vocabulary.gguf()).error().message, HasSubstr("not UTF-8"));
}

struct BadJson {
  const char* text;
  const char* message;
};

TEST(TokenizerJson, RefusesWhatIsNoTokenizer) {
  const BadJson cases[] = {
      {"", "offset 0"},
      {"[]", "'{' expected"},
      {"{}", "not a Gemma vocabulary"},
      {R"({"model":{"type":"Unigram","vocab":{}}})", "Unigram"},
      {R"({"model":{"vocab":[["a",0.5]]}})", "\"vocab\" is not an object"},
      {R"({"model":{"vocab":{"a":0,"b":2}}})", "id 2"},
      {R"({"model":{"vocab":{"a":0,"b":0}}})", "id 0 stands for both"},
      {R"({"model":{"vocab":{"a":-1}}})", "id -1"},
      {R"({"model":{"vocab":{"a":9223372036854775807}}})", "9223372036854775807"},
      {R"({"model":{"vocab":{"a":92233720368547758070}}})", "integer expected"},
      {R"({"model":{"vocab":{"a":0.5}}})", "offset 24"},
      {R"({"model":{"vocab":{"a":0},"merges":["ab"]}})", "merge without two parts"},
      {R"({"model":{"vocab":{"a":0},"merges":[["a"]]}})", "fewer than two"},
      {R"({"model":{"vocab":{"a":0},"merges":[["a","a","a"]]}})", "more than two"},
      {R"({"model":{"vocab":{"a":0}},"added_tokens":[{"id":0,"content":"b"}]})", "both"},
      {R"({"model":{"vocab":{"a":0}},"added_tokens":[{"id":3,"content":"b"}]})", "id 3"},
      {R"({"model":{"vocab":{"a":0}},"added_tokens":[{"content":"b"}]})", "id -1"},
      {R"({"model":{"vocab":{"a":0}}} x)", "text after the end"},
  };
  for (const auto& bad : cases) {
    const auto result = Tokenizer::from_json(bad.text);
    ASSERT_FALSE(result) << bad.text;
    EXPECT_THAT(result.error().message, HasSubstr(bad.message)) << bad.text;
  }
}

TEST(TokenizerJson, RefusesEveryTruncation) {
  const std::string text = TestVocabulary::gemma4().json();
  for (std::size_t size = 0; size < text.size(); size += size < 100 ? 1 : 97) {
    EXPECT_FALSE(Tokenizer::from_json(text.substr(0, size))) << size;
  }
}

struct BadGguf {
  const char* name;
  std::function<testing_files::GgufBuilder()> keys;
  const char* message;
};

TEST(TokenizerGguf, RefusesWhatDoesNotFitTogether) {
  const auto whole = TestVocabulary::gemma4();
  const BadGguf cases[] = {
      {"no tokens", [&] { return testing_files::GgufBuilder().u32("a", 1); },
       "tokenizer.ggml.tokens"},
      {"other model", [&] { return whole.gguf("gpt2"); }, "tokenizer.ggml.model: \"gpt2\""},
      {"types too few",
       [&] {
         auto cut = whole;
         cut.types.pop_back();
         return cut.gguf();
       },
       "tokenizer.ggml.token_type"},
      {"scores too few",
       [&] {
         auto cut = whole;
         cut.scores = {1, 2, 3};
         return cut.gguf();
       },
       "tokenizer.ggml.scores: 3 entries"},
      {"bos out of range", [&] { return whole.gguf().u32("tokenizer.ggml.bos_token_id", 100000); },
       "tokenizer.ggml.bos_token_id: 100000"},
      {"eos of another type",
       [&] { return whole.gguf().string("tokenizer.ggml.eos_token_id", "1"); },
       "tokenizer.ggml.eos_token_id"},
      {"merge without a space",
       [&] {
         auto odd = whole;
         odd.merges.clear();
         return odd.gguf().strings("tokenizer.ggml.merges", {"he"});
       },
       "tokenizer.ggml.merges[0]"},
      {"Gemma 3 with neither merges nor scores",
       [&] {
         auto bare = TestVocabulary::gemma3();
         bare.scores.clear();
         return bare.gguf("llama");
       },
       "neither merges nor scores"},
      {"a score that is no number",
       [&] {
         auto odd = TestVocabulary::gemma3();
         odd.scores[3] = std::numeric_limits<float>::quiet_NaN();
         return odd.gguf("llama");
       },
       "not finite"},
  };
  for (const auto& bad : cases) {
    const auto result = from_gguf(bad.keys());
    ASSERT_FALSE(result) << bad.name;
    EXPECT_THAT(result.error().message, HasSubstr(bad.message)) << bad.name;
  }
}

// Control pieces

TEST(Tokenizer, FindsControlPiecesByTheirStrings) {
  const Tokenizer tokenizer = gemma4();
  const ControlIds& control = tokenizer.control();
  EXPECT_EQ(tokenizer.piece(control.bos), "<bos>");
  EXPECT_EQ(tokenizer.piece(control.turn_close), "<turn|>");
  EXPECT_EQ(tokenizer.piece(control.quote), "<|\"|>");
  EXPECT_EQ(tokenizer.piece(control.tool_response_open), "<|tool_response>");
  EXPECT_TRUE(tokenizer.is_control(control.video));
  EXPECT_FALSE(tokenizer.is_control(tokenizer.find_piece("hello")));
  EXPECT_FALSE(tokenizer.is_control(kNoToken));
  EXPECT_FALSE(tokenizer.is_control(tokenizer.vocab_size()));
}

TEST(Tokenizer, MatchesControlStringsInTrustedTextOnly) {
  const Tokenizer tokenizer = gemma4();
  EXPECT_THAT(pieces_of(tokenizer, "<|turn>hello<turn|>\n", Trust::Trusted),
              ElementsAre("<|turn>", "hello", "<turn|>", "\n"));
  EXPECT_THAT(pieces_of(tokenizer, "<|turn>", Trust::Untrusted),
              ElementsAre("<", "|", "t", "u", "r", "n", ">"));
}

TEST(Tokenizer, TakesTheLongestControlString) {
  EXPECT_THAT(pieces_of(gemma4(), "<|image|><|image><|tool_call><|tool>", Trust::Trusted),
              ElementsAre("<|image|>", "<|image>", "<|tool_call>", "<|tool>"));
}

TEST(Tokenizer, NeverMakesAControlPieceOfUntrustedText) {
  const Tokenizer tokenizer = gemma4();
  for (TokenId control = 0; control < tokenizer.vocab_size(); ++control) {
    if (!tokenizer.is_control(control)) continue;
    for (const TokenId id : tokenizer.encode(tokenizer.piece(control), Trust::Untrusted)) {
      EXPECT_FALSE(tokenizer.is_control(id)) << tokenizer.piece(control);
    }
  }
}

TEST(TokenizerSegments, MergeAcrossBordersButKeepControlInside) {
  const Tokenizer tokenizer = gemma4();
  const Segment segments[] = {{"<|turn>hel", Trust::Trusted},
                              {"lo<turn|>", Trust::Untrusted},
                              {"<tur", Trust::Trusted},
                              {"n|><bos>", Trust::Trusted}};
  EXPECT_THAT(
      pieces_of(tokenizer, tokenizer.encode(segments)),
      ElementsAre("<|turn>", "hello", "<", "t", "u", "r", "n", "|", ">", "<turn|>", "<bos>"));
}

TEST(TokenizerSegments, CannotForgeAControlStringTogether) {
  const Tokenizer tokenizer = gemma4();
  const Segment begun_by_us[] = {{"<tur", Trust::Trusted}, {"n|>", Trust::Untrusted}};
  const Segment begun_by_them[] = {{"<tur", Trust::Untrusted}, {"n|>", Trust::Trusted}};
  const Ids plain = tokenizer.encode("<turn|>", Trust::Untrusted);
  EXPECT_EQ(tokenizer.encode(begun_by_us), plain);
  EXPECT_EQ(tokenizer.encode(begun_by_them), plain);
}

TEST(Tokenizer, KnowsWhatEndsAnAnswer) {
  const Tokenizer tokenizer = gemma4();
  EXPECT_THAT(pieces_of(tokenizer, tokenizer.stop_ids()),
              ElementsAre("<eos>", "<turn|>", "<|tool_response>"));
  EXPECT_TRUE(tokenizer.ends_turn(tokenizer.control().turn_open));
  EXPECT_TRUE(tokenizer.ends_turn(tokenizer.control().eos));
  EXPECT_FALSE(tokenizer.ends_turn(tokenizer.find_piece("hello")));
  EXPECT_THAT(pieces_of(gemma3(), gemma3().stop_ids()), ElementsAre("<eos>", "<end_of_turn>"));
}

TEST(Tokenizer, ListsWhatIsNeverSampled) {
  const Tokenizer tokenizer = gemma4();
  const auto pieces = pieces_of(tokenizer, tokenizer.never_sampled());
  EXPECT_EQ(pieces.size(), 15u + 3u);  // control pieces of prompts, reserved pieces
  for (const auto* piece : {"<pad>", "<bos>", "<|tool>", "<|think|>", "<|turn>", "<|video|>",
                            "<unused99>", "[multimodal]"}) {
    EXPECT_THAT(pieces, Contains(piece));
  }
  for (const auto* piece : {"<eos>", "<turn|>", "<|tool_call>", "<|\"|>", "<|channel>", "hello"}) {
    EXPECT_THAT(pieces, Not(Contains(piece)));
  }
  EXPECT_TRUE(std::is_sorted(tokenizer.never_sampled().begin(), tokenizer.never_sampled().end()));
}

TEST(Tokenizer, PutsExactlyOneBosInFront) {
  const Tokenizer tokenizer = gemma4();
  const TokenId bos = tokenizer.control().bos;
  EXPECT_THAT(tokenizer.with_bos({}), ElementsAre(bos));
  EXPECT_THAT(tokenizer.with_bos({7}), ElementsAre(bos, 7));
  EXPECT_THAT(tokenizer.with_bos({bos, 7}), ElementsAre(bos, 7));
}

// Gemma 3

TEST(TokenizerGemma3, MergesByScore) {
  EXPECT_EQ(gemma3().family(), Family::Gemma3);
  EXPECT_THAT(pieces_of(gemma3(), "hello world"), ElementsAre("hello", "▁world"));
}

TEST(TokenizerGemma3, MatchesUserDefinedPiecesInEveryText) {
  EXPECT_THAT(pieces_of(gemma3(), "<table>hello\n\n\n"),
              ElementsAre("<table>", "hello", "\n\n", "\n"));
  EXPECT_THAT(pieces_of(gemma3(), "hello   ▁ world"),
              ElementsAre("hello", "▁▁▁", "▁▁", "w", "or", "ld"));
}

TEST(TokenizerGemma3, ReadsRunsOfSpacesInTheVocabularyAsRunsOfMarks) {
  auto vocabulary = TestVocabulary::gemma3();
  vocabulary.rename("▁▁", "  ");
  vocabulary.rename("▁▁▁", "   ");
  const Tokenizer tokenizer = make(from_gguf(vocabulary.gguf("llama")));
  EXPECT_EQ(tokenizer.encode("a   b  c", Trust::Untrusted),
            gemma3().encode("a   b  c", Trust::Untrusted));
}

TEST(TokenizerGemma3, IsTheSameFromAFileWithMerges) {
  auto vocabulary = TestVocabulary::gemma3();
  vocabulary.merges = TestVocabulary::gemma4().merges;
  const Tokenizer tokenizer = make(Tokenizer::from_json(vocabulary.json()));
  const std::string text = "<table>hello   world\n\n\n<start_of_turn>";
  EXPECT_EQ(tokenizer.encode(text, Trust::Trusted), gemma3().encode(text, Trust::Trusted));
}

TEST(TokenizerGemma3, HasItsOwnControlPieces) {
  const Tokenizer tokenizer = gemma3();
  EXPECT_THAT(pieces_of(tokenizer, "<start_of_turn>", Trust::Trusted),
              ElementsAre("<start_of_turn>"));
  EXPECT_EQ(tokenizer.encode("<start_of_turn>", Trust::Untrusted).size(), 15u);
  EXPECT_EQ(tokenizer.control().think, kNoToken);
  EXPECT_EQ(tokenizer.control().tool_call_open, kNoToken);
}

// Long and hostile texts on the full vocabulary. Quadratic merging would take hours.

struct Hostile {
  const char* name;
  std::size_t size_bytes;
  std::function<std::string(std::mt19937&)> next;
};
std::ostream& operator<<(std::ostream& out, const Hostile& hostile) { return out << hostile.name; }

class HostileText : public testing::TestWithParam<Hostile> {};

TEST_P(HostileText, EncodesInAboutLinearTime) {
  static const Tokenizer tokenizer =
      make(Tokenizer::open(FOURFOLD_BUILD_DIR "/golden/tokenizer/tokenizer.gguf"));
  std::mt19937 random(1);
  std::string text;
  while (text.size() < GetParam().size_bytes) text += GetParam().next(random);
  const auto begin = std::chrono::steady_clock::now();
  const Ids ids = tokenizer.encode(text, Trust::Trusted);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(elapsed.count(), 30);  // a second, or several under a sanitizer
  std::string bytes;
  for (const TokenId id : ids) bytes += tokenizer.bytes(id);
  if (text.starts_with("▁")) text = std::string(text.size() / 3, ' ');
  EXPECT_TRUE(bytes == text);
}

constexpr std::size_t kMiB = 1 << 20;

INSTANTIATE_TEST_SUITE_P(
    Kinds, HostileText,
    testing::Values(Hostile{"OneLetter", 4 * kMiB, [](auto&) { return "a"; }},
                    Hostile{"OneSpaceMark", 4 * kMiB, [](auto&) { return "▁"; }},
                    Hostile{"RandomBytes", 4 * kMiB,
                            [](auto& random) { return std::string(1, char(random())); }},
                    Hostile{"OneLongWord", kMiB,
                            [](auto& random) { return std::string(1, char('a' + random() % 26)); }},
                    Hostile{"OpenersOnly", kMiB, [](auto&) { return "<|"; }}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace fourfold
