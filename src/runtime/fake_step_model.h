// For tests: a model without weights whose logits are a function of the ids before them. It keeps
// the ids in the K/V cache and reads them back from there, so a row that stands in the wrong place,
// or belongs to another sequence, changes the answer.
#pragma once

#include <bit>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/kv_plan.h"
#include "runtime/sampler.h"
#include "runtime/step_model.h"

namespace fourfold {

inline constexpr int kFakeVocab = 97;
inline constexpr int kFakeWindow = 40;
inline constexpr int kFakeChunk = 24;  // a ring of 64 rows
inline constexpr int kFakeWidth = 1;   // of soft rows

// A ring layer and a global one; 4096 bytes a block of 64 tokens and layer.
inline std::shared_ptr<const KvPlan> fake_plan(bool whole_blocks = false) {
  KvPlan plan;
  plan.whole_blocks = whole_blocks;
  plan.window = kFakeWindow;
  plan.chunk = kFakeChunk;
  const KvLayout layout{.type = KvType::F32, .n_heads = 1, .channels = 8};
  plan.layers = {{.owns = true, .ring = true, .layout = layout},
                 {.owns = true, .ring = false, .layout = layout}};
  return std::make_shared<const KvPlan>(plan);
}

// Logits behind the ids that the global layer holds, of which the ring holds the last ones.
inline void fake_logits(std::span<const TokenId> ids, std::span<const TokenId> window,
                        std::span<float> out) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto mix = [&](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3u; };
  for (const TokenId id : ids) mix(static_cast<std::uint64_t>(id));
  for (const TokenId id : window) mix(static_cast<std::uint64_t>(id) + 1000);
  for (std::size_t i = 0; i < out.size(); ++i) {
    mix(i);
    out[i] = static_cast<float>(hash >> 32) / 4294967296.0f * 8.0f;
  }
}

inline std::span<const TokenId> fake_window(std::span<const TokenId> ids) {
  return ids.last(std::min<std::size_t>(ids.size(), kFakeWindow));
}

// What a soft row is to the model, which knows ids alone.
inline TokenId fake_id(float value) { return std::bit_cast<TokenId>(value); }

// A prompt as the model sees it.
inline std::vector<TokenId> fake_prompt(std::vector<TokenId> prompt,
                                        std::span<const SoftSpan> soft) {
  for (const SoftSpan& span : soft) {
    for (std::int64_t r = 0; r < span.rows->n_rows; ++r) {
      prompt[static_cast<std::size_t>(span.first + r)] =
          fake_id(span.rows->values[static_cast<std::size_t>(r)]);
    }
  }
  return prompt;
}

// What a test sees of the model, and does to it.
struct FakeModelControl {
  struct Row {
    TokenId first_id;  // of the sequence
    std::int64_t position, n_rows, n_prompt;
    std::vector<std::int32_t> blocks;
  };

  std::mutex mutex;
  std::condition_variable changed;
  bool closed = false;      // a step waits until this is false
  int n_passes = 0;         // or until one of these is left, and takes it
  bool is_waiting = false;  // and does so now
  std::chrono::microseconds step_time{0};
  std::function<std::optional<std::string>(std::span<const StepSegment>)> failure;
  std::vector<std::vector<Row>> steps;

  void close() {
    const std::lock_guard lock(mutex);
    closed = true;
  }
  void open() {
    const std::lock_guard lock(mutex);
    closed = false;
    changed.notify_all();
  }
  // Until a step waits for open().
  void wait_for_step() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return is_waiting; });
  }
  // Lets one step through.
  void pass() {
    std::unique_lock lock(mutex);
    ++n_passes;
    changed.notify_all();
    changed.wait(lock, [&] { return n_passes == 0; });
  }
};

class FakeStepModel : public StepModel {
 public:
  explicit FakeStepModel(std::shared_ptr<FakeModelControl> control)
      : control_(std::move(control)) {}

  int vocab_size() const override { return kFakeVocab; }

