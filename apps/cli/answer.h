// One answer of the model: streamed to standard output, or gathered for JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/command.h"
#include "cli/model_flags.h"
#include "engine/engine.h"

namespace fourfold {

struct Answer {
  std::string text;      // without thoughts
  std::string thinking;  // what stood in thought channels
  std::int64_t thought_tokens = 0;
  bool reader_left = false;  // nobody reads standard output any more
  GenerateResult result;
};

// Raw text goes on: <bos> in front, at most 128 tokens unless told otherwise.
GenerateRequest raw_request(std::vector<TokenId> ids, const SamplingFlags& flags,
                            const Engine& engine, const Tokenizer& tokenizer);

struct StreamOptions {
  bool silent = false;          // gather only; --json does so too
  bool split_thoughts = false;  // raw text has none
};

// Generates, with a progress bar for a long prefill. Ends early when the flag of signals.h is
// raised. The text goes to standard output as it comes, thoughts to standard error, and a newline
// follows.
Result<Answer> stream_answer(Session& session, GenerateRequest request, const Tokenizer& tokenizer,
                             StreamOptions options, Context& context);

// {"model", "text", "thinking", "tool_calls", "finish", "seed", "usage", "timings"}; raw text
// (`complete`) has no thinking, tool calls or thought tokens.
nlohmann::ordered_json answer_json(const Answer& answer, const Engine& engine,
                                   const GenerateRequest& request, bool is_chat);

// "prefill 12 tokens, 95.1 tok/s; decode 40 tokens, 21.3 tok/s; …"
std::string describe_speed(const Answer& answer);

}  // namespace fourfold
