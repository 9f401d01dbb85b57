// Is someone speaking? The Silero VAD network (v5 and v6, 16 kHz) on frames of 32 ms. Its weights,
// silero_vad_16k.safetensors (1.2 MB, MIT), come with their Python package
// (tools/fetch_silero_vad.py).
//
//   auto vad = TRY(SileroVad::load(path));
//   const float p = vad->next(frame);   // 512 samples: the probability of speech
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace fourfold {

inline constexpr std::size_t kVadFrame = 512;  // samples at 16 kHz
inline constexpr const char* kSileroFile = "silero_vad_16k.safetensors";

// One stream of sound, one thread at a time. About 0.3 million weights a frame: no thread pool.
class SileroVad {
 public:
  // NotFound without the file; FailedPrecondition naming the tensor that is missing or has another
  // shape.
  static Result<std::unique_ptr<SileroVad>> load(const std::string& path);
  ~SileroVad();

  float next(std::span<const float, kVadFrame> frame);
  // A new stream.
  void reset();

 private:
  struct Network;
  struct State;
  explicit SileroVad(std::unique_ptr<const Network> network);

  std::unique_ptr<const Network> network_;
  std::unique_ptr<State> s_;
};

}  // namespace fourfold
