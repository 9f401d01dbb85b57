#include "model/text/interleaved_weights.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "base/signal_block.h"

namespace fourfold {
namespace {

// Copies begin at cache lines.
constexpr std::int64_t kAlignment = 64;
// What is copied between two looks at the memory, and then leaves the process at its old place.
constexpr std::int64_t kStretch = 16 << 20;
constexpr int kNice = 10;

std::uint64_t aligned_size(const Matrix& w) {
  return static_cast<std::uint64_t>(round_up(InterleavedMatrix::size_bytes(w), kAlignment));
}

// The file's pages of these bytes leave the process; the page cache keeps them.
void release_source(const Checkpoint& checkpoint, const std::byte* p, std::uint64_t n_bytes) {
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    const auto bytes = tensor.bytes();
    if (p < bytes.data() || p >= bytes.data() + bytes.size()) continue;
    const auto offset = tensor.offset + static_cast<std::uint64_t>(p - bytes.data());
    tensor.file->release_pages(offset, n_bytes);
    return;
  }
}

}  // namespace

InterleavedWeights::InterleavedWeights(TextWeights& weights, const Checkpoint& checkpoint)
    : checkpoint_(checkpoint) {
  for (LayerWeights& layer : weights.layers) {
    for (Matrix* w : {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down,
                      &layer.per_layer_gate, &layer.per_layer_projection}) {
      add(*w);
    }
    for (ExpertWeights& expert : layer.experts) {
      for (Matrix* w : {&expert.gate, &expert.up, &expert.down}) add(*w);
    }
  }
  add(weights.head);
  memory_ = std::make_unique<HugeMemory>(size_bytes_);
  if (!memory_->data()) return;
  std::byte* place = memory_->data();
  for (Matrix* w : sources_) {
    w->interleaved = &matrices_.emplace_back(*w, place);
    place += aligned_size(*w);
  }
}

InterleavedWeights::~InterleavedWeights() {
  stopping_.store(true, std::memory_order_relaxed);
  wait();
}

void InterleavedWeights::add(Matrix& w) {
  if (!InterleavedMatrix::suits(w)) return;
  sources_.push_back(&w);
  size_bytes_ += aligned_size(w);
}

void InterleavedWeights::start(std::function<bool(std::uint64_t bytes)> may_take) {
  if (matrices_.empty() || thread_.joinable()) return;
  const SignalBlock block;
  thread_ = std::thread([this, may_take = std::move(may_take)] {
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);  // of this thread alone
    fill_all(may_take);
  });
}

bool InterleavedWeights::wait() {
  if (thread_.joinable()) thread_.join();
  if (matrices_.empty()) return false;
  const InterleavedMatrix& last = matrices_.back();
  return last.has_panel(last.n_panels() - 1);
}

void InterleavedWeights::fill_all(const std::function<bool(std::uint64_t bytes)>& may_take) {
  for (InterleavedMatrix& matrix : matrices_) {
    const Matrix& source = matrix.source();
    const std::int64_t panel_bytes = kInterleave * source.row_bytes();
    const std::int64_t stretch = std::max<std::int64_t>(kStretch / panel_bytes, 1);
    for (std::int64_t first = 0; first < matrix.n_panels(); first += stretch) {
      const std::int64_t n = std::min(stretch, matrix.n_panels() - first);
      if (!may_take(static_cast<std::uint64_t>(n * panel_bytes))) return;
      for (std::int64_t i = 0; i < n; ++i) {
        if (stopping_.load(std::memory_order_relaxed)) return;
        matrix.fill_next();
      }
      release_source(checkpoint_, source.row(first * kInterleave),
                     static_cast<std::uint64_t>(n * panel_bytes));
    }
  }
}

}  // namespace fourfold
