// The one way from a parsed chat request to its answer, whatever the dialect: model, prompt, queue,
// events, usage.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "api/answer.h"
#include "server/call.h"
#include "server/models.h"

namespace fourfold {

struct ChatCall {
  std::string model;  // as the client wrote it
  ChatRequest chat;
  std::optional<RawRequest> raw;  // instead of `chat`
  bool stream = false;
  std::vector<std::string> warnings;
  std::optional<KeepAlive> keep_alive;
  int priority = 0;
  // Ends the answer as a client does that goes away (POST …/cancel), but this one is still told.
  std::stop_token cancelled;
  // Changes what the answer may be; the prompt stays as it is.
  std::function<void(PreparedChat& prepared)> adjust;
};

// The answer that was given, for dialects that store it.
struct ChatOutcome {
  AnswerFacts facts;
  std::vector<Candidate> candidates;
  bool was_cancelled = false;
};

// Answers the call with the formatter's bytes. An Error comes only before anything was written; the
// caller returns it. A client that goes away cancels the answer.
Result<ChatOutcome> answer_chat(Call& call, ChatCall chat, AnswerFormatter& formatter);

// Hears an answer that is not written as it comes.
class AnswerListener {
 public:
  virtual ~AnswerListener() = default;

  virtual void started(const AnswerFacts&) {}
  // `end` comes with the last delta of a candidate. False: nobody wants to hear more.
  virtual bool said(const ChatDelta&, const CandidateEnd* /*end*/) { return true; }
  // Every 15 seconds in which nothing is said.
  virtual bool silent() { return true; }
};

// The answer, of which nothing is written. Cancelled is an Error.
Result<ChatOutcome> gather_answer(Call& call, ChatCall chat, AnswerListener& listener);

// The same up to the scheduler: the prompt of the request, for counting.
struct CountedPrompt {
  std::int64_t n_tokens = 0;
  MediaTokens media;  // of them
  PreparedChat prepared;
};
Result<CountedPrompt> count_prompt(Call& call, ChatCall chat);

}  // namespace fourfold
