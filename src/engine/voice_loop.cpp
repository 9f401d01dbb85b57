#include "engine/voice_loop.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "chat/fit_prompt.h"
#include "media/sound.h"

namespace fourfold {
namespace {

constexpr std::int64_t kAround = 4'800;   // 300 ms of an utterance before and behind the voice
constexpr std::int64_t kBargeIn = 3'200;  // 200 ms
// What an utterance that has not begun yet may reach back to.
constexpr std::int64_t kHeld = kAround + 8 * std::int64_t{kActivityFrame};
// Samples that are encoded at once, and rows that are run at once: fewer would read the weights
// more often than speech gives time for, more would be left at its end.
constexpr std::int64_t kPiece = 10 * std::int64_t{kActivityFrame};  // 320 ms
constexpr std::int64_t kLeastRows = 16;                             // 640 ms

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

double ms_of(std::int64_t samples) { return static_cast<double>(samples) * 1000.0 / kSampleRate; }

// Ends behind the last soft row: what follows there is not known yet.
void cut_behind_sound(PreparedChat& prepared) {
  const SoftSpan& last = prepared.prompt.soft.back();
  prepared.prompt.ids.resize(static_cast<std::size_t>(last.first + last.rows->n_rows));
  std::erase_if(prepared.branch_points, [&](std::int64_t point) {
    return point > static_cast<std::int64_t>(prepared.prompt.ids.size());
  });
  prepared.max_tokens = 0;
}

}  // namespace

// The answer that is being given.
struct VoiceLoop::Shared {
  mutable std::mutex mutex;
  ChatStream* stream = nullptr;  // while it can be cancelled
  bool is_answering = false;
  bool is_interrupted = false;
  bool is_over = false;
  std::optional<Error> error;

