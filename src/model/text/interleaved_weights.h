// Copies of a body's quantised matrices with 16 rows interleaved, in huge pages: a decode step then
// reads one stream of memory a core (docs/decisions/0005-packed-weights.md). One thread of low
// priority makes them while the body answers already; products use what is there, to the same bits.
//
//   InterleavedWeights copies(weights, checkpoint);  // no memory yet
//   copies.start();
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/huge_memory.h"
#include "formats/checkpoint.h"
#include "model/text/weights.h"
#include "tensor/interleaved_rows.h"

namespace fourfold {

class InterleavedWeights {
 public:
  // Shows each matrix of `weights` that suits one its copy, which is empty. Both must outlive this.
  InterleavedWeights(TextWeights& weights, const Checkpoint& checkpoint);
  ~InterleavedWeights();

  // Of all copies.
  std::uint64_t size_bytes() const { return size_bytes_; }

  // Makes the copies in the background, once. Pages of the file that are copied leave the process.
  // It stops for good when may_take(bytes), asked every few megabytes, says no.
  void start(std::function<bool(std::uint64_t bytes)> may_take);
  // Returns when nothing more will be copied; true when all is.
  bool wait();

 private:
  void add(Matrix& w);
  void fill_all(const std::function<bool(std::uint64_t bytes)>& may_take);

  const Checkpoint& checkpoint_;
  std::vector<Matrix*> sources_;  // in the order in which a token reads them
  std::deque<InterleavedMatrix> matrices_;
  std::unique_ptr<HugeMemory> memory_;
  std::uint64_t size_bytes_ = 0;
  std::thread thread_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace fourfold
