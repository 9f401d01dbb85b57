#include "runtime/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "base/math.h"
#include "base/random.h"

namespace fourfold {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

// Up to this size a heap of the best beats sorting.
constexpr std::size_t kLargestHeap = 1024;

// Without top_k this many candidates are sorted first; more only if their probability is needed.
constexpr std::size_t kFirstCandidates = 512;
constexpr std::size_t kGrowth = 8;

std::size_t index(TokenId id) { return static_cast<std::size_t>(id); }

// The lowest allowed id from `begin` on; vocab_size if there is none.
TokenId next_allowed(std::span<const std::uint64_t> allowed, TokenId begin, TokenId vocab_size) {
  for (auto id = begin; id < vocab_size; id = (id / 64 + 1) * 64) {
    const auto word = static_cast<std::size_t>(id) / 64;
    if (word >= allowed.size()) break;
    const std::uint64_t rest = allowed[word] >> (id % 64);
    if (rest != 0) return std::min(vocab_size, id + std::countr_zero(rest));
  }
  return vocab_size;
}

// The most likely allowed id, the lowest on a tie; at least one id is allowed.
TokenId best_allowed(std::span<const float> logits, std::span<const std::uint64_t> allowed) {
  const auto vocab_size = static_cast<TokenId>(logits.size());
  TokenId best = next_allowed(allowed, 0, vocab_size);
  for (auto id = best; id < vocab_size; id = next_allowed(allowed, id + 1, vocab_size)) {
    if (logits[index(id)] > logits[index(best)]) best = id;
  }
  return best;
}

bool contains(const std::vector<TokenId>& sorted_ids, TokenId id) {
  return std::ranges::binary_search(sorted_ids, id);
}

bool has_penalties(const SampleOptions& o) {
  return o.repeat_last_n != 0 &&
         (o.repeat_penalty != 1.0f || o.presence_penalty != 0.0f || o.frequency_penalty != 0.0f);
}

Status check_range(const char* name, float value, float lowest, float highest) {
  if (value >= lowest && value <= highest) return {};
  return invalid_argument("{}: {} is not between {} and {}", name, value, lowest, highest);
}

}  // namespace

Status check_options(const SampleOptions& o, int vocab_size) {
  // Wide enough for everybody, narrow enough that no logit overflows.
  constexpr float kWide = 1e6f;
  TRY(check_range("temperature", o.temperature, 0.0f, kWide));
  TRY(check_range("top_p", o.top_p, 0.0f, 1.0f));
  TRY(check_range("min_p", o.min_p, 0.0f, 1.0f));
  TRY(check_range("repeat_penalty", o.repeat_penalty, 1 / kWide, kWide));
  TRY(check_range("presence_penalty", o.presence_penalty, -kWide, kWide));
  TRY(check_range("frequency_penalty", o.frequency_penalty, -kWide, kWide));
  if (o.top_k < 0) return invalid_argument("top_k: {} is negative (0 is off)", o.top_k);
  if (o.repeat_last_n < -1) {
    return invalid_argument("repeat_last_n: {} is below -1 (the whole history)", o.repeat_last_n);
  }
  if (o.n_logprobs < -1 || o.n_logprobs > vocab_size) {
    return invalid_argument("logprobs: {} is not between 0 and {}", o.n_logprobs, vocab_size);
  }
  for (const auto [id, bias] : o.logit_bias) {
    if (id < 0 || id >= vocab_size) {
      return invalid_argument("logit_bias: there is no token {} (0 to {})", id, vocab_size - 1);
    }
    if (bias != kForbidden) TRY(check_range("logit_bias", bias, -kWide, kWide));
  }
  return {};
}

Sampler::Sampler(SampleOptions options, SamplerRules rules)
    : options_(std::move(options)), rules_(std::move(rules)) {
  std::ranges::sort(rules_.suppressed_ids);
  std::ranges::sort(rules_.control_ids);
}

Result<SampledToken> Sampler::sample(std::span<const float> logits,
                                     std::span<const TokenId> history, std::int64_t position,
                                     const TokenMask* mask) {
  TRY(load_logits(logits));
  SampledToken token;
  if (options_.n_logprobs < 0) {
    token.id = TRY(choose(logits, history, position, mask));
    return token;
  }
  const double log_total = log_sum_exp();
  token.top_logprobs = top_logprobs(log_total);
  if (options_.describe) token.description = describe(log_total, mask);
  token.id = TRY(choose(logits, history, position, mask));
  token.logprob = static_cast<float>(logits[index(token.id)] - log_total);
  return token;
}

