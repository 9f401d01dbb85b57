// What the scheduler runs: rows of many sequences go in, logits come out. The engine's decoder is
// one; tests have others that play scripted logits.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "model/text/decoder.h"
#include "tokenizer/token_id.h"

namespace fourfold {

// Rows that one sequence gets in a step. Views for the duration of the call.
struct StepSegment {
  BatchSegment rows;
  std::span<const TokenId> ids;  // the sequence up to and with these rows
  std::int64_t n_prompt = 0;     // how many of them are its prompt
};

class StepModel {
 public:
  virtual ~StepModel() = default;

  virtual int vocab_size() const = 0;
  // Stores the K/V of all rows; the logits [n_wanted, V] of all wanted rows in order, soft-capped,
  // valid until the next call.
  virtual Result<MatView> step(std::span<const StepSegment> segments) = 0;
};

}  // namespace fourfold
