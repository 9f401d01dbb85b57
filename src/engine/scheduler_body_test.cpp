// The scheduler on a tiny body: batches, cached prefixes and pauses give the bits of a lone
// session.
#include <gtest/gtest.h>

#include <random>

#include "engine/engine.h"
#include "engine/engine_step_model.h"
#include "engine/test_listener.h"
#include "formats/golden.h"
#include "formats/test_files.h"
#include "runtime/scheduler.h"

namespace fourfold {
namespace {

constexpr int kAnswer = 24;

std::vector<TokenId> random_ids(std::uint32_t seed, int n) {
  std::mt19937 random(seed);
  std::vector<TokenId> ids;
  for (int i = 0; i < n; ++i) ids.push_back(static_cast<TokenId>(3 + random() % 300));
  return ids;
}

// Prompts of many lengths, the second half with a common beginning.
std::vector<SequenceRequest> some_requests() {
  std::vector<SequenceRequest> requests;
  const auto shared = random_ids(1, 90);
  for (std::uint32_t i = 0; i < 10; ++i) {
    SequenceRequest request;
    if (i >= 5) request.prompt = shared;
    const auto own = random_ids(100 + i, static_cast<int>(1 + 31 * i % 120));
    request.prompt.insert(request.prompt.end(), own.begin(), own.end());
    request.max_tokens = kAnswer;
    request.sampling.seed = i;
    request.sampling.n_logprobs = 3;
    if (i % 2 == 0) request.branch_points = {90};
    requests.push_back(std::move(request));
  }
  return requests;
}

std::vector<SampledToken> alone(Engine& engine, const SequenceRequest& request) {
  const auto result = engine.new_session()->generate(
      {.prompt = request.prompt, .sampling = request.sampling, .max_tokens = request.max_tokens},
      {});
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result->tokens;
}

void expect_same_bits(const std::vector<SampledToken>& a, const std::vector<SampledToken>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].id, b[i].id) << "token " << i;
    ASSERT_EQ(a[i].logprob, b[i].logprob) << "token " << i;
    ASSERT_EQ(a[i].top_logprobs.size(), b[i].top_logprobs.size());
    for (std::size_t k = 0; k < a[i].top_logprobs.size(); ++k) {
      ASSERT_EQ(a[i].top_logprobs[k].id, b[i].top_logprobs[k].id);
      ASSERT_EQ(a[i].top_logprobs[k].logprob, b[i].top_logprobs[k].logprob);
    }
  }
}

class SchedulerOnABody : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto engine = Engine::open(golden_path(std::string("text/") + GetParam() + "/model.gguf"),
                               {.n_threads = 2, .context = 400, .chunk = 16});
    ASSERT_TRUE(engine.ok()) << engine.error().message;
    engine_ = std::move(*engine);
    for (const auto& request : requests_) expected_.push_back(alone(*engine_, request));
  }

  std::unique_ptr<Scheduler> make_scheduler(std::int64_t kv_budget_bytes,
                                            const std::string& store_folder = "") const {
    return std::make_unique<Scheduler>(
        make_engine_step_model(*engine_), std::make_shared<const KvPlan>(engine_->kv_plan()),
        engine_->sampler_rules(),
        SchedulerOptions{.context = engine_->context(),
                         .kv_budget_bytes = static_cast<std::uint64_t>(kv_budget_bytes),
                         .chunk = engine_->chunk(),
                         .store = {.folder = store_folder, .least_tokens = 20}});
  }

  // All at once; the cached tokens of each.
  std::vector<std::int64_t> run_all(Scheduler& scheduler) const {
    std::vector<std::shared_ptr<Listener>> listeners;
    for (const auto& request : requests_) {
      listeners.push_back(std::make_shared<Listener>());
      EXPECT_TRUE(scheduler.submit(request, listeners.back()).ok());
    }
    std::vector<std::int64_t> cached;
    for (std::size_t i = 0; i < listeners.size(); ++i) {
      listeners[i]->wait();
      expect_same_bits(listeners[i]->tokens, expected_[i]);
      cached.push_back(listeners[i]->cached);
    }
    return cached;
  }

  std::unique_ptr<Engine> engine_;
  const std::vector<SequenceRequest> requests_ = some_requests();
  std::vector<std::vector<SampledToken>> expected_;
};

TEST_P(SchedulerOnABody, GivesTheBitsOfALoneSessionInABatchAndFromCachedPrefixes) {
  const auto scheduler = make_scheduler(engine_->kv_plan().bytes(400) * 100);
  const auto first = run_all(*scheduler);
  for (std::size_t i = 6; i < first.size(); ++i) EXPECT_GE(first[i], 90) << i;
  const auto second = run_all(*scheduler);
  for (std::size_t i = 0; i < second.size(); ++i) {
    EXPECT_EQ(second[i], static_cast<std::int64_t>(requests_[i].prompt.size()) - 1) << i;
  }
  EXPECT_EQ(scheduler->stats().n_preemptions, 0u);
}

TEST_P(SchedulerOnABody, GivesTheSameBitsWhereMemoryIsShort) {
  const auto scheduler = make_scheduler(engine_->kv_plan().bytes(400));
  run_all(*scheduler);
  run_all(*scheduler);
  EXPECT_LE(scheduler->stats().kv_bytes, scheduler->stats().kv_budget_bytes);
}

TEST_P(SchedulerOnABody, GivesTheSameBitsFromStoredPrefixes) {
  const testing_files::TempFolder folder;
  const std::int64_t budget = engine_->kv_plan().bytes(400) * 100;
  run_all(*make_scheduler(budget, folder.file("store")));
  const auto scheduler = make_scheduler(budget, folder.file("store"));
  const auto cached = run_all(*scheduler);
  EXPECT_GT(scheduler->stats().store.n_loaded, 3u);
  EXPECT_EQ(scheduler->stats().store.n_rejected, 0u);
  EXPECT_GT(cached.back(), 90);
}

INSTANTIATE_TEST_SUITE_P(Bodies, SchedulerOnABody, testing::Values("e2b", "31b", "26b", "gemma3"),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace fourfold