  // True the first time.
  bool interrupt() {
    const std::lock_guard lock(mutex);
    if (!is_answering || std::exchange(is_interrupted, true)) return false;
    if (stream) stream->cancel();
    return true;
  }
  // False: the answer was interrupted before it began.
  bool follow(ChatStream* now) {
    const std::lock_guard lock(mutex);
    stream = now;
    return !is_interrupted;
  }
  bool get(bool Shared::*flag) const {
    const std::lock_guard lock(mutex);
    return this->*flag;
  }
};

Result<std::unique_ptr<VoiceLoop>> VoiceLoop::open(ChatService& service, VoiceActivity& activity,
                                                   VoiceOptions options, VoiceListener& listener) {
  if (!options.tools.declared.empty() && !service.capabilities().tools) {
    return failed_precondition("this model knows no tools (expected a Gemma 4 chat model)")
        .with({.reason = "unsupported_value"});
  }
  auto sound = TRY(service.engine().media().open_live_sound());
  return std::unique_ptr<VoiceLoop>(
      new VoiceLoop(service, std::move(sound), activity, std::move(options), listener));
}

VoiceLoop::VoiceLoop(ChatService& service, std::unique_ptr<LiveSound> sound,
                     VoiceActivity& activity, VoiceOptions options, VoiceListener& listener)
    : service_(service),
      options_(std::move(options)),
      listener_(listener),
      detector_(activity),
      sound_(std::move(sound)),
      utterance_(*sound_),
      shared_(std::make_unique<Shared>()) {
  if (!options_.system.empty()) history_.push_back(Message::of(Role::System, options_.system));
}

VoiceLoop::~VoiceLoop() {
  interrupt();
  if (thread_.joinable()) thread_.join();
}

void VoiceLoop::interrupt() {
  if (shared_->interrupt()) listener_.interrupted();
}

bool VoiceLoop::is_over() const { return shared_->get(&Shared::is_over); }

Status VoiceLoop::push(std::span<const float> samples) {
  // Frame by frame, so that what happens does not depend on the pieces.
  while (!samples.empty() && !is_over()) {
    const auto room = kActivityFrame - static_cast<std::size_t>(n_heard()) % kActivityFrame;
    const auto piece = samples.first(std::min(samples.size(), room));
    samples = samples.subspan(piece.size());
    samples_.insert(samples_.end(), piece.begin(), piece.end());
    detector_.push(piece);
    if (detector_.spoken() >= kBargeIn) interrupt();
    TRY(take_events());
    if (detector_.is_speaking() && piece.size() == room) TRY(listen_on());
    forget_old_samples();
  }
  return {};
}

Status VoiceLoop::finish() {
  if (!is_over()) {
    detector_.finish();
    TRY(take_events());
  }
  return wait_for_answer();
}

// --- while someone speaks ---

Status VoiceLoop::take_events() {
  while (const auto event = detector_.next()) {
    if (event->kind == SpeechEvent::Kind::Started) {
      begin_ = encoded_ = std::max(event->at, first_);
      utterance_.begin();
      n_ahead_ = 0;
    }
    if (event->kind == SpeechEvent::Kind::Ended) TRY(begin_answer(*event));
  }
  return {};
}

// Encodes what belongs to the utterance whether or not it goes on, and runs it. What lies further
// behind the last voice waits: it is part of it only if there is more.
Status VoiceLoop::listen_on() {
  const std::int64_t sure = detector_.last_voice() + kAround;
  const bool pauses = n_heard() >= sure;
  const std::int64_t until = std::min(n_heard(), sure);
  if (until - encoded_ >= kPiece || (pauses && until > encoded_)) TRY(encode_until(until));
  run_ahead(pauses ? 1 : kLeastRows);
  return {};
}

Status VoiceLoop::encode_until(std::int64_t sample) {
  if (sample <= encoded_) return {};
  TRY(utterance_.push(std::span<const float>(samples_).subspan(
      static_cast<std::size_t>(encoded_ - first_), static_cast<std::size_t>(sample - encoded_))));
  encoded_ = sample;
  return {};
}

// Rows of the unfinished turn go through the model as soon as the history before them is settled.
// What goes wrong here goes wrong again when the answer is asked for, and is told then.
void VoiceLoop::run_ahead(std::int64_t least_rows) {
  if (shared_->get(&Shared::is_answering)) return;
  if (ahead_ && !ahead_->wait(std::chrono::milliseconds(0))) return;
  const std::int64_t n_rows = utterance_.n_rows();
  n_ahead_ = std::min(n_ahead_, n_rows);  // a block was cut
  if (n_rows - n_ahead_ < least_rows) return;
  n_ahead_ = n_rows;
  auto messages = history_;
  messages.push_back(utterance_.turn());
  auto request = request_of(std::move(messages));
  request.enforce = false;  // nothing is said
  auto prepared = service_.prepare_looked(request, {});
  if (!prepared.ok() || prepared->prompt.soft.empty()) return;
  cut_behind_sound(*prepared);
  auto stream = service_.start(std::move(prepared).value(), {.user = "voice"});
  if (!stream.ok()) return;
  ahead_ = std::move(stream).value();
  if (options_.waits_for_answers) {
    while (ahead_->next()) {
    }
  }
}

void VoiceLoop::forget_old_samples() {
  // The next utterance may begin where the voice of this one ends.
  const std::int64_t keep =
      detector_.is_speaking() ? std::min(encoded_, detector_.last_voice()) : n_heard() - kHeld;
  const std::int64_t n = keep - first_;
  // Not with every frame: what stays is moved.
  if (n < 4 * kHeld) return;
  samples_.erase(samples_.begin(), samples_.begin() + n);
  first_ += n;
}

// --- when they have ended ---

ChatRequest VoiceLoop::request_of(std::vector<Message> messages) const {
  ChatRequest request;
  request.conversation.messages = std::move(messages);
  request.conversation.tools = options_.tools.declared;
  request.conversation.stop = options_.sampling.stop;
  request.sampling = options_.sampling;
  request.forget_oldest = true;
  return request;
}

Status VoiceLoop::begin_answer(const SpeechEvent& end) {
  TRY(wait_for_answer());
  if (is_over()) return {};
  const auto began = Clock::now();
  VoiceTurn facts;
  facts.first_sample = begin_;
  facts.last_sample = std::min(end.at + kAround, n_heard());
  facts.speech_ms = ms_of(end.at - begin_);
  facts.vad_end_ms = ms_of(end.known_at - end.at);
  TRY(encode_until(facts.last_sample));
  TRY(utterance_.finish());
  facts.flush_ms = ms_since(began);
  ahead_.reset();  // what it has run is kept
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->is_answering = true;
    shared_->is_interrupted = false;
  }
  thread_ = std::thread([this, turn = utterance_.turn(), facts, began]() mutable {
    answer(std::move(turn), std::move(facts), began);
  });
  return options_.waits_for_answers ? wait_for_answer() : Status();
}

