// The ears of a model, held open: rows of what is being said while it is said (audio.md 5.3).
//
//   auto sound = TRY(engine.media().open_live_sound());
//   TRY(sound->push(samples, rows));   // any pieces: the rows of the whole, bit for bit
//   TRY(sound->finish(rows));          // the last ones; the next block begins
#pragma once

#include <span>
#include <vector>

#include "base/result.h"

namespace fourfold {

// One block at a time, one thread at a time. The encoder outlives this, and takes turns with it.
class LiveSound {
 public:
  virtual ~LiveSound() = default;

  virtual int width() const = 0;          // D of a row
  virtual bool has_no_limit() const = 0;  // of samples in a block; others hold kBlockSamples

  // Appends the rows [n, D] that are final now.
  virtual Status push(std::span<const float> samples, std::vector<float>& rows) = 0;
  virtual Status finish(std::vector<float>& rows) = 0;
  // Forgets the block so far.
  virtual void reset() = 0;
};

}  // namespace fourfold
