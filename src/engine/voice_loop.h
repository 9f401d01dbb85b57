// A talk by voice: someone speaks, the model answers, and is silent when it is spoken to
// (audio.md 7.2).
//
//   VoiceLoop loop(*service, activity, {.system = "Be brief."}, listener);
//   while (samples come) TRY(loop.push(samples));   // 16 kHz mono, any pieces
//   TRY(loop.finish());
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "engine/chat_service.h"
#include "media/speech_detector.h"

namespace fourfold {

struct VoiceOptions {
  std::string system;
  SamplingChoice sampling;
  // False: samples come in real time, and go on while the model answers. True: time is counted in
  // samples, in which an answer takes none: push() waits for it.
  bool waits_for_answers = true;
};

// What a turn took. Times without a name of their own begin when the end of speech was known.
struct VoiceTurn {
  double speech_ms = 0.0;   // of voice
  double vad_end_ms = 0.0;  // from the last voice to that moment
  double flush_ms = 0.0;    // until the sound was encoded
  double prefill_ms = 0.0;  // of the prompt
  double first_token_ms = 0.0;
  double answer_ms = 0.0;                          // until the answer's end
  std::int64_t tokens = 0;                         // of the answer
  bool interrupted = false;                        // by the next one to speak
  std::int64_t first_sample = 0, last_sample = 0;  // of the utterance [first, last)
  std::string text;                                // what was said before it ended
};

// Called on the thread of an answer, one at a time.
class VoiceListener {
 public:
  virtual ~VoiceListener() = default;
  virtual void said(std::string_view) {}
  virtual void ended(const VoiceTurn&) {}
};

class VoiceLoop {
 public:
  // All of these outlive the loop.
  VoiceLoop(ChatService& service, VoiceActivity& activity, VoiceOptions options,
            VoiceListener& listener);
  ~VoiceLoop();

  // An error of an answer comes with a later call.
  Status push(std::span<const float> samples);
  // The last utterance ends with the input; waits for its answer.
  Status finish();

  const std::vector<Message>& history() const { return history_; }

 private:
  struct Shared;

  Status take_events();
  Status begin_answer(const SpeechEvent& end);
  void answer(Message turn, VoiceTurn facts);
  Result<VoiceTurn> speak(VoiceTurn facts);
  Status wait_for_answer();
  void forget_old_samples();

  ChatService& service_;
  const VoiceOptions options_;
  VoiceListener& listener_;
  SpeechDetector detector_;
  std::vector<float> samples_;  // from first_ on: what may belong to an utterance
  std::int64_t first_ = 0;
  std::int64_t utterance_ = 0;      // its first sample, while someone speaks
  std::vector<Message> history_;    // touched by the answer's thread while there is one
  std::unique_ptr<Shared> shared_;  // with that thread
  std::thread thread_;
};

}  // namespace fourfold
