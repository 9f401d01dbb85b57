#include "engine/eval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "formats/golden.h"
#include "formats/test_files.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using testing_files::Bytes;
using testing_files::TempFolder;

// --- The base file ---

// Three tokens, so that the record ends in a word that no token has: logits 1, 0 and −47.
TEST(BaseRecord, EqualsTheOneComputedByHand) {
  const std::array<float, 3> logits = {1.0f, 0.0f, -47.0f};
  std::array<std::uint16_t, 8> words;
  words.fill(0xFFFF);
  encode_record(logits, words);

  // The floor is 1 − 24 = −23, a step 24 / 65535; logit 0 is 23 · 65535 / 24 = 62804.375 steps
  // above it. ln(e + 1 + e^−47) = 1.3132617.
  float scale, min;
  std::memcpy(&scale, words.data(), sizeof scale);
  std::memcpy(&min, words.data() + 2, sizeof min);
  EXPECT_FLOAT_EQ(scale, 24.0f / 65'535.0f);
  EXPECT_FLOAT_EQ(min, -23.0f - 1.3132617f);
  EXPECT_EQ(words[4], 65'535);
  EXPECT_EQ(words[5], 62'804);
  EXPECT_EQ(words[6], 0);
  EXPECT_EQ(words[7], 0);

  const BaseRecord record = decode_record(words, 3);
  EXPECT_NEAR(record.log_probability(0), -0.3132617, 1e-5);
  EXPECT_NEAR(record.log_probability(1), -1.3132617, 24.0 / 65'535 / 2 + 1e-5);
  EXPECT_NEAR(record.log_probability(2), -24.3132617, 1e-5);
}

TEST(BaseRecord, HoldsEqualLogits) {
  const std::array<float, 4> logits = {2.5f, 2.5f, 2.5f, 2.5f};
  std::array<std::uint16_t, 8> words;
  encode_record(logits, words);
  const BaseRecord record = decode_record(words, 4);
  for (TokenId id = 0; id < 4; ++id) {
    EXPECT_NEAR(record.log_probability(id), std::log(0.25), 1e-6);
  }
}

TEST(BaseRecord, HoldsMaskedLogits) {
  const std::array<float, 2> logits = {0.0f, -INFINITY};
  std::array<std::uint16_t, 6> words;
  encode_record(logits, words);
  const BaseRecord record = decode_record(words, 2);
  EXPECT_NEAR(record.log_probability(0), 0.0, 1e-6);
  EXPECT_NEAR(record.log_probability(1), -24.0, 1e-6);
}

// A window of 4 tokens over a vocabulary of 3 has one scored position: token 2 predicts token 3.
const BaseHeader kTinyHeader = {
    .window = 4, .vocab_size = 3, .n_windows = 1, .tokens = {2, 0, 1, 1}};
const std::array<float, 3> kTinyLogits = {1.0f, 0.0f, -47.0f};

// The bytes of that file, written down as the format says.
ByteWriter tiny_file() {
  ByteWriter file;
  file.raw("_logits_").number<std::int32_t>(4).number<std::int32_t>(3).number<std::int32_t>(1);
  for (const std::int32_t token : {2, 0, 1, 1}) file.number(token);
  file.number(24.0f / 65'535.0f).number(-23.0f - 1.3132617f);
  for (const std::uint16_t word : {65'535, 62'804, 0, 0}) file.number(word);
  return file;
}

TEST(BaseFile, IsWrittenAsTheFormatSays) {
  const TempFolder folder;
  const std::string path = folder.file("base.kld");
  {
    auto writer = BaseWriter::create(path, kTinyHeader);
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    ASSERT_TRUE(writer->add(kTinyLogits).ok());
    EXPECT_FALSE(std::filesystem::exists(path)) << "before commit";
    ASSERT_TRUE(writer->commit().ok());
  }
  const auto file = MappedFile::open(path);
  ASSERT_TRUE(file.ok());
  const Bytes expected = tiny_file().bytes;
  EXPECT_EQ(Bytes((*file)->bytes().begin(), (*file)->bytes().end()), expected);
}

TEST(BaseFile, LeavesNothingWithoutCommit) {
  const TempFolder folder;
  { ASSERT_TRUE(BaseWriter::create(folder.file("base.kld"), kTinyHeader).ok()); }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(BaseFile, IsReadAsTheFormatSays) {
  const TempFolder folder;
  auto reader = BaseReader::open(folder.write("base.kld", tiny_file().bytes));
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  EXPECT_EQ(reader->header().window, 4);
  EXPECT_EQ(reader->header().vocab_size, 3);
  EXPECT_EQ(reader->header().n_windows, 1);
  EXPECT_EQ(reader->header().tokens, kTinyHeader.tokens);
  const auto record = reader->read(0);
  ASSERT_TRUE(record.ok());
  EXPECT_NEAR(record->log_probability(0), -0.3132617, 1e-5);
}

TEST(BaseFile, IsRefusedWhenMalformed) {
  const Bytes sound = tiny_file().bytes;
  const auto spoilt = [&](std::size_t at, std::int32_t value) {
    Bytes bytes = sound;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    return bytes;
  };
  const auto cut = [&](std::size_t n) { return Bytes(sound.begin(), sound.begin() + n); };
  constexpr std::size_t kWindow = 8, kVocab = 12, kWindows = 16, kFirstToken = 20;
  const Bytes kCases[] = {
      cut(0),
      cut(19),
      cut(40),
      cut(sound.size() - 2),
      spoilt(0, 0),
      spoilt(kWindow, 3),
      spoilt(kWindow, -4),
      spoilt(kVocab, 0),
      spoilt(kVocab, 2'147'483'647),
      spoilt(kWindows, 2),
      spoilt(kWindows, 2'147'483'647),
      spoilt(kFirstToken, 3),
      spoilt(kFirstToken, -1),
  };
  const TempFolder folder;
  for (const Bytes& bytes : kCases) {
    const auto reader = BaseReader::open(folder.write("base.kld", bytes));
    ASSERT_FALSE(reader.ok()) << "case " << &bytes - kCases;
    EXPECT_EQ(reader.error().code, Code::DataLoss);
    EXPECT_THAT(reader.error().message, HasSubstr("base.kld"));
  }
}

TEST(BaseFile, WithAScaleThatIsNoNumberIsRefused) {
  Bytes bytes = tiny_file().bytes;
  const float nan = NAN;
  constexpr std::size_t kScale = 20 + 4 * sizeof(TokenId);
  std::memcpy(bytes.data() + kScale, &nan, sizeof nan);
  const TempFolder folder;
  auto reader = BaseReader::open(folder.write("base.kld", bytes));
  ASSERT_TRUE(reader.ok());
  EXPECT_FALSE(reader->read(0).ok());
}

// --- Whole evaluations of a small random body ---

constexpr int kWindow = 64;  // 31 scored positions

class Evaluate : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto opened = Engine::open(
        golden_path("text/gemma3/model.gguf"),
        {.n_threads = 1, .kv_ring = KvType::F32, .kv_global = KvType::F32, .exact = true});
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    engine_ = std::move(*opened).release();
  }
  static void TearDownTestSuite() {
    delete engine_;
    engine_ = nullptr;
  }

  void SetUp() override { ASSERT_NE(engine_, nullptr); }

  static EvalReport must_evaluate(std::string_view text, const EvalOptions& options) {
    auto report = evaluate(*engine_, text, options);
    if (!report.ok()) {
      ADD_FAILURE() << report.error().message;
      return {};
    }
    return *report;
  }

  // Enough for four windows: its characters are tokens.
  static std::string long_text() {
    std::string text;
    for (int i = 0; text.size() < 5 * kWindow; ++i) text += fmt::format("{} is not {}. ", i, i * i);
    return text;
  }

  static Engine* engine_;
};

Engine* Evaluate::engine_ = nullptr;

// Computed a second time by the engine's own logits.
TEST_F(Evaluate, ScoresTheSecondHalfOfEachWindowAfterBos) {
  const std::string text = long_text();
  const EvalReport report = must_evaluate(text, {.window = kWindow});

  const Tokenizer& tokenizer = **engine_->tokenizer();
  const auto tokens = tokenizer.with_bos(tokenizer.encode(text, Trust::Untrusted));
  EXPECT_EQ(report.n_tokens, static_cast<std::int64_t>(tokens.size()));
  double sum = 0.0, sum_squares = 0.0;
  std::int64_t n = 0;
  for (std::size_t begin = 0; begin + kWindow <= tokens.size(); begin += kWindow) {
    LogitsRequest request;
    request.ids.assign(tokens.begin() + begin, tokens.begin() + begin + kWindow);
    request.ids[0] = tokenizer.control().bos;
    request.nll = true;
    const auto logits = engine_->logits(request);
    ASSERT_TRUE(logits.ok());
    for (int i = kWindow / 2; i < kWindow - 1; ++i, ++n) {
      const double nll = logits->nll[static_cast<std::size_t>(i)];
      sum += nll;
      sum_squares += nll * nll;
    }
  }
  const double mean = sum / static_cast<double>(n);
  const double variance = sum_squares / static_cast<double>(n) - mean * mean;
  EXPECT_EQ(report.n_scored, n);
  EXPECT_NEAR(report.mean_nll, mean, 1e-5);
  EXPECT_NEAR(report.perplexity, std::exp(mean), 1e-5 * std::exp(mean));
  EXPECT_NEAR(report.perplexity_stderr,
              std::exp(mean) * std::sqrt(variance / static_cast<double>(n - 1)),
              1e-3 * report.perplexity_stderr);
  EXPECT_FALSE(report.base);
}

TEST_F(Evaluate, FindsNoDivergenceFromItsOwnBase) {
  const TempFolder folder;
  const std::string base = folder.file("own.kld");
  const EvalReport saved = must_evaluate(long_text(), {.window = kWindow, .save_base_path = base});
  const EvalReport report = must_evaluate(long_text(), {.base_path = base});
  EXPECT_EQ(report.mean_nll, saved.mean_nll);
  EXPECT_GE(report.n_scored, kMinComparedPositions);
  ASSERT_TRUE(report.base);
  EXPECT_LT(std::abs(report.base->kld.mean), 1e-6);
  EXPECT_LT(report.base->kld.max, 1e-4);
  EXPECT_EQ(report.base->same_top, 1.0);
  EXPECT_LT(report.base->delta_p_rms, 1e-4);
}

TEST_F(Evaluate, TakesTheTokensOfTheBaseWhenThereIsNoText) {
  const TempFolder folder;
  const std::string base = folder.file("own.kld");
  const EvalReport saved = must_evaluate(long_text(), {.window = kWindow, .save_base_path = base});
  const EvalReport report = must_evaluate("", {.base_path = base});
  EXPECT_EQ(report.n_scored, saved.n_scored);
  EXPECT_EQ(report.mean_nll, saved.mean_nll);
}

// A base that says the same of every token: the divergence is that of the uniform distribution.
TEST_F(Evaluate, MeasuresTheDivergenceFromAnotherBase) {
  const std::string text = long_text();
  const Tokenizer& tokenizer = **engine_->tokenizer();
  BaseHeader header{.window = kWindow,
                    .vocab_size = engine_->config().text.vocab_size,
                    .n_windows = 4,
                    .tokens = tokenizer.with_bos(tokenizer.encode(text, Trust::Untrusted))};
  header.tokens.resize(4 * kWindow);
  const auto V = static_cast<std::size_t>(header.vocab_size);
  const TempFolder folder;
  const std::string path = folder.file("uniform.kld");
  {
    auto writer = BaseWriter::create(path, header);
    ASSERT_TRUE(writer.ok());
    const std::vector<float> equal(V, 1.0f);
    for (std::int64_t i = 0; i < header.n_records(); ++i) ASSERT_TRUE(writer->add(equal).ok());
    ASSERT_TRUE(writer->commit().ok());
  }
  const EvalReport report = must_evaluate(text, {.base_path = path});

  // Σ_v (1 / V) · (−ln V − ln q_v) at each position, and (q − 1 / V) of the text's token.
  std::vector<double> klds;
  double sum_squares = 0.0;
  for (std::int64_t w = 0; w < header.n_windows; ++w) {
    LogitsRequest request;
    request.ids.assign(header.tokens.begin() + w * kWindow,
                       header.tokens.begin() + (w + 1) * kWindow);
    request.ids[0] = tokenizer.control().bos;
    for (int i = kWindow / 2; i < kWindow - 1; ++i) request.positions.push_back(i);
    const auto logits = engine_->logits(request);
    ASSERT_TRUE(logits.ok());
    for (std::size_t r = 0; r < request.positions.size(); ++r) {
      const float* row = logits->logits.data() + r * V;
      double sum_exp = 0.0, sum = 0.0;
      for (std::size_t v = 0; v < V; ++v) {
        sum_exp += std::exp(static_cast<double>(row[v]));
        sum += row[v];
      }
      const double log_V = std::log(static_cast<double>(V));
      klds.push_back(-log_V - sum / static_cast<double>(V) + std::log(sum_exp));
      const auto next = static_cast<std::size_t>(request.ids[kWindow / 2 + r + 1]);
      const double delta = std::exp(static_cast<double>(row[next])) / sum_exp - std::exp(-log_V);
      sum_squares += delta * delta;
    }
  }
  ASSERT_TRUE(report.base);
  ASSERT_EQ(klds.size(), 124u);
  std::ranges::sort(klds);
  double mean = 0.0;
  for (const double kld : klds) mean += kld / 124.0;
  double variance = 0.0;
  for (const double kld : klds) variance += (kld - mean) * (kld - mean) / 124.0;
  const KldStatistics& kld = report.base->kld;
  constexpr double kTolerance = 1e-5;
  EXPECT_NEAR(kld.mean, mean, kTolerance);
  EXPECT_NEAR(kld.standard_error, std::sqrt(variance / 123.0), kTolerance);
  EXPECT_NEAR(kld.max, klds[123], kTolerance);
  EXPECT_NEAR(kld.median, (klds[61] + klds[62]) / 2, kTolerance);
  EXPECT_NEAR(kld.p99, 0.23 * klds[121] + 0.77 * klds[122], kTolerance);      // at 121.77
  EXPECT_NEAR(kld.p99_9, 0.123 * klds[122] + 0.877 * klds[123], kTolerance);  // at 122.877
  EXPECT_NEAR(report.base->delta_p_rms, std::sqrt(sum_squares / 124.0), kTolerance);
  EXPECT_EQ(report.base->same_top, 1.0);  // all tokens are the base's best one
}

TEST_F(Evaluate, MakesNoStatisticsOfFewPositions) {
  const TempFolder folder;
  const std::string base = folder.file("short.kld");
  const std::string text = long_text().substr(0, 2 * kWindow);
  must_evaluate(text, {.window = kWindow, .save_base_path = base});
  EXPECT_FALSE(must_evaluate(text, {.base_path = base}).base);
}

TEST_F(Evaluate, RefusesWhatCannotBeScored) {
  const TempFolder folder;
  const std::string base = folder.file("base.kld");
  must_evaluate(long_text(), {.window = kWindow, .save_base_path = base});
  const std::string tiny = folder.write("tiny.kld", tiny_file().bytes);
  std::string other_text = long_text();
  other_text[100] ^= 1;
  const std::int64_t context = engine_->context();
  const struct {
    std::string text;
    EvalOptions options;
    const char* says;
  } kCases[] = {
      {"", {}, "empty"},
      {"a few words", {.window = kWindow}, "one window needs 64"},
      {long_text(), {.window = 3}, "window of 3"},
      {long_text(), {.window = static_cast<int>(context) + 1}, "the context"},
      {other_text, {.base_path = base}, "the same text"},
      {"short", {.base_path = base}, "the text has"},
      {long_text(), {.window = 32, .base_path = base}, "windows of 64"},
      {long_text(), {.base_path = tiny}, "logits of 3 tokens"},
      {long_text(), {.base_path = folder.file("absent.kld")}, "absent.kld"},
      {long_text(), {.window = kWindow, .save_base_path = folder.file("no/base.kld")}, "no/base"},
  };
  for (const auto& c : kCases) {
    const auto report = evaluate(*engine_, c.text, c.options);
    ASSERT_FALSE(report.ok()) << c.says;
    EXPECT_THAT(report.error().message, HasSubstr(c.says));
  }
}

TEST_F(Evaluate, StopsWhenTold) {
  const TempFolder folder;
  std::vector<std::int64_t> done;
  const auto report = evaluate(*engine_, long_text(),
                               {.window = kWindow,
                                .save_base_path = folder.file("base.kld"),
                                .progress = [&](std::int64_t n, std::int64_t) {
                                  done.push_back(n);
                                  return n < 2;
                                }});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, Code::Cancelled);
  EXPECT_THAT(done, testing::ElementsAre(0, 1, 1, 2));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace fourfold
