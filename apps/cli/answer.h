// One answer of the model: streamed to standard output, or gathered for JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "chat/output_machine.h"
#include "cli/command.h"
#include "cli/model_flags.h"
#include "engine/engine.h"

namespace fourfold {

struct Answer {
  std::string text;      // without thoughts
  std::string thinking;  // what stood in thought channels
  std::vector<ToolCall> calls;
  std::vector<std::string> malformed;  // what was meant as a call and is none
  std::string_view finish;             // "stop", "tool_calls", "length", "loop", "cancelled"
  std::int64_t thought_tokens = 0;
  std::int64_t completion_tokens = 0;
  bool reader_left = false;  // nobody reads standard output any more
  GenerateResult result;
};

// Raw text goes on: <bos> in front, at most 128 tokens unless told otherwise.
GenerateRequest raw_request(std::vector<TokenId> ids, const SamplingChoice& flags,
                            const Engine& engine, const Tokenizer& tokenizer);

struct StreamOptions {
  bool silent = false;         // gather only; --json does so too
  bool events = false;         // standard output gets the events as JSON lines
  bool show_thoughts = false;  // on standard error
  bool runs_calls = false;     // an answer that only calls is not the end, and no line
};

// Both generate, with a progress bar for a long prefill, and end early when the flag of signals.h
// is raised. The text goes to standard output as it comes, and a newline follows.
Result<Answer> stream_text(Session& session, GenerateRequest request, bool silent,
                           Context& context);
// The same of a chat. Thoughts and calls go to standard error.
Result<Answer> stream_answer(Session& session, GenerateRequest request, OutputMachine& machine,
                             StreamOptions options, Context& context);

// {"model", "text", "thinking", "tool_calls", "finish", "seed", "usage", "timings"}, and
// "malformed" if there is something; raw text (`complete`) has no thinking, tool calls or thought
// tokens.
JsonValue answer_json(const Answer& answer, const Engine& engine, const GenerateRequest& request,
                      bool is_chat);

// "prefill 12 tokens, 95.1 tok/s; decode 40 tokens, 21.3 tok/s; …"
std::string describe_speed(const Answer& answer);

}  // namespace fourfold
