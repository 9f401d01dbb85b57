// Sampling settings of a request, checked where they are read. What is absent stays the model's
// choice. For the dialects that refuse what is out of range; Ollama clamps.
//
//   TRY(read_number(body["temperature"], 0.0, 2.0, choice.temperature));
//   TRY(read_seed(body["seed"], choice.seed));
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/field.h"
#include "base/result.h"
#include "engine/sampling_choice.h"

namespace fourfold {

Status read_number(const Field& field, double least, double most, std::optional<float>& out);
Status read_integer(const Field& field, int least, int most, std::optional<int>& out);
// Any integer of 64 bits; a negative one counts as its two's complement.
Status read_seed(const Field& field, std::optional<std::uint64_t>& out);
// A limit of at least 1; of two that are given the smaller one counts.
Status read_max_tokens(const Field& field, std::int64_t& out);
// A text or a list of at most `most` texts; empty ones say nothing.
Status read_stop(const Field& field, std::size_t most, std::vector<std::string>& out);
// {"1234": -100, …}, −100 to 100.
Status read_logit_bias(const Field& field, std::vector<LogitBias>& out);

}  // namespace fourfold
