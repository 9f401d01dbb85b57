#include "engine/engine_step_model.h"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

namespace fourfold {
namespace {

// First come, first served: a mutex alone would let one busy model have every turn.
struct Turns {
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t next_ticket = 0, now_serving = 0;
};

Turns& turns() {
  static Turns all;
  return all;
}

// Its life is one turn.
class Turn {
 public:
  Turn() {
    std::unique_lock lock(turns().mutex);
    const std::uint64_t ticket = turns().next_ticket++;
    turns().changed.wait(lock, [&] { return ticket == turns().now_serving; });
  }
  ~Turn() {
    {
      const std::lock_guard lock(turns().mutex);
      ++turns().now_serving;
    }
    turns().changed.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
};

class EngineStepModel final : public StepModel {
 public:
  explicit EngineStepModel(Engine& engine) : engine_(engine) {}

  int vocab_size() const override { return engine_.config().text.vocab_size; }

  Result<MatView> step(std::span<const StepSegment> segments) override {
    const Turn turn;
    batch_.clear();
    for (const auto& segment : segments) batch_.push_back(segment.rows);
    Decoder& decoder = engine_.decoder();
    const MatView hidden = TRY(decoder.forward(batch_));
    const std::int64_t V = vocab_size();
    const auto size = static_cast<std::size_t>(hidden.n_rows * V);
    if (logits_.size() < size) logits_.resize(size);
    const MatView logits{logits_.data(), hidden.n_rows, V, V};
    if (hidden.n_rows > 0) decoder.logits(hidden, logits);
    return logits;
  }

 private:
  Engine& engine_;
  std::vector<BatchSegment> batch_;
  std::vector<float> logits_;  // [n_wanted, V] of the largest step so far
};

}  // namespace

std::unique_ptr<StepModel> make_engine_step_model(Engine& engine) {
  return std::make_unique<EngineStepModel>(engine);
}

}  // namespace fourfold
