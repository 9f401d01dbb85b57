// How tokens are drawn, as a user or client asks for it: what is not said is the model's own
// choice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "formats/model_config.h"
#include "runtime/sampler.h"

namespace fourfold {

struct SamplingChoice {
  std::int64_t max_tokens = -1;  // −1: not given
  std::optional<float> temperature;
  std::optional<int> top_k;
  std::optional<float> top_p;
  std::optional<float> min_p;
  std::optional<float> repeat_penalty;
  std::optional<int> repeat_last_n;
  std::optional<float> presence_penalty;
  std::optional<float> frequency_penalty;
  std::vector<LogitBias> logit_bias;
  std::optional<std::uint64_t> seed;  // random when not given
  std::vector<std::string> stop;
  int n_logprobs = -1;
};

// Defaults of the model filled in, a seed drawn if none was given.
SampleOptions sample_options(const SamplingChoice& choice, const SamplingDefaults& defaults);

}  // namespace fourfold
