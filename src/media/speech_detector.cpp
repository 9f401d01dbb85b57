#include "media/speech_detector.h"

#include <algorithm>

#include "media/sound_windows.h"

namespace fourfold {
namespace {

constexpr float kStartProbability = 0.5f, kEndProbability = 0.35f;
constexpr std::size_t kStartFrames = 4, kStartVoices = 3;
constexpr std::int64_t kBefore = 4'800;        // 300 ms
constexpr std::int64_t kEndSilence = 11'200;   // 700 ms
constexpr std::int64_t kLeastSpeech = 4'000;   // 250 ms
constexpr std::size_t kLevelFrames = 938;      // 30 s
constexpr std::size_t kLeastLevelFrames = 10;  // before that it is not known what is quiet

}  // namespace

float LevelActivity::probability(std::span<const float> frame) {
  const double level = sound_level(frame);
  levels_.push_back(level);
  if (levels_.size() > kLevelFrames) levels_.pop_front();
  if (levels_.size() < kLeastLevelFrames) return 0.0f;
  const std::vector<double> levels(levels_.begin(), levels_.end());
  return level > silence_level(levels) ? 1.0f : 0.0f;
}

void SpeechDetector::push(std::span<const float> samples) {
  pending_.insert(pending_.end(), samples.begin(), samples.end());
  std::size_t at = 0;
  for (; pending_.size() - at >= kActivityFrame; at += kActivityFrame) {
    add_frame(std::span(pending_).subspan(at, kActivityFrame));
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at));
}

void SpeechDetector::finish() {
  if (is_speaking_) end();
  recent_.clear();
}

std::optional<SpeechEvent> SpeechDetector::next() {
  if (events_.empty()) return std::nullopt;
  const SpeechEvent event = events_.front();
  events_.pop_front();
  return event;
}

void SpeechDetector::add_frame(std::span<const float> frame) {
  const float probability = activity_.probability(frame);
  const std::int64_t begin = n_samples_;
  n_samples_ += static_cast<std::int64_t>(frame.size());
  if (is_speaking_) {
    // What may be voice delays the end but does not move it: in noise it follows every voice.
    if (probability >= kStartProbability) last_voice_ = n_samples_;
    if (probability >= kEndProbability) last_doubt_ = n_samples_;
    if (n_samples_ - last_doubt_ >= kEndSilence) end();
    return;
  }
  recent_.push_back(probability >= kStartProbability);
  if (recent_.size() > kStartFrames) recent_.pop_front();
  if (std::count(recent_.begin(), recent_.end(), true) < std::ptrdiff_t{kStartVoices}) return;

  const auto first = std::find(recent_.begin(), recent_.end(), true);
  first_voice_ = begin - (recent_.end() - first - 1) * static_cast<std::int64_t>(kActivityFrame);
  last_voice_ = last_doubt_ = n_samples_;
  is_speaking_ = true;
  recent_.clear();
  events_.push_back({.kind = SpeechEvent::Kind::Started,
                     .at = std::max({first_voice_ - kBefore, last_end_, std::int64_t{0}}),
                     .known_at = n_samples_});
}

void SpeechDetector::end() {
  const bool is_speech = last_voice_ - first_voice_ >= kLeastSpeech;
  events_.push_back({.kind = is_speech ? SpeechEvent::Kind::Ended : SpeechEvent::Kind::Dropped,
                     .at = last_voice_,
                     .known_at = n_samples_});
  last_end_ = last_voice_;
  is_speaking_ = false;
}

}  // namespace fourfold