Status VoiceLoop::wait_for_answer() {
  if (thread_.joinable()) thread_.join();
  auto error = std::exchange(shared_->error, std::nullopt);
  return error ? Status(*std::move(error)) : Status();
}

// On a thread of its own, as all that follows.
void VoiceLoop::answer(Message turn, VoiceTurn facts, Clock::time_point began) {
  auto messages = history_;
  messages.push_back(std::move(turn));
  auto status = converse(messages, facts, began);
  facts.answer_ms = ms_since(began);
  if (status.ok()) {
    history_ = std::move(messages);  // else as if it had not been asked
    listener_.finish_speaking();
  }
  {
    const std::lock_guard lock(shared_->mutex);
    facts.interrupted = shared_->is_interrupted;
    shared_->is_over = !facts.calls.empty() && !options_.tools.run;
    shared_->is_answering = false;
    if (!status.ok()) shared_->error = std::move(status).error();
  }
  if (status.ok()) listener_.ended(facts);
}

// Rounds of speaking and of carrying out what was called for. A call that was complete when the
// answer was interrupted is carried out too; the next answer knows its result.
Status VoiceLoop::converse(std::vector<Message>& messages, VoiceTurn& facts,
                           Clock::time_point began) {
  for (int round = 0;; ++round) {
    auto said = TRY(speak(messages, facts, began));
    const bool calls = !said.calls.empty();
    if (calls || !said.parts.front().text.empty()) messages.push_back(std::move(said));
    if (!calls || !options_.tools.run) return {};
    facts.is_out_of_rounds = round == options_.tools.max_rounds;
    if (facts.is_out_of_rounds) return {};
    add_results(messages);
    if (shared_->get(&Shared::is_interrupted)) return {};
  }
}

Result<Message> VoiceLoop::speak(std::vector<Message>& messages, VoiceTurn& facts,
                                 Clock::time_point began) {
  auto prepared = TRY(service_.prepare_looked(request_of(messages), {}));
  if (prepared.forgotten.n_forgotten_messages > 0) {
    forget_messages(messages, prepared.forgotten.n_forgotten_messages);
  }
  const auto stream = TRY(service_.start(std::move(prepared), {.user = "voice"}));
  if (!shared_->follow(stream.get())) stream->cancel();
  auto said = Message::of(Role::Model, "");
  const bool is_first = facts.tokens == 0;
  while (const auto delta = next_of(*stream)) {
    const ChatEvent& event = delta->event;
    if (facts.first_token_ms == 0.0) facts.first_token_ms = ms_since(began);
    if (event.type == ChatEvent::Type::Text) {
      said.parts.front().text += event.text;
    } else if (event.type == ChatEvent::Type::Call) {
      said.calls.push_back(event.call);
      said.calls.back().id = fmt::format("call-{}", ++n_calls_);
    } else if (event.type == ChatEvent::Type::Finish) {
      const CandidateEnd& end = stream->end(0);
      if (is_first) {
        facts.prefill_ms = end.prefill_ms;
        facts.prompt_tokens = stream->prompt_tokens();
        facts.cached_tokens = stream->cached_tokens();
      }
      facts.tokens += end.usage.total();
    }
    listener_.said(event);
  }
  shared_->follow(nullptr);
  TRY(stream->status());
  facts.text += said.parts.front().text;
  facts.calls.insert(facts.calls.end(), said.calls.begin(), said.calls.end());
  return said;
}

std::optional<ChatDelta> VoiceLoop::next_of(ChatStream& stream) {
  constexpr std::chrono::milliseconds kPatience{50};
  do {
    if (options_.go_on && !options_.go_on()) interrupt();
  } while (!stream.wait(kPatience));
  return stream.next();
}

void VoiceLoop::add_results(std::vector<Message>& messages) {
  const auto calls = messages.back().calls;
  for (const auto& call : calls) {
    auto message = Message::of(Role::Tool, "");
    message.parts.clear();
    message.results.push_back(
        {.call_id = call.id, .name = call.name, .value = options_.tools.run(call), .media = {}});
    listener_.has_result(call, message.results.back().value);
    messages.push_back(std::move(message));
  }
}

}  // namespace fourfold
