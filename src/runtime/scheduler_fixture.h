// For tests: a scheduler on the model without weights, and what its sequences were told.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "runtime/fake_step_model.h"
#include "runtime/id_cache.h"
#include "runtime/scheduler.h"

namespace fourfold {

// Records what a sequence is told.
class Recorder : public SequenceSink {
 public:
  void on_start(std::int64_t cached_tokens) override {
    const std::lock_guard lock(mutex_);
    ++n_starts;
    cached = cached_tokens;
    changed_.notify_all();
  }
  void on_prefill(std::int64_t done, std::int64_t total) override {
    const std::lock_guard lock(mutex_);
    prefills.push_back(done);
    EXPECT_LE(done, total);
    changed_.notify_all();
  }
  TokenMask* mask() override { return mask_; }
  bool on_token(SampledToken token) override {
    const std::lock_guard lock(mutex_);
    tokens.push_back(token.id);
    changed_.notify_all();
    return !wants_more || wants_more(tokens.size());
  }
  void on_end(SequenceEnd report) override {
    if (at_end) at_end();
    const std::lock_guard lock(mutex_);
    ++n_ends;
    end = std::move(report);
    changed_.notify_all();
  }

  void wait_for_tokens(std::size_t n) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20),
                                  [&] { return tokens.size() >= n || n_ends > 0; }));
  }
  void wait() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return n_ends > 0; }))
        << "no end";
  }
  bool has_ended() {
    const std::lock_guard lock(mutex_);
    return n_ends > 0;
  }
  std::size_t n_tokens() {
    const std::lock_guard lock(mutex_);
    return tokens.size();
  }

  int n_starts = 0, n_ends = 0;
  std::int64_t cached = -1;
  std::vector<std::int64_t> prefills;
  std::vector<TokenId> tokens;
  SequenceEnd end;
  TokenMask* mask_ = nullptr;
  std::function<bool(std::size_t)> wants_more;
  std::function<void()> at_end;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

inline std::vector<TokenId> random_ids(std::uint32_t seed, int n) {
  std::mt19937 random(seed);
  std::vector<TokenId> ids;
  for (int i = 0; i < n; ++i) ids.push_back(static_cast<TokenId>(random() % kFakeVocab));
  return ids;
}

inline SequenceRequest request_of(std::vector<TokenId> prompt, std::int64_t max_tokens,
                                  std::uint64_t seed = 1) {
  SequenceRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.seed = seed;
  return request;
}

class SchedulerTest : public testing::Test {
 protected:
  SchedulerTest() { options_.context = 2000; }
  ~SchedulerTest() override { control_->open(); }

  // Bytes of one sequence of so many tokens, all of which prefixes may take.
  void set_budget(std::int64_t n_tokens) {
    options_.kv_budget_bytes = static_cast<std::uint64_t>(plan_->bytes(n_tokens));
    options_.prefix_budget_bytes = options_.kv_budget_bytes;
  }

  Scheduler& scheduler() {
    if (!scheduler_) {
      scheduler_ = std::make_unique<Scheduler>(std::make_unique<FakeStepModel>(control_), plan_,
                                               SamplerRules{}, options_);
    }
    return *scheduler_;
  }

  std::shared_ptr<Recorder> start(SequenceRequest request) {
    auto sink = std::make_shared<Recorder>();
    start(std::move(request), sink);
    return sink;
  }
  SequenceId start(SequenceRequest request, std::shared_ptr<Recorder> sink) {
    auto id = scheduler().submit(std::move(request), std::move(sink));
    EXPECT_TRUE(id.ok()) << id.error().message;
    return id.ok() ? *id : 0;
  }
  // Runs it and looks at its tokens.
  std::shared_ptr<Recorder> run(const SequenceRequest& request) {
    auto sink = start(request);
    sink->wait();
    expect_answer(*sink, request);
    return sink;
  }
  static void expect_answer(const Recorder& sink, const SequenceRequest& request) {
    EXPECT_EQ(sink.end.finish, SequenceFinish::Length)
        << (sink.end.error ? sink.end.error->message : "");
    EXPECT_EQ(sink.tokens, fake_answer(fake_prompt(request.prompt, request.soft), request.sampling,
                                       request.max_tokens));
    EXPECT_EQ(sink.n_starts, 1);
    EXPECT_EQ(sink.n_ends, 1);
  }

  std::shared_ptr<const KvPlan> plan_ = fake_plan();
  std::shared_ptr<FakeModelControl> control_ = std::make_shared<FakeModelControl>();
  SchedulerOptions options_;
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace fourfold
