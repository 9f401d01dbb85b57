// A model that answers many conversations at once. What servers stand on.
//
//   auto service = TRY(ChatService::open("gemma.gguf", {}));
//   auto prepared = TRY(service->prepare(request));            // the prompt; no model runs
//   auto stream = TRY(service->start(std::move(prepared), {.user = "ann"}));
//   TRY(stream->wait_started());                               // or why it cannot be answered
//   while (auto delta = stream->next()) show(*delta);
//
// Any number of threads may use a service; a stream belongs to one, but for cancel().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chat/chat_event.h"
#include "chat/conversation.h"
#include "chat/output_machine.h"
#include "chat/prompt.h"
#include "engine/engine.h"
#include "engine/sampling_choice.h"
#include "runtime/scheduler.h"

namespace fourfold {

struct ChatRequest {
  Conversation conversation;
  SamplingChoice sampling;
  int n_candidates = 1;        // candidate i draws with seed + i
  bool forget_oldest = false;  // what does not fit; otherwise a prompt that is too long is refused
};

// Text that is continued, without a chat around it.
struct RawRequest {
  std::string text;          // control strings in it count if `trusted`; ignored with `ids`
  std::vector<TokenId> ids;  // taken as they are
  bool trusted = false;
  bool add_bos = true;       // unless the ids begin with it
  bool hide_control = true;  // control pieces add nothing to the text
  SamplingChoice sampling;
  int n_candidates = 1;
};

// A request that is ready to run. Made by prepare(), used up by start().
struct PreparedChat {
  Prompt prompt;
  bool is_raw = false;
  bool hide_control = true;
  bool thinks = false;         // thoughts were asked for, and there is room
  OutputMachineOptions rules;  // copied for each candidate
  SampleOptions sampling;
  std::int64_t max_tokens = 0;    // room: the limit asked for, clipped to the context
  bool limit_is_context = false;  // the context is what ends the answer
  int n_candidates = 1;
  std::vector<TokenId> stop_ids;
  std::vector<std::int64_t> branch_points;
  std::vector<std::string> warnings;  // what was asked for and is not done: loosened, forgotten, …
};

// Who asks.
struct RequestOrigin {
  std::string user;
  int priority = 0;
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

enum class Channel { Thought, Answer, Call };

struct DrawnToken {
  SampledToken token;
  Channel channel = Channel::Answer;  // where its text belongs; markers: where they lead
};

// What a candidate says next.
struct ChatDelta {
  int candidate = 0;
  ChatEvent event;
  std::vector<DrawnToken> tokens;  // drawn since the event before
};

struct CandidateEnd {
  ChatFinish finish = ChatFinish::Stop;
  bool context_is_full = false;          // of Length
  std::optional<std::string> stop_text;  // of Stop: the one that was met
  OutputUsage usage;
  double queue_ms = 0.0, prefill_ms = 0.0, decode_ms = 0.0;
};

class ChatStream {
 public:
  virtual ~ChatStream() = default;

  // Until the prompt is admitted and its first row runs. The error if it will not be: a queue that
  // is full, a deadline that has passed.
  virtual Status wait_started() = 0;
  // Valid after wait_started.
  virtual std::int64_t prompt_tokens() const = 0;
  virtual std::int64_t cached_tokens() const = 0;

  // The next delta; nullopt after the Finish of every candidate, or after an error.
  virtual std::optional<ChatDelta> next() = 0;
  // Waits at most this long; true if next() would not wait.
  virtual bool wait(std::chrono::milliseconds most) = 0;
  // The error that ended the stream early.
  virtual Status status() const = 0;
  // Valid after the candidate's Finish.
  virtual const CandidateEnd& end(int candidate) const = 0;
  // Ends every candidate within one step; from any thread. Their Finish says Cancelled.
  virtual void cancel() = 0;
};

struct ChatCapabilities {
  bool chat = true;  // false: a pretrained model, which only continues text
  bool tools = false, thinking = false;
  bool vision = false, audio = false, video = false;
};

struct ChatServiceOptions {
  EngineOptions engine;
  int max_parallel = 0;  // 0: as many as the memory holds
  int max_queue = 64, max_queue_per_user = 16;
  // Takes the place of the decoder, for tests.
  std::function<std::unique_ptr<StepModel>(Engine& engine)> step_model;
};

class ChatService {
 public:
  static Result<std::unique_ptr<ChatService>> open(const std::string& path,
                                                   const ChatServiceOptions& options);
  ~ChatService();

  const Engine& engine() const;
  const Tokenizer& tokenizer() const;
  ChatCapabilities capabilities() const;
  std::int64_t context() const;  // tokens of prompt and answer

  // The prompt and the rules of the answer, by the path that every request takes: its size is what
  // counting endpoints report. Errors: InvalidArgument, FailedPrecondition (the model cannot do
  // it), ResourceExhausted "context_length_exceeded"; Unimplemented "unsupported_media", with the
  // field, for media.
  Result<PreparedChat> prepare(const ChatRequest& request) const;
  Result<PreparedChat> prepare(const RawRequest& request) const;

  // Errors of the queue, "queue_full" and "rate_limit_exceeded", come at once.
  Result<std::unique_ptr<ChatStream>> start(PreparedChat prepared, const RequestOrigin& origin);

  // A prefix that stays computed (Gemini's cachedContents).
  void pin_prefix(std::vector<TokenId> ids);
  void unpin_prefix(const std::vector<TokenId>& ids);

  SchedulerStats stats() const;
  bool is_idle() const;

 private:
  struct Impl;
  explicit ChatService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fourfold