Status Sampler::load_logits(std::span<const float> logits) {
  const auto is_number = [](float x) { return x <= std::numeric_limits<float>::max(); };
  const auto bad = std::ranges::find_if_not(logits, is_number);
  if (bad != logits.end()) {
    return internal_error("the logit of token {} is {}", bad - logits.begin(), *bad);
  }
  logits_.assign(logits.begin(), logits.end());
  for (const TokenId id : rules_.suppressed_ids) {
    if (is_token(id)) logits_[index(id)] = kForbidden;
  }
  return {};
}

// --- log probabilities ---

double Sampler::log_sum_exp() const {
  const TokenId id = find_largest();
  if (id == kNoToken) return 0.0;
  const float largest = logits_[index(id)];
  return largest + math::log(math::sum_exp(logits_, largest, 1.0));
}

std::vector<TokenLogprob> Sampler::top_logprobs(double log_total) {
  select_best(static_cast<std::size_t>(options_.n_logprobs));
  std::vector<TokenLogprob> top;
  top.reserve(candidates_.size());
  for (const auto& c : candidates_) {
    top.push_back({c.id, static_cast<float>(c.logit - log_total)});
  }
  return top;
}

TokenDescription Sampler::describe(double log_total, const TokenMask* mask) const {
  double entropy = 0.0;
  for (const float logit : logits_) {
    if (logit == kForbidden) continue;
    const double logprob = logit - log_total;
    entropy -= math::exp(logprob) * logprob;
  }
  TokenDescription description{.entropy = static_cast<float>(entropy)};
  const auto allowed = mask ? mask->allowed() : std::span<const std::uint64_t>{};
  if (allowed.empty()) return description;
  const auto vocab_size = static_cast<TokenId>(logits_.size());
  const TokenId first = next_allowed(allowed, 0, vocab_size);
  description.is_forced = next_allowed(allowed, first + 1, vocab_size) == vocab_size;
  description.is_masked = !has_id(allowed, find_largest());
  return description;
}

// --- what changes logits ---

Result<TokenId> Sampler::choose(std::span<const float> logits, std::span<const TokenId> history,
                                std::int64_t position, const TokenMask* mask) {
  const auto vocab_size = static_cast<TokenId>(logits.size());
  const auto allowed = mask ? mask->allowed() : std::span<const std::uint64_t>{};
  if (!allowed.empty()) {
    const TokenId first = next_allowed(allowed, 0, vocab_size);
    if (first == vocab_size) return internal_error("the constraint allows no token");
    const bool is_only = next_allowed(allowed, first + 1, vocab_size) == vocab_size;
    if (is_only) return first;
    apply_mask(allowed);
  }
  apply_bias();
  apply_penalties(history, mask);
  const TokenId id = options_.temperature == 0.0f ? find_largest() : draw(position);
  if (id != kNoToken) return id;
  // Suppression and bias forbid all that the constraint allows: the constraint wins.
  if (!allowed.empty()) return best_allowed(logits, allowed);
  return internal_error("every token is forbidden");
}

void Sampler::apply_mask(std::span<const std::uint64_t> allowed) {
  for (std::size_t begin = 0; begin < logits_.size(); begin += 64) {
    const std::size_t n = std::min<std::size_t>(64, logits_.size() - begin);
    const std::uint64_t word = begin / 64 < allowed.size() ? allowed[begin / 64] : 0;
    if (word == 0) {  // the usual case
      std::fill_n(logits_.data() + begin, n, kForbidden);
      continue;
    }
    for (std::uint64_t rest = ~word; rest != 0; rest &= rest - 1) {
      const auto bit = static_cast<std::size_t>(std::countr_zero(rest));
      if (bit < n) logits_[begin + bit] = kForbidden;
    }
  }
}

void Sampler::apply_bias() {
  for (const auto [id, bias] : options_.logit_bias) {
    if (is_token(id)) logits_[index(id)] += bias;
  }
}

void Sampler::apply_penalties(std::span<const TokenId> history, const TokenMask* mask) {
  if (!has_penalties(options_)) return;
  counts_.resize(logits_.size());
  auto window = history;
  const auto last_n = static_cast<std::size_t>(options_.repeat_last_n);
  if (options_.repeat_last_n >= 0 && last_n < history.size()) window = history.last(last_n);
  for (const TokenId id : window) {
    if (is_token(id)) ++counts_[index(id)];
  }
  for (const TokenId id : window) {
    if (!is_token(id)) continue;
    const auto count = std::exchange(counts_[index(id)], 0);
    if (count == 0 || contains(rules_.control_ids, id)) continue;
    if (!mask || mask->may_penalise(id)) penalise(id, count);
  }
}

