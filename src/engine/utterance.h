// What someone is saying: encoded while it is said, in blocks as long sound has them
// (audio.md 7.1).
//
//   Utterance utterance(*sound);
//   TRY(utterance.push(samples));        // any pieces
//   use(utterance.turn());               // what can be known so far, as a user's turn
//   TRY(utterance.finish());             // its turn is whole now
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "chat/conversation.h"
#include "engine/live_sound.h"
#include "tensor/soft_rows.h"

namespace fourfold {

// The rows of each block are those of its samples encoded at once, bit for bit.
class Utterance {
 public:
  // `sound` outlives this, and serves nobody else.
  explicit Utterance(LiveSound& sound) : sound_(sound) {}

  // Somebody begins to speak; what was said before is forgotten.
  void begin();
  Status push(std::span<const float> samples);
  // At least kLeastSamples came.
  Status finish();

  // Soft rows that will not change.
  std::int64_t n_rows() const;
  // One sound of all blocks. Rows of the last one may follow, and only follow, in later turns.
  Message turn();

 private:
  Status encode(std::size_t n_samples);
  Status close_block(std::size_t n_samples);
  std::shared_ptr<SoftRows> make_block(std::vector<float> values) const;

  LiveSound& sound_;
  std::vector<std::shared_ptr<SoftRows>> closed_;
  // Of the block that goes on.
  MediaKey key_ = {};
  std::vector<float> samples_;  // where its length has a limit: from its beginning; else to encode
  std::size_t n_encoded_ = 0;   // of them
  std::vector<float> rows_;     // [n, D]
};

}  // namespace fourfold
