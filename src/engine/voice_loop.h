// A talk by voice: someone speaks, the model answers, and is silent when it is spoken to
// (audio.md 7.2).
//
//   auto loop = TRY(VoiceLoop::open(*service, activity, {.system = "Be brief."}, listener));
//   while (samples come) TRY(loop->push(samples));   // 16 kHz mono, any pieces
//   TRY(loop->finish());
//
// While someone speaks, what was said is encoded and run through the model. At the end of speech
// only the last rows are left to do, however long it was.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "engine/chat_service.h"
#include "engine/live_sound.h"
#include "engine/utterance.h"
#include "media/speech_detector.h"

namespace fourfold {

// Functions that the model may call.
struct VoiceTools {
  std::vector<Tool> declared;
  // Carries out a call, on the thread of the answer. Without one the talk ends at a call.
  std::function<JsonValue(const ToolCall& call)> run;
  int max_rounds = 16;  // of calls in one answer
};

struct VoiceOptions {
  std::string system;
  SamplingChoice sampling;
  VoiceTools tools;
  std::function<bool()> go_on = {};  // asked while an answer is given; false ends it
  // False: samples come in real time, and go on while the model works. True: time is counted in
  // samples, in which its work takes none: push() waits for it.
  bool waits_for_answers = true;
};

// What a turn took. Times without a name of their own begin when the end of speech was known.
struct VoiceTurn {
  double speech_ms = 0.0;                             // of voice
  double vad_end_ms = 0.0;                            // from the last voice to that moment
  double flush_ms = 0.0;                              // until the last of the sound was encoded
  double prefill_ms = 0.0;                            // of what was left of the prompt
  double first_token_ms = 0.0;                        // until the answer began
  double answer_ms = 0.0;                             // until it ended
  std::int64_t tokens = 0;                            // of the answer
  std::int64_t prompt_tokens = 0, cached_tokens = 0;  // of its first prompt; run before
  bool interrupted = false;                           // by the next one to speak
  std::int64_t first_sample = 0, last_sample = 0;     // of the utterance [first, last)
  std::string text;                                   // what was said before it ended
  std::vector<ToolCall> calls;
  bool is_out_of_rounds = false;  // of tools
};

// Called on the thread of an answer, one at a time, but for interrupted().
class VoiceListener {
 public:
  virtual ~VoiceListener() = default;
  // Text, calls, and a Finish after each round.
  virtual void said(const ChatEvent&) {}
  virtual void has_result(const ToolCall&, const JsonValue&) {}
  // Somebody speaks, and this answer will be no longer; on any thread.
  virtual void interrupted() {}
  // The answer has ended. Until this returns, whoever speaks interrupts it.
  virtual void finish_speaking() {}
  virtual void ended(const VoiceTurn&) {}
};

class VoiceLoop {
 public:
  // The references outlive the loop. Errors are those of a model that cannot hear or has no tools.
  static Result<std::unique_ptr<VoiceLoop>> open(ChatService& service, VoiceActivity& activity,
                                                 VoiceOptions options, VoiceListener& listener);
  ~VoiceLoop();

  // An error of an answer comes with a later call.
  Status push(std::span<const float> samples);
  // The last utterance ends with the input; waits for its answer.
  Status finish();

  // The model called a function that nobody carries out: nothing more is listened to.
  bool is_over() const;
  // Not while an answer is given.
  const std::vector<Message>& history() const { return history_; }

 private:
  struct Shared;
  using Clock = std::chrono::steady_clock;

  VoiceLoop(ChatService& service, std::unique_ptr<LiveSound> sound, VoiceActivity& activity,
            VoiceOptions options, VoiceListener& listener);

  void interrupt();

  // While someone speaks.
  Status take_events();
  Status listen_on();
  Status encode_until(std::int64_t sample);
  void run_ahead(std::int64_t least_rows);
  void forget_old_samples();
  std::int64_t n_heard() const { return first_ + static_cast<std::int64_t>(samples_.size()); }

  // When they have ended.
  Status begin_answer(const SpeechEvent& end);
  Status wait_for_answer();
  void answer(Message turn, VoiceTurn facts, Clock::time_point began);
  Status converse(std::vector<Message>& messages, VoiceTurn& facts, Clock::time_point began);
  Result<Message> speak(std::vector<Message>& messages, VoiceTurn& facts, Clock::time_point began);
  std::optional<ChatDelta> next_of(ChatStream& stream);
  void add_results(std::vector<Message>& messages);
  ChatRequest request_of(std::vector<Message> messages) const;

  ChatService& service_;
  const VoiceOptions options_;
  VoiceListener& listener_;
  SpeechDetector detector_;

  std::vector<float> samples_;  // from first_ on: what may belong to an utterance
  std::int64_t first_ = 0;
  // Of the utterance, while someone speaks.
  std::int64_t begin_ = 0;    // its first sample
  std::int64_t encoded_ = 0;  // the first one that was not encoded
  std::unique_ptr<LiveSound> sound_;
  Utterance utterance_;
  std::unique_ptr<ChatStream> ahead_;  // runs rows of the unfinished turn
  std::int64_t n_ahead_ = 0;           // rows that it has, or had

  std::vector<Message> history_;    // touched by the answer's thread while there is one
  int n_calls_ = 0;                 // likewise
  std::unique_ptr<Shared> shared_;  // with that thread
  std::thread thread_;
};

}  // namespace fourfold