void Sampler::penalise(TokenId id, std::int32_t count) {
  float& logit = logits_[index(id)];
  // Dividing a negative logit would make the token more likely.
  logit = logit > 0.0f ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
  logit -= options_.presence_penalty + options_.frequency_penalty * static_cast<float>(count);
}

// --- choice ---

TokenId Sampler::find_largest() const {
  TokenId id = kNoToken;
  float largest = kForbidden;
  for (std::size_t i = 0; i < logits_.size(); ++i) {
    if (logits_[i] <= largest) continue;  // of equals the lowest id stays
    largest = logits_[i];
    id = static_cast<TokenId>(i);
  }
  return id;
}

TokenId Sampler::draw(std::int64_t position) {
  filter();
  if (candidates_.size() == 1) return candidates_[0].id;
  TokenId winner = kNoToken;
  double fastest = 0.0;  // the largest weight / −log(u)
  for (const auto& c : candidates_) {
    const double u = uniform(options_.seed, static_cast<std::uint64_t>(position),
                             static_cast<std::uint64_t>(c.id));
    // −log(u) is at least 1 − u, so most candidates lose without a logarithm.
    if (c.weight <= fastest * (1.0 - u)) continue;
    const double speed = c.weight / -math::log(u);
    if (speed <= fastest) continue;
    fastest = speed;
    winner = c.id;
  }
  return winner;
}

// --- filters ---

void Sampler::filter() {
  if (options_.top_k > 0) {
    select_best(static_cast<std::size_t>(options_.top_k));
    const double total = weigh_candidates();
    candidates_.resize(count_kept(total));
  } else if (options_.top_p < 1.0f || options_.min_p > 0.0f) {
    filter_by_probability();
  } else {
    select_all();
    weigh_candidates();
  }
}

// Both filters keep the best few, so sorting may stop behind the last one that is kept.
void Sampler::filter_by_probability() {
  const TokenId best = find_largest();
  if (best == kNoToken) return candidates_.clear();
  const double total = math::sum_exp(logits_, logits_[index(best)], 1.0 / options_.temperature);
  for (auto n = kFirstCandidates;; n *= kGrowth) {
    select_best(n);
    weigh_candidates();
    const std::size_t n_kept = count_kept(total);
    if (n_kept == candidates_.size() && n_kept == n) continue;
    candidates_.resize(n_kept);
    return;
  }
}

// Sets the weights and returns their sum.
double Sampler::weigh_candidates() {
  float largest = kForbidden;
  for (const auto& c : candidates_) largest = std::max(largest, c.logit);
  const double scale = 1.0 / options_.temperature;
  double total = 0.0;
  for (auto& c : candidates_) {
    c.weight = math::exp((static_cast<double>(c.logit) - largest) * scale);
    total += c.weight;
  }
  return total;
}

// How many of the sorted candidates min_p and top_p leave; at least one.
std::size_t Sampler::count_kept(double total) const {
  double sum = 0.0;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (i > 0 && candidates_[i].weight < options_.min_p) return i;  // the largest weight is 1
    sum += candidates_[i].weight;
    if (options_.top_p < 1.0f && sum >= options_.top_p * total) return i + 1;
  }
  return candidates_.size();
}

void Sampler::select_best(std::size_t n) {
  if (n > kLargestHeap) {
    select_all();
    if (n < candidates_.size()) {
      const auto end_of_best = candidates_.begin() + static_cast<std::ptrdiff_t>(n);
      std::ranges::nth_element(candidates_, end_of_best, IsBetter{});
      candidates_.resize(n);
    }
    std::ranges::sort(candidates_, IsBetter{});
    return;
  }
  // A heap with the worst of the best in front. Ids ascend, so of equal logits the lower id stays.
  candidates_.clear();
  if (n == 0) return;
  float threshold = kForbidden;
  for (std::size_t i = 0; i < logits_.size(); ++i) {
    if (logits_[i] <= threshold) continue;
    if (candidates_.size() == n) {
      std::ranges::pop_heap(candidates_, IsBetter{});
      candidates_.pop_back();
    }
    candidates_.push_back({logits_[i], static_cast<TokenId>(i)});
    std::ranges::push_heap(candidates_, IsBetter{});
    if (candidates_.size() == n) threshold = candidates_.front().logit;
  }
  std::ranges::sort_heap(candidates_, IsBetter{});
}

void Sampler::select_all() {
  candidates_.clear();
  for (std::size_t i = 0; i < logits_.size(); ++i) {
    if (logits_[i] != kForbidden) candidates_.push_back({logits_[i], static_cast<TokenId>(i)});
  }
}

}  // namespace fourfold
