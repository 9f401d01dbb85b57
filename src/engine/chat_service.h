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
#include <string_view>
#include <vector>

#include "chat/chat_event.h"
#include "engine/engine.h"
#include "engine/prepare_chat.h"
#include "runtime/scheduler.h"

namespace fourfold {

// Who asks.
struct RequestOrigin {
  std::string user;
  int priority = 0;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  // Asked while media are encoded, on the thread of start(): true ends that with Cancelled.
  std::function<bool()> is_cancelled = {};
  // Called on the thread of start() before each window of a film (film_windows.h), and a few times
  // a second, or once a layer of an encoder, while media are encoded and films seen.
  std::function<void(int index, int count, double from_s, double to_s)> on_film_window = {};
  std::function<void()> on_wait = {};
};

enum class Channel { Thought, Answer, Call };
std::string_view name(Channel channel);  // "thought", "answer", "call"

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
  OutputUsage usage;                     // notes on films count as thoughts, of candidate 0
  double queue_ms = 0.0, prefill_ms = 0.0, decode_ms = 0.0;
};

class ChatStream {
 public:
  virtual ~ChatStream() = default;

  // Until the prompt is admitted and its first row runs. The error if it will not be: a queue that
  // is full, a deadline that has passed.
  virtual Status wait_started() = 0;
  // At most this long; true if wait_started() would not wait.
  virtual bool wait_started(std::chrono::milliseconds most) = 0;
  // Valid after wait_started. With those of the turns in which films were seen.
  virtual std::int64_t prompt_tokens() const = 0;
  virtual std::int64_t cached_tokens() const = 0;
  // The prompt itself, with the notes on films, and the turns that gave these.
  virtual const Prompt& prompt() const = 0;
  virtual const std::vector<FilmTurn>& film_turns() const = 0;

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

struct ChatServiceOptions {
  EngineOptions engine;
  int max_parallel = 0;  // 0: as many as the memory holds
  int max_queue = 64, max_queue_per_user = 16;
  // Cached prefixes on disk; without a folder there are none. The fingerprint names the model's
  // content, the service adds what else its bits depend on.
  PrefixStoreOptions sessions;
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
  const ChatCapabilities& capabilities() const;
  std::int64_t context() const;  // tokens of prompt and answer

  // See ChatPreparer. What counting endpoints report is the size of its prompt.
  Result<PreparedChat> prepare(const ChatRequest& request,
                               const std::function<bool()>& go_on = {}) const;
  Result<PreparedChat> prepare(const RawRequest& request) const;
  // See ChatPreparer. Parts whose pieces have their rows need no look.
  Result<PreparedChat> prepare_looked(const ChatRequest& request,
                                      std::vector<MediaLook> looks) const;
  // See ChatPreparer.
  double media_seconds(const PreparedChat& prepared) const;

  // Encodes the prompt's media first, on this thread. Errors of the queue, "queue_full" and
  // "rate_limit_exceeded", come at once.
  Result<std::unique_ptr<ChatStream>> start(PreparedChat prepared, const RequestOrigin& origin);

  // A prefix that stays computed (Gemini's cachedContents).
  void pin_prefix(std::vector<PositionKey> prefix);
  void unpin_prefix(const std::vector<PositionKey>& prefix);

  SchedulerStats stats() const;
  bool is_idle() const;

 private:
  struct Impl;
  explicit ChatService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fourfold
