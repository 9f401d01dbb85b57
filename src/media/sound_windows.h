// Where long sound is cut: at silences, into windows of at most 30 s (audio.md 7.1).
//
//   SoundCutter cutter(/*overlap=*/true);
//   cutter.push(samples);                        // as they come; finish() after the last
//   while (cutter.next(window, samples)) use(window, samples);
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fourfold {

inline constexpr std::int64_t kWindowOverlap = 32'000;  // 2 s

struct SoundWindow {
  std::int64_t first = 0, last = 0;  // samples [first, last) of the clip
  bool is_silent = false;            // never passes −50 dBFS; only of clips of several windows
  bool overlaps = false;             // begins 2 s before the end of the one before
  bool is_overlapped = false;        // the next one begins 2 s before its end

  bool operator==(const SoundWindow&) const = default;
};

// Finds windows while samples arrive; at most one window and what follows it is held.
class SoundCutter {
 public:
  // overlap: a window that found no silence is followed by one that starts 2 s earlier.
  explicit SoundCutter(bool overlap) : overlap_(overlap) {}

  void push(std::span<const float> samples);
  void finish() { is_finished_ = true; }
  // The next window that is certain, with its samples; false: more must arrive first, or the end.
  bool next(SoundWindow& window, std::vector<float>& samples);

 private:
  std::int64_t n_pending() const { return static_cast<std::int64_t>(pending_.size()); }

  bool overlap_;
  bool is_finished_ = false;
  bool next_overlaps_ = false;
  std::int64_t first_ = 0;  // position of pending_[0] in the clip
  std::int64_t n_windows_ = 0;
  std::vector<float> pending_;
};

// All windows of a clip.
std::vector<SoundWindow> cut_sound(std::span<const float> samples, bool overlap);

// Of all samples together, dBFS.
double sound_level(std::span<const float> samples);
// Levels of 30 ms in steps of 10 ms, dBFS; a digital silence is −120. A shorter clip has one.
std::vector<double> sound_levels(std::span<const float> samples);

inline constexpr double kSilentLevel = -50.0;  // dBFS

// Below this a level counts as silence beside the others: 6 dB above their tenth percentile, at
// least −50 dBFS.
double silence_level(std::span<const double> levels);

}  // namespace fourfold
