#include "runtime/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace fourfold {
namespace {

using testing::HasSubstr;

constexpr float kForbidden = -std::numeric_limits<float>::infinity();
constexpr int kDraws = 20000;

// A constraint that allows fixed ids.
class FixedMask : public TokenMask {
 public:
  FixedMask(const std::vector<TokenId>& ids, int vocab_size)
      : words_(static_cast<std::size_t>(vocab_size + 63) / 64) {
    for (const TokenId id : ids) {
      words_[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
    }
  }

  std::span<const std::uint64_t> allowed() const override { return words_; }
  bool may_penalise(TokenId id) const override { return penalised_.contains(id); }
  Status commit(TokenId) override { return {}; }

  std::set<TokenId> penalised_;

 private:
  std::vector<std::uint64_t> words_;
};

std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

TokenId sample(const SampleOptions& options, const std::vector<float>& logits,
               const std::vector<TokenId>& history = {}, const TokenMask* mask = nullptr,
               const SamplerRules& rules = {}) {
  const auto token = Sampler(options, rules).sample(logits, history, 0, mask);
  EXPECT_TRUE(token.ok()) << token.error().message;
  return token->id;
}

// How often each token is drawn at the positions 0, 1, 2 …
std::map<TokenId, int> histogram(const SampleOptions& options, const std::vector<float>& logits,
                                 const TokenMask* mask = nullptr, const SamplerRules& rules = {}) {
  Sampler sampler(options, rules);
  std::map<TokenId, int> counts;
  for (int position = 0; position < kDraws; ++position) {
    ++counts[sampler.sample(logits, {}, position, mask).value().id];
  }
  return counts;
}

// Every token's count within 4.5 standard deviations of what its probability asks for.
void expect_distribution(const std::map<TokenId, int>& counts,
                         const std::map<TokenId, double>& probabilities) {
  for (const auto& [id, count] : counts) {
    EXPECT_TRUE(probabilities.contains(id)) << "token " << id << " drawn " << count << " times";
  }
  for (const auto& [id, p] : probabilities) {
    const auto found = counts.find(id);
    const int count = found == counts.end() ? 0 : found->second;
    EXPECT_NEAR(count, kDraws * p, 4.5 * std::sqrt(kDraws * p * (1 - p))) << "token " << id;
  }
}

TEST(Greedy, TakesTheLargestLogit) {
  EXPECT_EQ(sample({.temperature = 0.0f}, {1.0f, 3.0f, -2.0f, 2.0f}), 1);
}

TEST(Greedy, TakesTheLowestIdOnATie) {
  EXPECT_EQ(sample({.temperature = 0.0f}, {1.0f, 3.0f, 3.0f, 3.0f}), 1);
}

TEST(TopK, OfOneTakesTheLowestIdOnATie) {
  EXPECT_EQ(sample({.top_k = 1}, {1.0f, 3.0f, 3.0f, 3.0f}), 1);
}

const SampleOptions kNoFilter = {.top_k = 0, .top_p = 1.0f, .seed = 7};

TEST(Draw, FollowsTheDistribution) {
  const auto counts = histogram(kNoFilter, logits_of({0.5, 0.25, 0.15, 0.1}));
  expect_distribution(counts, {{0, 0.5}, {1, 0.25}, {2, 0.15}, {3, 0.1}});
}

TEST(Draw, FollowsTheDistributionOfSortedCandidatesToo) {
  SampleOptions options = kNoFilter;
  options.top_k = 4;
  const auto counts = histogram(options, logits_of({0.1, 0.5, 0.15, 0.25}));
  expect_distribution(counts, {{0, 0.1}, {1, 0.5}, {2, 0.15}, {3, 0.25}});
}

TEST(Draw, SharpensWithLowTemperature) {
  SampleOptions options = kNoFilter;
  options.temperature = 0.5f;  // squares the odds
  const auto counts = histogram(options, logits_of({0.6, 0.3, 0.1}));
  expect_distribution(counts, {{0, 0.36 / 0.46}, {1, 0.09 / 0.46}, {2, 0.01 / 0.46}});
}

TEST(Draw, DependsOnSeedAndPositionOnly) {
  constexpr int kPositions = 200;
  const auto logits = logits_of({0.3, 0.3, 0.2, 0.2});
  std::map<int, TokenId> forwards;
  std::map<int, TokenId> backwards;
  Sampler a(kNoFilter);
  for (int i = 0; i < kPositions; ++i) forwards[i] = a.sample(logits, {}, i, nullptr)->id;
  Sampler b(kNoFilter);
  for (int i = kPositions - 1; i >= 0; --i) backwards[i] = b.sample(logits, {}, i, nullptr)->id;
  EXPECT_EQ(forwards, backwards);

  SampleOptions other = kNoFilter;
  other.seed = 8;
  Sampler c(other);
  int n_equal = 0;
  for (int i = 0; i < kPositions; ++i) {
    n_equal += c.sample(logits, {}, i, nullptr)->id == forwards[i];
  }
  EXPECT_LT(n_equal, kPositions / 2);  // 26 % by chance
}

TEST(Draw, SurvivorsOfAFilterKeepTheirNoise) {
  // Where the unfiltered winner survives top_k, it wins there too: so a drafter's draw from a
  // similar distribution tends to be the target's.
  const auto logits = logits_of({0.3, 0.25, 0.2, 0.15, 0.1});
  Sampler all(kNoFilter);
  SampleOptions filtered = kNoFilter;
  filtered.top_k = 3;
  Sampler three(filtered);
  for (int position = 0; position < 500; ++position) {
    const auto winner = all.sample(logits, {}, position, nullptr)->id;
    if (winner >= 3) continue;
    ASSERT_EQ(three.sample(logits, {}, position, nullptr)->id, winner);
  }
}

TEST(TopK, KeepsTheBestAndRenormalises) {
  SampleOptions options = kNoFilter;
  options.top_k = 2;
  const auto counts = histogram(options, logits_of({0.1, 0.4, 0.2, 0.3}));
  expect_distribution(counts, {{1, 4.0 / 7}, {3, 3.0 / 7}});
}

TEST(TopK, KeepsLowIdsAmongEquals) {
  SampleOptions options = kNoFilter;
  options.top_k = 2;
  const auto counts = histogram(options, {1.0f, 1.0f, 1.0f, 0.0f});
  expect_distribution(counts, {{0, 0.5}, {1, 0.5}});
}

TEST(TopK, MayExceedTheVocabulary) {
  SampleOptions options = kNoFilter;
  options.top_k = 5000;
  const auto counts = histogram(options, logits_of({0.75, 0.25}));
  expect_distribution(counts, {{0, 0.75}, {1, 0.25}});
}

TEST(TopP, KeepsTheFewestThatReachIt) {
  SampleOptions options = kNoFilter;
  options.top_p = 0.6f;
  const auto counts = histogram(options, logits_of({0.1, 0.5, 0.15, 0.25}));
  expect_distribution(counts, {{1, 2.0 / 3}, {3, 1.0 / 3}});
}

TEST(TopP, CountsTheDistributionThatTopKLeaves) {
  SampleOptions options = kNoFilter;
  options.top_k = 3;
  options.top_p = 0.8f;  // of 0.4, 0.3, 0.1 renormalised: 0.5, 0.375, 0.125
  const auto counts = histogram(options, logits_of({0.4, 0.3, 0.1, 0.1, 0.1}));
  expect_distribution(counts, {{0, 4.0 / 7}, {1, 3.0 / 7}});
}

TEST(TopP, OfZeroLeavesTheBest) {
  SampleOptions options = kNoFilter;
  options.top_p = 0.0f;
  EXPECT_EQ(histogram(options, logits_of({0.3, 0.4, 0.3})).size(), 1u);
}

TEST(TopP, SeesFarIntoAFlatVocabulary) {
  // More candidates than the first batch that is sorted.
  constexpr int kVocab = 30000;
  SampleOptions options = kNoFilter;
  options.top_p = 0.5f;
  std::vector<float> logits;
  for (int i = 0; i < kVocab; ++i) logits.push_back(-1e-6f * static_cast<float>(i));
  Sampler sampler(options);
  TokenId largest = 0;
  for (int position = 0; position < 200; ++position) {
    largest = std::max(largest, sampler.sample(logits, {}, position, nullptr)->id);
  }
  EXPECT_LT(largest, 15000);
  EXPECT_GT(largest, 14000);
}

TEST(MinP, KeepsWhatIsNotFarBelowTheBest) {
  SampleOptions options = kNoFilter;
  options.min_p = 0.4f;
  const auto counts = histogram(options, logits_of({0.1, 0.5, 0.15, 0.25}));
  expect_distribution(counts, {{1, 2.0 / 3}, {3, 1.0 / 3}});
}

TEST(MinP, OfOneLeavesTheBest) {
  SampleOptions options = kNoFilter;
  options.min_p = 1.0f;
  EXPECT_EQ(histogram(options, logits_of({0.3, 0.4, 0.3})).size(), 1u);
}

TEST(Bias, ShiftsAndForbids) {
  SampleOptions options = kNoFilter;
  options.logit_bias = {{1, static_cast<float>(std::log(3.0))}, {2, kForbidden}};
  const auto counts = histogram(options, logits_of({0.25, 0.25, 0.5}));
  expect_distribution(counts, {{0, 0.25}, {1, 0.75}});
}

// Greedy with penalties shows the order of logits.
SampleOptions greedy_with(SampleOptions options) {
  options.temperature = 0.0f;
  return options;
}

TEST(RepeatPenalty, DividesPositiveAndMultipliesNegativeLogits) {
  const auto options = greedy_with({.repeat_penalty = 2.0f});
  EXPECT_EQ(sample(options, {4.0f, 1.9f, 2.1f}, {0}), 2);
  EXPECT_EQ(sample(options, {-1.0f, -2.1f, -1.9f}, {0}), 2);
}

TEST(PresencePenalty, CountsATokenOnce) {
  const auto options = greedy_with({.presence_penalty = 1.0f});
  EXPECT_EQ(sample(options, {4.0f, 3.1f, 2.9f}, {0, 0, 0}), 1);
  EXPECT_EQ(sample(options, {4.0f, 2.9f, 2.8f}, {0, 0, 0}), 0);
}

TEST(FrequencyPenalty, CountsEveryOccurrence) {
  const auto options = greedy_with({.frequency_penalty = 1.0f});
  EXPECT_EQ(sample(options, {4.0f, 1.1f, 0.0f}, {0, 0, 0}), 1);
  EXPECT_EQ(sample(options, {4.0f, 0.9f, 0.0f}, {0, 0, 0}), 0);
}

TEST(Penalties, LookBackOnlyOverTheWindow) {
  struct Case {
    int repeat_last_n;
    TokenId expected;
  };
  for (const auto [window, expected] :
       {Case{0, 0}, Case{3, 0}, Case{4, 2}, Case{100, 2}, Case{-1, 2}}) {
    const auto options = greedy_with({.repeat_last_n = window, .presence_penalty = 2.0f});
    EXPECT_EQ(sample(options, {4.0f, 3.0f, 2.5f}, {0, 1, 1, 1}), expected) << window;
  }
}

TEST(Penalties, SpareControlTokensAndForeignIds) {
  const auto options = greedy_with({.repeat_penalty = 10.0f});
  const SamplerRules rules = {.control_ids = {3, 0}};
  EXPECT_EQ(sample(options, {4.0f, 3.0f, 2.0f, 1.0f}, {0, 3, -1, 99}, nullptr, rules), 0);
}

TEST(Penalties, ActInConstrainedTextOnlyWhereTheMaskSaysSo) {
  const auto options = greedy_with({.repeat_penalty = 10.0f});
  FixedMask mask({0, 1, 2}, 3);
  EXPECT_EQ(sample(options, {4.0f, 3.0f, 2.0f}, {0, 1}, &mask), 0);
  mask.penalised_ = {0};
  EXPECT_EQ(sample(options, {4.0f, 3.0f, 2.0f}, {0, 1}, &mask), 1);
}

TEST(Penalties, AreForgottenAfterTheCall) {
  Sampler sampler(greedy_with({.presence_penalty = 2.0f}));
  const std::vector<float> logits = {4.0f, 3.0f};
  const std::vector<TokenId> history = {0};
  EXPECT_EQ(sampler.sample(logits, history, 0, nullptr)->id, 1);
  EXPECT_EQ(sampler.sample(logits, history, 0, nullptr)->id, 1);
  EXPECT_EQ(sampler.sample(logits, {}, 0, nullptr)->id, 0);
}

TEST(Mask, ComesBeforeTopK) {
  SampleOptions options = kNoFilter;
  options.top_k = 2;
  const FixedMask mask({2, 3, 4}, 5);
  const auto counts = histogram(options, logits_of({0.4, 0.3, 0.15, 0.1, 0.05}), &mask);
  expect_distribution(counts, {{2, 0.6}, {3, 0.4}});
}

TEST(Mask, ComesBeforeTopP) {
  SampleOptions options = kNoFilter;
  options.top_p = 0.5f;
  const FixedMask mask({1, 2, 3}, 4);
  const auto counts = histogram(options, logits_of({0.9, 0.04, 0.03, 0.03}), &mask);
  expect_distribution(counts, {{1, 4.0 / 7}, {2, 3.0 / 7}});
}

TEST(Mask, ReachesAllWordsOfALargeVocabulary) {
  std::vector<float> logits(1000, 5.0f);
  for (const TokenId id : {0, 63, 64, 500, 999}) {
    const FixedMask mask({id, 700}, 1000);
    auto peaked = logits;
    peaked[static_cast<std::size_t>(id)] = 6.0f;
    EXPECT_EQ(sample({.temperature = 0.0f}, peaked, {}, &mask), id);
  }
}

TEST(Mask, WithOneTokenForcesItWhateverElseForbidsIt) {
  const FixedMask mask({65}, 100);
  std::vector<float> logits(100, 1.0f);
  logits[65] = kForbidden;
  SampleOptions options;
  options.logit_bias = {{65, kForbidden}};
  EXPECT_EQ(sample(options, logits, {}, &mask, {.suppressed_ids = {65}}), 65);
}

TEST(Mask, WinsOverABiasThatForbidsAllItAllows) {
  const FixedMask mask({0, 1}, 3);
  SampleOptions options;
  options.logit_bias = {{0, kForbidden}, {1, kForbidden}};
  EXPECT_EQ(sample(options, {1.0f, 2.0f, 3.0f}, {}, &mask), 1);
}

TEST(Mask, ShorterThanTheVocabularyForbidsTheRest) {
  const FixedMask mask({3, 63}, 64);
  std::vector<float> logits(200, 5.0f);
  EXPECT_EQ(sample({.temperature = 0.0f}, logits, {}, &mask), 3);
}

TEST(Mask, WithoutWordsAllowsEverything) {
  const FixedMask mask({}, 0);
  EXPECT_EQ(sample({.temperature = 0.0f}, {1.0f, 2.0f}, {}, &mask), 1);
}

TEST(Mask, ThatAllowsNothingIsAnInternalError) {
  const FixedMask mask({}, 2);
  const auto token = Sampler({}).sample(std::vector<float>{1.0f, 2.0f}, {}, 0, &mask);
  ASSERT_FALSE(token.ok());
  EXPECT_EQ(token.error().code, Code::Internal);
}

TEST(Suppression, RemovesTokens) {
  const auto counts =
      histogram(kNoFilter, logits_of({0.5, 0.3, 0.2}), nullptr, {.suppressed_ids = {0, 77}});
  expect_distribution(counts, {{1, 0.6}, {2, 0.4}});
}

TEST(Logits, ThatAreNotNumbersAreAnInternalError) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const float temperature : {0.0f, 1.0f}) {
      Sampler sampler({.temperature = temperature, .n_logprobs = 2});
      const auto token = sampler.sample(std::vector<float>{1.0f, bad, 2.0f}, {}, 0, nullptr);
      ASSERT_FALSE(token.ok());
      EXPECT_EQ(token.error().code, Code::Internal);
      EXPECT_THAT(token.error().message, HasSubstr("token 1"));
    }
  }
}

