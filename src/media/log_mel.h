// Log-mel features, the front end of the audio tower (audio.md 3).
//
//   LogMel mel;                 // streaming: any sizes give the same rows, bit for bit
//   mel.push(samples, rows);    // appends the rows [n, 128] that are certain now
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fourfold {

inline constexpr int kMelBins = 128;
inline constexpr int kMelHop = 160;     // samples from one frame to the next
inline constexpr int kMelWindow = 320;  // samples of a frame

// floor((N − 1) / 160), 0 below 161 samples.
constexpr std::int64_t mel_frames(std::int64_t n_samples) {
  return n_samples < 161 ? 0 : (n_samples - 1) / kMelHop;
}
// Soft tokens of so many frames: ceil(F / 4).
constexpr std::int64_t audio_soft_tokens(std::int64_t n_frames) { return (n_frames + 3) / 4; }

class LogMel {
 public:
  LogMel();

  // Appends the rows [n, 128] that are certain now to `rows`; returns n. Frame i is certain once
  // sample 160 (i + 1) has come, one more than it covers; there is nothing to flush at the end.
  std::int64_t push(std::span<const float> samples, std::vector<float>& rows);
  // Back to the beginning of a block.
  void reset();

 private:
  std::vector<float> pending_;  // samples that later frames need too
};

// Of a whole block: [mel_frames(samples.size()), 128].
std::vector<float> log_mel(std::span<const float> samples);

// The constants, for tests: the window, and the weights of all filters as [128, 257].
std::vector<float> mel_window();
std::vector<float> mel_filters();

}  // namespace fourfold
