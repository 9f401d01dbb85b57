#include "engine/transcribe.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "media/sound_windows.h"

namespace fourfold {
namespace {

// More than is said in 30 s, in any language.
constexpr std::int64_t kMostWindowTokens = 1024;
constexpr std::size_t kReadSamples = 16'000;

double seconds(std::int64_t samples) { return static_cast<double>(samples) / kSampleRate; }

std::string instruction(const TranscribeOptions& options) {
  std::string text = "Write down word for word what is said in this recording.";
  if (!options.language.empty()) {
    text += fmt::format(" The language spoken is: {}.", options.language);
  }
  text += " Answer with the words alone.";
  if (!options.prompt.empty()) {
    text += fmt::format("\nWhat may help with names and spellings: {}", options.prompt);
  }
  return text;
}

ChatRequest make_request(const TranscribeOptions& options, std::span<const float> samples) {
  Part text, sound;
  text.kind = Part::Kind::Text;
  text.text = instruction(options);
  sound.kind = Part::Kind::Audio;
  sound.text = "audio/wav";
  sound.bytes = SharedBytes(wav_file(samples));
  sound.where = "file";
  Message turn;
  turn.role = Role::User;
  turn.is_part_list = true;
  turn.parts = {std::move(text), std::move(sound)};
  ChatRequest request;
  request.conversation.messages.push_back(std::move(turn));
  request.sampling.temperature = options.temperature;
  request.sampling.max_tokens = kMostWindowTokens;
  return request;
}

// The text of one window while it grows, without white space at its ends.
class GrowingText {
 public:
  // What is certain beyond what was given out before.
  std::string push(std::string_view text) {
    raw_ += text;
    const auto trimmed = trim(raw_);
    std::string fresh(trimmed.substr(std::min(n_given_, trimmed.size())));
    n_given_ = std::max(n_given_, trimmed.size());
    return fresh;
  }

 private:
  std::string raw_;
  std::size_t n_given_ = 0;
};

class Job {
 public:
  Job(const TranscribeOptions& options, const AnswerWindow& answer, TranscriptListener& listener)
      : options_(options), answer_(answer), listener_(listener) {}

  Result<Transcript> run(std::span<const std::byte> file) {
    auto reader = TRY(SoundReader::open(file, options_.limits));
    SoundCutter cutter(/*overlap=*/true);
    std::vector<float> samples(kReadSamples);
    SoundWindow window;
    std::vector<float> heard;
    for (bool is_over = false; !is_over;) {
      const std::size_t n = TRY(reader->read(samples));
      n_samples_ += static_cast<std::int64_t>(n);
      cutter.push(std::span(samples).first(n));
      is_over = n == 0;
      if (is_over) cutter.finish();
      while (cutter.next(window, heard)) TRY(add(window, heard));
    }
    transcript_.duration_s = seconds(n_samples_);
    transcript_.notes = reader->notes();
    return std::move(transcript_);
  }

 private:
  Status add(const SoundWindow& window, std::span<const float> samples) {
    const auto n = static_cast<std::int64_t>(samples.size());
    if (n < kLeastSamples) {
      return invalid_argument("a sound of {} samples at 16 kHz, expected at least {}", n,
                              kLeastSamples);
    }
    transcript_.segments.push_back({.start_s = seconds(window.first),
                                    .end_s = seconds(window.last),
                                    .text = "",
                                    .is_silent = window.is_silent});
    WindowAnswer answer;
    // What an overlap may change is not shown as it comes.
    const bool is_live = !window.overlaps && !window.is_overlapped;
    if (!window.is_silent) answer = TRY(listen_to(samples, is_live));
    transcript_.segments.back().finish = answer.finish;
    joiner_.add(answer.text, window.overlaps);
    if (window.overlaps) TRY(settle(transcript_.segments.size() - 2, joiner_.before_last(), false));
    if (window.is_overlapped) return {};
    return settle(transcript_.segments.size() - 1, joiner_.last(), is_live);
  }

  Result<WindowAnswer> listen_to(std::span<const float> samples, bool is_live) {
    GrowingText growing;
    bool has_begun = false;
    auto answer = TRY(answer_(make_request(options_, samples), [&](std::string_view text) {
      if (!is_live) return listener_.said("");
      const std::string fresh = growing.push(text);
      return fresh.empty() || say(fresh, !std::exchange(has_begun, true));
    }));
    transcript_.usage.prompt_tokens += answer.usage.prompt_tokens;
    transcript_.usage.audio_tokens += answer.usage.audio_tokens;
    transcript_.usage.answer_tokens += answer.usage.answer_tokens;
    return answer;
  }

  // The text of a segment is final; what was shown as it came is not said again.
  Status settle(std::size_t index, const std::string& text, bool was_said) {
    TranscriptSegment& segment = transcript_.segments[index];
    segment.text = text;
    const bool goes_on =
        (was_said || text.empty() || say(text, true)) && listener_.segment(segment);
    if (!goes_on) return Error{Code::Cancelled, "the transcription was cancelled"};
    return {};
  }

  // `begins`: the first words of a window, which a space parts from those before.
  bool say(std::string_view text, bool begins) {
    std::string delta;
    if (begins && !transcript_.text.empty()) delta += ' ';
    delta += text;
    transcript_.text += delta;
    return listener_.said(delta);
  }

  const TranscribeOptions& options_;
  const AnswerWindow& answer_;
  TranscriptListener& listener_;
  TranscriptJoiner joiner_;
  Transcript transcript_;
  std::int64_t n_samples_ = 0;
};

Result<WindowAnswer> hear_stream(ChatStream& stream,
                                 const std::function<bool(std::string_view)>& on_text) {
  TRY(stream.wait_started());
  WindowAnswer answer;
  answer.usage.prompt_tokens = stream.prompt_tokens();
  while (const auto delta = stream.next()) {
    if (delta->event.type == ChatEvent::Type::Finish) {
      const CandidateEnd& end = stream.end(0);
      answer.finish = end.finish;
      answer.usage.answer_tokens = end.usage.total();
    } else if (delta->event.type == ChatEvent::Type::Text) {
      answer.text += delta->event.text;
      if (!on_text(delta->event.text)) stream.cancel();
    }
  }
  TRY(stream.status());
  if (answer.finish == ChatFinish::Cancelled) {
    return Error{Code::Cancelled, "the transcription was cancelled"};
  }
  return answer;
}

}  // namespace

void limit_loops(PreparedChat& prepared) {
  prepared.rules.loop_limits = {.max_period = 64, .min_repeats = 8, .min_tokens = 96};
}

AnswerWindow answer_by(ChatService& service, const RequestOrigin& origin) {
  return [&service, origin](
             ChatRequest request,
             const std::function<bool(std::string_view)>& on_text) -> Result<WindowAnswer> {
    const auto go_on = [&] { return !(origin.is_cancelled && origin.is_cancelled()); };
    auto prepared = TRY(service.prepare(request, go_on));
    limit_loops(prepared);
    const std::int64_t audio_tokens = prepared.media_tokens.audio;
    auto stream = TRY(service.start(std::move(prepared), origin));
    auto answer = TRY(hear_stream(*stream, on_text));
    answer.usage.audio_tokens = audio_tokens;
    return answer;
  };
}

Result<Transcript> transcribe(std::span<const std::byte> file, const TranscribeOptions& options,
                              const AnswerWindow& answer, TranscriptListener& listener) {
  return Job(options, answer, listener).run(file);
}

}  // namespace fourfold