TEST(Logits, ThatForbidEverythingOrAreNoneAreAnInternalError) {
  for (const auto& logits : {std::vector<float>(3, kForbidden), std::vector<float>{}}) {
    for (const SampleOptions& options :
         {SampleOptions{}, SampleOptions{.temperature = 0}, SampleOptions{.top_k = 0},
          SampleOptions{.top_k = 0, .top_p = 1}, SampleOptions{.n_logprobs = 1}}) {
      const auto token = Sampler(options).sample(logits, {}, 0, nullptr);
      ASSERT_FALSE(token.ok());
      EXPECT_EQ(token.error().code, Code::Internal);
    }
  }
}

TEST(Logprobs, AreOfTheModelsDistribution) {
  SampleOptions options = {.temperature = 0.3f, .top_k = 2, .n_logprobs = 2};
  options.logit_bias = {{3, 50.0f}};
  const FixedMask mask({2, 3}, 4);
  const auto token = Sampler(options).sample(logits_of({0.5, 0.25, 0.15, 0.1}), {}, 0, &mask);
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->id, 3);
  EXPECT_NEAR(token->logprob, std::log(0.1), 1e-6);
  ASSERT_EQ(token->top_logprobs.size(), 2u);
  EXPECT_EQ(token->top_logprobs[0].id, 0);
  EXPECT_EQ(token->top_logprobs[1].id, 1);
  EXPECT_NEAR(token->top_logprobs[1].logprob, std::log(0.25), 1e-6);
}

