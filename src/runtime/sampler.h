// Logits to the next token: constraint, bias, penalties, temperature, filters, draw.
//
//   Sampler sampler({.temperature = 0.7f, .seed = 42}, rules);
//   const auto token = TRY(sampler.sample(logits, history, position, nullptr));
//
// The draw at a position depends on the seed and the position only: draft verification, batching
// and other sequences do not change it. Each candidate x runs a race that takes it
// −log(u) / p(x), u = uniform(seed, position, x), and the fastest one wins: an exact draw from p. A
// drafter that draws from its own p with the same seed and position meets the same u, and so agrees
// more often.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "grammar/token_mask.h"
#include "tokenizer/token_id.h"

namespace fourfold {

struct LogitBias {
  TokenId id = 0;
  float bias = 0.0f;  // added to the logit; −infinity forbids
};

// The values in which a setting does nothing are named behind it.
struct SampleOptions {
  float temperature = 1.0f;     // 0: greedy, the largest logit and the lowest id on a tie
  int top_k = 64;               // 0: off
  float top_p = 0.95f;          // 1: off
  float min_p = 0.0f;           // 0: off
  float repeat_penalty = 1.0f;  // 1: off; divides positive logits, multiplies negative ones
  int repeat_last_n = 64;  // the window of all three penalties; 0: none, −1: the whole history
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  std::vector<LogitBias> logit_bias = {};
  std::uint64_t seed = 0;
  int n_logprobs = -1;    // −1: none, 0: of the chosen token, N: also of the N most likely ones
  bool describe = false;  // SampledToken::description, for traces; with logprobs only
};

// InvalidArgument naming the option, its value and its range.
Status check_options(const SampleOptions& options, int vocab_size);

// What a model and its vocabulary ask of every sampler.
struct SamplerRules {
  std::vector<TokenId> suppressed_ids = {};  // never sampled, not part of the distribution
  std::vector<TokenId> control_ids = {};     // never penalised: history must not wear them out
};

struct TokenLogprob {
  TokenId id = kNoToken;
  float logprob = 0.0f;
};

// How a token came to be, for traces.
struct TokenDescription {
  float entropy = 0.0f;    // nats, of the model's distribution
  bool is_forced = false;  // the constraint allowed no other token
  bool is_masked = false;  // the constraint forbade the most likely token
};

struct SampledToken {
  TokenId id = kNoToken;
  float logprob = 0.0f;  // of the model's distribution, before constraint, bias and filters
  std::vector<TokenLogprob> top_logprobs = {};  // most likely first
  std::optional<TokenDescription> description = {};
};

// One sequence's sampler. It owns scratch memory and no state that outlives a call, so a call may
// be repeated and gives the same token. One thread at a time.
class Sampler {
 public:
  // `options` have passed check_options.
  explicit Sampler(SampleOptions options, SamplerRules rules = {});

  // `logits` [V] are the model's final ones (soft-capped), `history` the tokens so far, `position`
  // that of the token to be chosen; `mask` may be null. Internal for logits that are not numbers
  // and for a mask that allows nothing.
  Result<SampledToken> sample(std::span<const float> logits, std::span<const TokenId> history,
                              std::int64_t position, const TokenMask* mask);

  const SampleOptions& options() const { return options_; }
  // From here on draws by these options, which have passed check_options; the old ones come back.
  // So one sampler, and its scratch, serves many sequences.
  void swap_options(SampleOptions& options) { std::swap(options_, options); }

 private:
  struct Candidate {
    float logit = 0.0f;
    TokenId id = kNoToken;
    double weight = 0.0;  // e^((logit − largest) / temperature)
  };
  // The larger logit, then the lower id.
  struct IsBetter {
    bool operator()(const Candidate& a, const Candidate& b) const {
      return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
    }
  };

  Status load_logits(std::span<const float> logits);
  double log_sum_exp() const;
  std::vector<TokenLogprob> top_logprobs(double log_total);
  TokenDescription describe(double log_total, const TokenMask* mask) const;

  Result<TokenId> choose(std::span<const float> logits, std::span<const TokenId> history,
                         std::int64_t position, const TokenMask* mask);
  void apply_mask(std::span<const std::uint64_t> allowed);
  void apply_bias();
  void apply_penalties(std::span<const TokenId> history, const TokenMask* mask);
  void penalise(TokenId id, std::int32_t count);

  // kNoToken when everything is forbidden.
  TokenId find_largest() const;
  TokenId draw(std::int64_t position);

  // These fill candidates_ from logits_.
  void filter();
  void filter_by_probability();
  void select_best(std::size_t n);
  void select_all();

  double weigh_candidates();
  std::size_t count_kept(double total) const;
  bool is_token(TokenId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < logits_.size();
  }

  SampleOptions options_;
  SamplerRules rules_;

  // Scratch, kept so that the token loop allocates nothing.
  std::vector<float> logits_;          // [V] after the stages so far; −infinity: forbidden
  std::vector<Candidate> candidates_;  // best first; by id when there is no filter
  std::vector<std::int32_t> counts_;   // [V] zero between calls
};

}  // namespace fourfold
