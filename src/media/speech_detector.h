// Where someone begins to speak and where they have ended, while samples arrive (audio.md 7.2).
//
//   LevelActivity activity;
//   SpeechDetector detector(activity);
//   detector.push(samples);                        // at 16 kHz, any pieces
//   while (const auto event = detector.next()) …
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace fourfold {

inline constexpr std::size_t kActivityFrame = 512;  // samples, 32 ms

// How likely a frame is speech; frames come in order.
class VoiceActivity {
 public:
  virtual ~VoiceActivity() = default;
  virtual float probability(std::span<const float> frame) = 0;  // kActivityFrame samples
};

// The rule of levels: 6 dB above the tenth percentile of the last 30 s, at least −50 dBFS. It knows
// no speech from other sounds, and none below them.
class LevelActivity final : public VoiceActivity {
 public:
  float probability(std::span<const float> frame) override;

 private:
  std::deque<double> levels_;  // dBFS, of the last 30 s
};

struct SpeechEvent {
  enum class Kind {
    Started,  // `at`: where the utterance begins, a little before the first voice
    Ended,    // `at`: where the last voice ended
    Dropped,  // what had started was too short to be speech
  };

  Kind kind = Kind::Started;
  std::int64_t at = 0;        // sample
  std::int64_t known_at = 0;  // sample after which it was known

  bool operator==(const SpeechEvent&) const = default;
};

class SpeechDetector {
 public:
  // `activity` outlives this.
  explicit SpeechDetector(VoiceActivity& activity) : activity_(activity) {}

  void push(std::span<const float> samples);
  // The input ends: so does what is being said.
  void finish();
  std::optional<SpeechEvent> next();

  bool is_speaking() const { return is_speaking_; }
  // Where the last voice ended; of the utterance while somebody speaks.
  std::int64_t last_voice() const { return last_voice_; }
  // Samples of voice in the utterance so far; 0 while nobody speaks.
  std::int64_t spoken() const { return is_speaking_ ? last_voice_ - first_voice_ : 0; }

 private:
  void add_frame(std::span<const float> frame);
  void end();

  VoiceActivity& activity_;
  std::vector<float> pending_;  // less than a frame
  std::int64_t n_samples_ = 0;  // in whole frames so far
  std::deque<bool> recent_;     // of the last frames: is it voice?
  bool is_speaking_ = false;
  std::int64_t first_voice_ = 0, last_voice_ = 0;  // of the utterance
  std::int64_t last_doubt_ = 0;                    // end of the last frame that may be voice
  std::int64_t last_end_ = 0;                      // of the utterance before
  std::deque<SpeechEvent> events_;
};

}  // namespace fourfold