TEST(Logprobs, LeaveOutSuppressedTokens) {
  Sampler sampler({.temperature = 0.0f, .n_logprobs = 3}, {.suppressed_ids = {0}});
  const auto token = sampler.sample(logits_of({0.5, 0.3, 0.2}), {}, 0, nullptr);
  ASSERT_TRUE(token.ok());
  EXPECT_NEAR(token->logprob, std::log(0.6), 1e-6);
  EXPECT_EQ(token->top_logprobs.size(), 2u);
}

TEST(Logprobs, OfZeroAlternativesDescribeTheChosenToken) {
  const auto token = Sampler({.temperature = 0.0f, .n_logprobs = 0})
                         .sample(logits_of({0.25, 0.75}), {}, 0, nullptr);
  ASSERT_TRUE(token.ok());
  EXPECT_NEAR(token->logprob, std::log(0.75), 1e-6);
  EXPECT_TRUE(token->top_logprobs.empty());
}

TEST(Sampler, GivesTheSameTokenAsPlainSortingOnALargeVocabulary) {
  // The heap, its threshold and the sort against a full sort.
  std::mt19937 random(3);
  std::uniform_int_distribution<int> level(-40, 40);  // many ties
  std::vector<float> logits(20000);
  for (float& logit : logits) logit = static_cast<float>(level(random)) / 8;
  std::vector<TokenId> ids(logits.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<TokenId>(i);
  std::ranges::stable_sort(ids, [&](TokenId a, TokenId b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  for (const int n : {1, 64, 1024, 1025, 5000}) {
    const auto token = Sampler({.n_logprobs = n}).sample(logits, {}, 0, nullptr);
    ASSERT_TRUE(token.ok());
    std::vector<TokenId> best;
    for (const auto& top : token->top_logprobs) best.push_back(top.id);
    EXPECT_EQ(best, std::vector<TokenId>(ids.begin(), ids.begin() + n));
  }
}

TEST(CheckOptions, AcceptsDefaultsAndLimits) {
  EXPECT_TRUE(check_options({}, 10).ok());
  EXPECT_TRUE(check_options({.temperature = 0,
                             .top_k = 0,
                             .top_p = 0,
                             .min_p = 1,
                             .repeat_last_n = -1,
                             .logit_bias = {{9, kForbidden}}},
                            10)
                  .ok());
}

TEST(CheckOptions, NamesWhatIsOutOfRange) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Case {
    const char* name;
    SampleOptions options;
  };
  const Case cases[] = {
      {"temperature", {.temperature = -0.1f}},
      {"temperature", {.temperature = nan}},
      {"top_k", {.top_k = -1}},
      {"top_p", {.top_p = 1.5f}},
      {"min_p", {.min_p = nan}},
      {"repeat_penalty", {.repeat_penalty = 0.0f}},
      {"repeat_last_n", {.repeat_last_n = -2}},
      {"presence_penalty", {.presence_penalty = std::numeric_limits<float>::infinity()}},
      {"frequency_penalty", {.frequency_penalty = nan}},
      {"logit_bias", {.logit_bias = {{10, 1.0f}}}},
      {"logit_bias", {.logit_bias = {{1, nan}}}},
      {"logprobs", {.n_logprobs = 11}},
  };
  for (const auto& c : cases) {
    const auto status = check_options(c.options, 10);
    ASSERT_FALSE(status.ok()) << c.name;
    EXPECT_EQ(status.error().code, Code::InvalidArgument);
    EXPECT_THAT(status.error().message, testing::StartsWith(c.name));
  }
}

// --- descriptions ---

TEST(Descriptions, TellEntropyAndWhatTheConstraintDid) {
  const auto logits = logits_of({0.5, 0.25, 0.25});
  Sampler sampler({.temperature = 0, .n_logprobs = 1, .describe = true});
  const auto describe = [&](const TokenMask* mask) {
    return *sampler.sample(logits, {}, 0, mask)->description;
  };
  EXPECT_NEAR(describe(nullptr).entropy, 1.5 * std::log(2.0), 1e-6);
  EXPECT_FALSE(describe(nullptr).is_forced || describe(nullptr).is_masked);
  const FixedMask likely({0, 1}, 3), unlikely({1, 2}, 3), only({2}, 3);
  EXPECT_FALSE(describe(&likely).is_forced || describe(&likely).is_masked);
  EXPECT_TRUE(!describe(&unlikely).is_forced && describe(&unlikely).is_masked);
  EXPECT_TRUE(describe(&only).is_forced && describe(&only).is_masked);
}

TEST(Descriptions, AreMadeOnlyWhenAskedFor) {
  Sampler sampler({.n_logprobs = 1});
  EXPECT_FALSE(sampler.sample(logits_of({0.5, 0.5}), {}, 0, nullptr)->description.has_value());
}

}  // namespace
}  // namespace fourfold
