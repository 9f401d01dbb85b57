#include "engine/voice_loop.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>

#include "media/sound.h"

namespace fourfold {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kAround = 4'800;   // 300 ms of an utterance before and behind the voice
constexpr std::int64_t kBargeIn = 3'200;  // 200 ms
// What an utterance that has not begun yet may reach back to.
constexpr std::int64_t kHeld = kAround + 8 * std::int64_t{kActivityFrame};

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double ms_of(std::int64_t samples) { return static_cast<double>(samples) * 1000.0 / kSampleRate; }

Message spoken_turn(std::span<const float> samples) {
  Part sound;
  sound.kind = Part::Kind::Audio;
  sound.text = "audio/wav";
  sound.bytes = SharedBytes(wav_file(samples));
  sound.where = "input";
  Message turn;
  turn.role = Role::User;
  turn.is_part_list = true;
  turn.parts.push_back(std::move(sound));
  return turn;
}

}  // namespace

// The answer that is being given.
struct VoiceLoop::Shared {
  std::mutex mutex;
  ChatStream* stream = nullptr;  // while it can be cancelled
  bool is_answering = false;
  bool is_interrupted = false;
  std::optional<Error> error;

  void interrupt() {
    const std::lock_guard lock(mutex);
    if (!is_answering) return;
    is_interrupted = true;
    if (stream) stream->cancel();
  }
  // False: the answer was interrupted before it began.
  bool follow(ChatStream* now) {
    const std::lock_guard lock(mutex);
    stream = now;
    return !is_interrupted;
  }
  bool was_interrupted() {
    const std::lock_guard lock(mutex);
    return is_interrupted;
  }
};

VoiceLoop::VoiceLoop(ChatService& service, VoiceActivity& activity, VoiceOptions options,
                     VoiceListener& listener)
    : service_(service),
      options_(std::move(options)),
      listener_(listener),
      detector_(activity),
      shared_(std::make_unique<Shared>()) {
  if (!options_.system.empty()) history_.push_back(Message::of(Role::System, options_.system));
}

VoiceLoop::~VoiceLoop() {
  shared_->interrupt();
  if (thread_.joinable()) thread_.join();
}

Status VoiceLoop::push(std::span<const float> samples) {
  // Frame by frame, so that what happens does not depend on the pieces.
  while (!samples.empty()) {
    const auto piece = samples.first(std::min(samples.size(), kActivityFrame));
    samples = samples.subspan(piece.size());
    samples_.insert(samples_.end(), piece.begin(), piece.end());
    detector_.push(piece);
    if (detector_.spoken() >= kBargeIn) shared_->interrupt();
    TRY(take_events());
    forget_old_samples();
  }
  return {};
}

Status VoiceLoop::finish() {
  detector_.finish();
  TRY(take_events());
  return wait_for_answer();
}

Status VoiceLoop::take_events() {
  while (const auto event = detector_.next()) {
    if (event->kind == SpeechEvent::Kind::Started) utterance_ = event->at;
    if (event->kind == SpeechEvent::Kind::Ended) TRY(begin_answer(*event));
  }
  return {};
}

void VoiceLoop::forget_old_samples() {
  if (detector_.is_speaking()) return;
  const auto n = static_cast<std::int64_t>(samples_.size());
  // Not with every frame: what stays is moved.
  if (n < 4 * kHeld) return;
  samples_.erase(samples_.begin(), samples_.end() - kHeld);
  first_ += n - kHeld;
}

Status VoiceLoop::begin_answer(const SpeechEvent& end) {
  TRY(wait_for_answer());
  const auto available = first_ + static_cast<std::int64_t>(samples_.size());
  VoiceTurn facts;
  facts.first_sample = std::max(utterance_, first_);
  facts.last_sample = std::min(end.at + kAround, available);
  facts.speech_ms = ms_of(end.at - facts.first_sample);
  facts.vad_end_ms = ms_of(end.known_at - end.at);
  const auto spoken = std::span<const float>(samples_).subspan(
      static_cast<std::size_t>(facts.first_sample - first_),
      static_cast<std::size_t>(facts.last_sample - facts.first_sample));
  auto turn = spoken_turn(spoken);
  shared_->is_answering = true;  // nobody else looks: there is no thread now
  shared_->is_interrupted = false;
  thread_ = std::thread(
      [this, turn = std::move(turn), facts]() mutable { answer(std::move(turn), facts); });
  return options_.waits_for_answers ? wait_for_answer() : Status();
}

Status VoiceLoop::wait_for_answer() {
  if (thread_.joinable()) thread_.join();
  auto error = std::exchange(shared_->error, std::nullopt);
  return error ? Status(*std::move(error)) : Status();
}

// On a thread of its own.
void VoiceLoop::answer(Message turn, VoiceTurn facts) {
  history_.push_back(std::move(turn));
  auto said = speak(std::move(facts));
  const std::lock_guard lock(shared_->mutex);
  shared_->is_answering = false;
  if (!said.ok()) {
    history_.pop_back();  // as if it had not been asked
    shared_->error = std::move(said).error();
    return;
  }
  if (!said->text.empty()) history_.push_back(Message::of(Role::Model, said->text));
  listener_.ended(*said);
}

Result<VoiceTurn> VoiceLoop::speak(VoiceTurn facts) {
  const auto began = Clock::now();
  ChatRequest request;
  request.conversation.messages = history_;
  request.sampling = options_.sampling;
  request.forget_oldest = true;
  auto prepared = TRY(service_.prepare(request));
  auto stream = TRY(service_.start(std::move(prepared), {.user = "voice"}));
  facts.flush_ms = ms_since(began);
  if (!shared_->follow(stream.get())) stream->cancel();
  while (const auto delta = stream->next()) {
    if (delta->event.type == ChatEvent::Type::Text) {
      if (facts.text.empty()) facts.first_token_ms = ms_since(began);
      facts.text += delta->event.text;
      listener_.said(delta->event.text);
    } else if (delta->event.type == ChatEvent::Type::Finish) {
      const CandidateEnd& end = stream->end(0);
      facts.prefill_ms = end.prefill_ms;
      facts.tokens = end.usage.total();
    }
  }
  shared_->follow(nullptr);
  facts.answer_ms = ms_since(began);
  facts.interrupted = shared_->was_interrupted();
  TRY(stream->status());
  return facts;
}

}  // namespace fourfold
