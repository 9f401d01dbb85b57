#include "media/sound_windows.h"

#include <algorithm>
#include <numbers>
#include <optional>

#include "base/math.h"
#include "media/sound.h"

namespace fourfold {
namespace {

constexpr std::int64_t kLevelFrame = 480, kLevelStep = 160;  // 30 ms, 10 ms
constexpr std::int64_t kLeastSilence = 3'200;                // 200 ms
constexpr std::int64_t kFirstCut = 320'000;                  // 20 s
constexpr std::int64_t kStepBack = 1'000;  // what a rest that is too short for a block takes along

// The middle of the longest silence between 20 and 30 s of a window, the last one on a tie.
std::optional<std::int64_t> find_cut(std::span<const float> window) {
  const auto levels = sound_levels(window);
  const double limit = silence_level(levels);
  const auto n = static_cast<std::int64_t>(levels.size());
  std::int64_t longest = 0, cut = 0;
  for (std::int64_t begin = kFirstCut / kLevelStep; begin < n;) {
    std::int64_t end = begin;
    while (end < n && levels[static_cast<std::size_t>(end)] < limit) ++end;
    const std::int64_t length = end > begin ? (end - 1 - begin) * kLevelStep + kLevelFrame : 0;
    if (length >= kLeastSilence && length >= longest) {
      longest = length;
      cut = begin * kLevelStep + length / 2;
    }
    begin = end + 1;
  }
  if (longest == 0) return std::nullopt;
  return cut;
}

bool is_silent(std::span<const float> window) {
  const auto levels = sound_levels(window);
  return std::all_of(levels.begin(), levels.end(),
                     [](double level) { return level <= kSilentLevel; });
}

}  // namespace

double sound_level(std::span<const float> samples) {
  double sum = 0.0;
  for (const float sample : samples) sum += static_cast<double>(sample) * sample;
  const double mean = sum / static_cast<double>(std::max<std::size_t>(samples.size(), 1));
  return 10.0 * math::log(std::max(mean, 1e-12)) / std::numbers::ln10;
}

std::vector<double> sound_levels(std::span<const float> samples) {
  const auto n = static_cast<std::int64_t>(samples.size());
  if (n < kLevelFrame) return {sound_level(samples)};
  std::vector<double> levels;
  for (std::int64_t at = 0; at + kLevelFrame <= n; at += kLevelStep) {
    levels.push_back(sound_level(samples.subspan(static_cast<std::size_t>(at), kLevelFrame)));
  }
  return levels;
}

double silence_level(std::span<const double> levels) {
  std::vector<double> sorted(levels.begin(), levels.end());
  const auto tenth = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 10);
  std::nth_element(sorted.begin(), tenth, sorted.end());
  return std::max(*tenth + 6.0, kSilentLevel);
}

void SoundCutter::push(std::span<const float> samples) {
  pending_.insert(pending_.end(), samples.begin(), samples.end());
}

bool SoundCutter::next(SoundWindow& window, std::vector<float>& samples) {
  // A cut is certain once what follows it is long enough for a block of its own.
  if (!is_finished_ && n_pending() < kBlockSamples + kLeastSamples) return false;
  if (pending_.empty()) return false;

  std::int64_t length = n_pending();
  bool next_overlaps = false;
  const bool is_last = length <= kBlockSamples;
  if (!is_last) {
    const auto cut = find_cut(std::span(pending_).first(kBlockSamples));
    length = cut.value_or(kBlockSamples);
    next_overlaps = !cut && overlap_;
    if (!next_overlaps && n_pending() - length < kLeastSamples) length -= kStepBack;
  }
  const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(length);
  samples.assign(pending_.begin(), end);
  window = {.first = first_,
            .last = first_ + length,
            .is_silent = (!is_last || n_windows_ > 0) && is_silent(samples),
            .overlaps = next_overlaps_,
            .is_overlapped = next_overlaps};
  const std::int64_t step = next_overlaps ? length - kWindowOverlap : length;
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(step));
  first_ += step;
  next_overlaps_ = next_overlaps;
  ++n_windows_;
  return true;
}

std::vector<SoundWindow> cut_sound(std::span<const float> samples, bool overlap) {
  SoundCutter cutter(overlap);
  std::vector<SoundWindow> windows;
  SoundWindow window;
  std::vector<float> of_window;
  // In pieces: what waits in the cutter is moved with every window.
  while (true) {
    const auto piece = samples.first(std::min<std::size_t>(samples.size(), kBlockSamples));
    cutter.push(piece);
    samples = samples.subspan(piece.size());
    if (samples.empty()) cutter.finish();
    while (cutter.next(window, of_window)) windows.push_back(window);
    if (samples.empty()) return windows;
  }
}

}  // namespace fourfold