  Result<MatView> step(std::span<const StepSegment> segments) override {
    if (auto failed = begin_step(segments)) return internal_error("{}", *failed);
    logits_.clear();
    for (const StepSegment& segment : segments) run(segment);
    return MatView{logits_.data(), static_cast<std::int64_t>(logits_.size()) / kFakeVocab,
                   kFakeVocab, kFakeVocab};
  }

 private:
  std::optional<std::string> begin_step(std::span<const StepSegment> segments) {
    std::unique_lock lock(control_->mutex);
    std::vector<FakeModelControl::Row> rows;
    for (const StepSegment& segment : segments) {
      rows.push_back({segment.ids[0],
                      segment.rows.position,
                      static_cast<std::int64_t>(segment.rows.ids.size()),
                      segment.n_prompt,
                      {segment.rows.blocks.begin(), segment.rows.blocks.end()}});
    }
    control_->is_waiting = control_->closed;
    control_->changed.notify_all();
    control_->changed.wait(lock, [&] { return !control_->closed || control_->n_passes > 0; });
    control_->is_waiting = false;
    if (control_->closed) --control_->n_passes;
    control_->steps.push_back(std::move(rows));
    control_->changed.notify_all();
    const auto time = control_->step_time;
    auto failed = control_->failure ? control_->failure(segments) : std::nullopt;
    lock.unlock();
    if (time.count() > 0) std::this_thread::sleep_for(time);
    return failed;
  }

  static std::byte* place(const KvView& view, std::int64_t position) {
    return view.block(position / kKeyBlock) + position % kKeyBlock * view.layout.k_row_bytes();
  }

  void run(const StepSegment& segment) {
    const auto& rows = segment.rows;
    std::vector<TokenId> seen(rows.ids.begin(), rows.ids.end());
    for (std::size_t e = 0; e < rows.embed_rows.size(); ++e) {
      seen[static_cast<std::size_t>(rows.embed_rows[e])] = fake_id(rows.embeds[e]);
    }
    std::size_t next_wanted = 0;
    for (std::size_t i = 0; i < rows.ids.size(); ++i) {
      const std::int64_t position = rows.position + static_cast<std::int64_t>(i);
      for (const KvView& view : rows.kv) std::memcpy(place(view, position), &seen[i], 4);
      if (next_wanted == rows.wanted.size()) continue;
      if (rows.wanted[next_wanted] != static_cast<std::int32_t>(i)) continue;
      ++next_wanted;
      const auto all = read(rows.kv[1], 0, position + 1);
      const auto window =
          read(rows.kv[0], std::max<std::int64_t>(0, position + 1 - kFakeWindow), position + 1);
      logits_.resize(logits_.size() + kFakeVocab);
      fake_logits(all, window, std::span(logits_).last(kFakeVocab));
    }
  }

  static std::vector<TokenId> read(const KvView& view, std::int64_t first, std::int64_t end) {
    std::vector<TokenId> ids(static_cast<std::size_t>(end - first));
    for (std::int64_t p = first; p < end; ++p) {
      std::memcpy(&ids[static_cast<std::size_t>(p - first)], place(view, p), 4);
    }
    return ids;
  }

  std::shared_ptr<FakeModelControl> control_;
  std::vector<float> logits_;
};

// What the sequence must say, whatever its company: the same model without cache and batch.
inline std::vector<TokenId> fake_answer(const std::vector<TokenId>& prompt,
                                        const SampleOptions& options, std::int64_t n_tokens) {
  Sampler sampler(options);
  std::vector<TokenId> ids = prompt;
  std::vector<float> logits(kFakeVocab);
  for (std::int64_t i = 0; i < n_tokens; ++i) {
    fake_logits(ids, fake_window(ids), logits);
    const auto token = sampler.sample(logits, ids, static_cast<std::int64_t>(ids.size()), nullptr);
    ids.push_back(token->id);
  }
  return {ids.begin() + static_cast<std::ptrdiff_t>(prompt.size()), ids.end()};
}

}  // namespace fourfold
