#include "engine/sampling_choice.h"

#include "base/random.h"

namespace fourfold {

SampleOptions sample_options(const SamplingChoice& choice, const SamplingDefaults& defaults) {
  SampleOptions options;
  options.temperature = choice.temperature.value_or(defaults.temperature);
  options.top_k = choice.top_k.value_or(defaults.top_k);
  options.top_p = choice.top_p.value_or(defaults.top_p);
  options.min_p = choice.min_p.value_or(options.min_p);
  options.repeat_penalty = choice.repeat_penalty.value_or(options.repeat_penalty);
  options.repeat_last_n = choice.repeat_last_n.value_or(options.repeat_last_n);
  options.presence_penalty = choice.presence_penalty.value_or(options.presence_penalty);
  options.frequency_penalty = choice.frequency_penalty.value_or(options.frequency_penalty);
  options.logit_bias = choice.logit_bias;
  options.seed = choice.seed ? *choice.seed : fresh_seed();
  options.n_logprobs = choice.n_logprobs;
  return options;
}

}  // namespace fourfold
