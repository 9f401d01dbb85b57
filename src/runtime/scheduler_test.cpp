#include "runtime/scheduler.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "formats/test_files.h"
#include "runtime/scheduler_fixture.h"

namespace fourfold {
namespace {

using namespace std::chrono_literals;

// --- answers ---

TEST_F(SchedulerTest, GivesTheAnswerOfALoneRunInAnyCompany) {
  std::vector<SequenceRequest> requests;
  for (int i = 0; i < 60; ++i) {
    const auto number = static_cast<std::uint32_t>(i);
    requests.push_back(request_of(random_ids(number, 1 + i * 7 % 200), 1 + i * 5 % 90, number));
    requests.back().user = i % 3 == 0 ? "ann" : "bob";
    requests.back().branch_points = {10, 64, 100};
  }
  std::vector<std::shared_ptr<Recorder>> sinks;
  for (const auto& request : requests) sinks.push_back(start(request));
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    sinks[i]->wait();
    expect_answer(*sinks[i], requests[i]);
  }
  EXPECT_TRUE(scheduler().is_idle());
  EXPECT_GT(scheduler().stats().n_decode_rows, scheduler().stats().n_decode_steps);
}

TEST_F(SchedulerTest, PenalisesWithTheWholeHistory) {
  auto request = request_of(random_ids(1, 30), 50);
  request.sampling.repeat_penalty = 1.3f;
  request.sampling.repeat_last_n = -1;
  run(request);
}

TEST_F(SchedulerTest, EndsAtAStopIdAndDoesNotTellIt) {
  auto request = request_of(random_ids(2, 20), 40);
  const auto answer = fake_answer(request.prompt, request.sampling, 40);
  request.stop_ids = {answer[7]};
  const auto sink = start(request);
  sink->wait();
  EXPECT_EQ(sink->end.finish, SequenceFinish::Stop);
  EXPECT_EQ(sink->end.stop_id, answer[7]);
  const auto first = std::find(answer.begin(), answer.end(), answer[7]);
  EXPECT_EQ(sink->tokens, std::vector<TokenId>(answer.begin(), first));
}

TEST_F(SchedulerTest, EndsWhenTheSinkWantsNoMore) {
  auto sink = std::make_shared<Recorder>();
  sink->wants_more = [](std::size_t n) { return n < 3; };
  start(request_of(random_ids(3, 20), 40), sink);
  sink->wait();
  EXPECT_EQ(sink->end.finish, SequenceFinish::Ended);
  EXPECT_EQ(sink->tokens.size(), 3u);
}

TEST_F(SchedulerTest, SaysWhetherTheLimitOrTheContextEndedTheAnswer) {
  options_.context = 64;
  const auto limited = start(request_of(random_ids(4, 54), 10));
  const auto full = start(request_of(random_ids(4, 54), 11));
  const auto unlimited = start(request_of(random_ids(4, 54), -1));
  for (const auto& sink : {limited, full, unlimited}) sink->wait();
  EXPECT_EQ(limited->end.finish, SequenceFinish::Length);
  EXPECT_EQ(full->end.finish, SequenceFinish::ContextFull);
  EXPECT_EQ(unlimited->end.finish, SequenceFinish::ContextFull);
  EXPECT_EQ(unlimited->tokens.size(), 10u);
}

TEST_F(SchedulerTest, RunsAPromptWithoutAnAnswer) {
  const auto sink = start(request_of(random_ids(5, 100), 0));
  sink->wait();
  EXPECT_EQ(sink->end.finish, SequenceFinish::Length);
  EXPECT_TRUE(sink->tokens.empty());
  EXPECT_EQ(sink->prefills.back(), 100);
  EXPECT_EQ(scheduler().cached_prefix(position_keys(random_ids(5, 100))), 100);
}

TEST_F(SchedulerTest, RefusesWhatCannotRun) {
  options_.context = 64;
  const auto refused = [&](SequenceRequest request) {
    auto id = scheduler().submit(std::move(request), std::make_shared<Recorder>());
    EXPECT_FALSE(id.ok());
    return id.ok() ? Error{} : id.error();
  };
  EXPECT_EQ(refused(request_of({}, 1)).code, Code::InvalidArgument);
  EXPECT_EQ(refused(request_of({1, kFakeVocab}, 1)).code, Code::InvalidArgument);
  EXPECT_EQ(refused(request_of({1, -1}, 1)).code, Code::InvalidArgument);
  auto hot = request_of({1}, 1);
  hot.sampling.temperature = -1.0f;
  EXPECT_EQ(refused(hot).code, Code::InvalidArgument);
  const Error too_long = refused(request_of(random_ids(1, 64), 1));
  EXPECT_EQ(too_long.code, Code::ResourceExhausted);
  EXPECT_EQ(too_long.reason(), "context_length_exceeded");
  EXPECT_EQ(too_long.detail->prompt_tokens, 64);
  EXPECT_EQ(too_long.detail->context_tokens, 64);
}

// Allows one id, and hears of all.
class OnlyId : public TokenMask {
 public:
  explicit OnlyId(TokenId id) : bits_(2, 0) {
    if (id >= 0) bits_[static_cast<std::size_t>(id) / 64] = std::uint64_t{1} << (id % 64);
  }
  std::span<const std::uint64_t> allowed() const override { return bits_; }
  bool may_penalise(TokenId) const override { return true; }
  Status commit(TokenId id) override {
    if (committed.size() == 4) return failed_precondition("enough");
    committed.push_back(id);
    return {};
  }
  std::vector<TokenId> committed;

 private:
  std::vector<std::uint64_t> bits_;
};

TEST_F(SchedulerTest, ObeysTheMaskAndTellsItEveryToken) {
  OnlyId mask(70);
  auto sink = std::make_shared<Recorder>();
  sink->mask_ = &mask;
  start(request_of(random_ids(6, 20), 4), sink);
  sink->wait();
  EXPECT_EQ(sink->tokens, std::vector<TokenId>(4, 70));
  EXPECT_EQ(mask.committed, sink->tokens);
}

TEST_F(SchedulerTest, FailsOneSequenceWhoseMaskFails) {
  OnlyId nothing(-1), few(70);
  auto stuck = std::make_shared<Recorder>(), refused = std::make_shared<Recorder>();
  stuck->mask_ = &nothing;
  refused->mask_ = &few;
  const auto request = request_of(random_ids(7, 20), 30);
  const auto other = start(request);
  start(request_of(random_ids(6, 20), 4), stuck);
  start(request_of(random_ids(6, 20), 5), refused);
  for (const auto& sink : {other, stuck, refused}) sink->wait();
  EXPECT_EQ(stuck->end.finish, SequenceFinish::Failed);
  EXPECT_EQ(stuck->end.error->code, Code::Internal);
  EXPECT_EQ(refused->end.error->message, "enough");
  EXPECT_EQ(refused->tokens.size(), 4u);
  expect_answer(*other, request);
}

TEST_F(SchedulerTest, FailsTheSequencesOfAStepThatFailsAndNoOthers) {
  control_->failure = [](std::span<const StepSegment> segments) -> std::optional<std::string> {
    for (const auto& segment : segments) {
      if (segment.ids[0] == 13) return "the disk is gone";
    }
    return std::nullopt;
  };
  options_.max_running = 1;
  const auto request = request_of(random_ids(7, 30), 10);
  const auto bad = start(request_of({13, 1, 2}, 10));
  const auto good = start(request);
  bad->wait();
  good->wait();
  EXPECT_EQ(bad->end.finish, SequenceFinish::Failed);
  EXPECT_EQ(bad->end.error->code, Code::Internal);
  EXPECT_EQ(bad->end.error->message, "the disk is gone");
  expect_answer(*good, request);
}

// --- steps ---

TEST_F(SchedulerTest, GivesEveryAnswerItsRowInEveryStepBesidePrompts) {
  options_.step_ms = 0.0;  // the least: 16 rows
  control_->close();
  const auto talker = start(request_of({1, 2, 3}, 200));
  control_->wait_for_step();
  const auto long_prompt = start(request_of(random_ids(8, 400), 5));
  control_->open();
  long_prompt->wait();
  talker->wait();
  std::int64_t position = -1;
  for (const auto& step : control_->steps) {
    std::int64_t n_prefill = 0;
    bool talks = false;
    for (const auto& row : step) {
      const bool decodes = row.position >= row.n_prompt;
      if (!decodes) n_prefill += row.n_rows;
      if (row.n_prompt == 3) {
        talks = true;
        if (decodes) position = row.position;
      }
    }
    EXPECT_LE(n_prefill, 16);
    EXPECT_TRUE(talks || position == 201);
  }
  EXPECT_EQ(position, 201);
}

TEST_F(SchedulerTest, TakesWholeChunksWhenNobodyElseIsThere) {
  run(request_of(random_ids(8, 200), 2));
  ASSERT_GE(control_->steps.size(), 2u);
  EXPECT_EQ(control_->steps[0][0].n_rows, kFakeChunk);
  EXPECT_EQ(control_->steps[1][0].n_rows, kFakeChunk);
}

// --- cancelling, deadlines ---

TEST_F(SchedulerTest, CancelsInEveryPhaseWithinAStep) {
  options_.max_running = 2;
  control_->close();
  auto prefilling = std::make_shared<Recorder>(), decoding = std::make_shared<Recorder>(),
       queued = std::make_shared<Recorder>();
  const auto decoding_id = start(request_of({1, 2}, 500), decoding);
  control_->wait_for_step();
  control_->pass();
  const auto prefilling_id = start(request_of(random_ids(9, 800), 5), prefilling);
  const auto queued_id = start(request_of({5}, 5), queued);
  control_->wait_for_step();
  control_->pass();
  control_->wait_for_step();
  for (const auto id : {queued_id, prefilling_id, decoding_id}) scheduler().cancel(id);
  control_->pass();
  for (const auto& sink : {queued, prefilling, decoding}) {
    sink->wait();
    EXPECT_EQ(sink->end.finish, SequenceFinish::Cancelled);
    EXPECT_EQ(sink->n_ends, 1);
  }
  EXPECT_EQ(queued->n_starts, 0);
  EXPECT_TRUE(prefilling->tokens.empty());
  EXPECT_LE(decoding->tokens.size(), 4u);
  EXPECT_TRUE(scheduler().is_idle());
  scheduler().cancel(decoding_id);  // has ended: no effect
  control_->open();
}

TEST_F(SchedulerTest, CancelsEverythingWhenItGoes) {
  options_.max_running = 1;
  control_->step_time = 1ms;
  const auto running = start(request_of({1}, 1000));
  const auto queued = start(request_of({2}, 1000));
  running->wait_for_tokens(2);
  scheduler_.reset();
  EXPECT_EQ(running->end.finish, SequenceFinish::Cancelled);
  EXPECT_EQ(queued->end.finish, SequenceFinish::Cancelled);
}

TEST_F(SchedulerTest, EndsWhatIsTooLate) {
  options_.max_running = 1;
  control_->step_time = 2ms;
  auto answer = request_of({1}, 1000);
  answer.deadline = std::chrono::steady_clock::now() + 60ms;
  const auto running = start(answer);
  auto waits = request_of({2}, 5);
  waits.deadline = std::chrono::steady_clock::now() + 20ms;
  const auto queued = start(waits);
  for (const auto& sink : {queued, running}) {
    sink->wait();
    EXPECT_EQ(sink->end.finish, SequenceFinish::Failed);
    EXPECT_EQ(sink->end.error->code, Code::DeadlineExceeded);
  }
  EXPECT_EQ(queued->n_starts, 0);
  EXPECT_GT(running->tokens.size(), 0u);
}

// --- order ---

TEST_F(SchedulerTest, DoesNotLetOneUserStarveAnother) {
  options_.max_running = 4;
  options_.max_queue_per_user = 64;
  control_->close();
  std::atomic<int> n_ended = 0;
  std::vector<std::shared_ptr<Recorder>> greedy;
  for (int i = 0; i < 50; ++i) {
    auto request = request_of(random_ids(static_cast<std::uint32_t>(i), 60), 10);
    request.user = "greedy";
    greedy.push_back(std::make_shared<Recorder>());
    greedy.back()->at_end = [&] { ++n_ended; };
    start(std::move(request), greedy.back());
  }
  control_->wait_for_step();
  auto modest = std::make_shared<Recorder>();
  int n_before = -1;
  modest->at_end = [&] { n_before = n_ended; };
  auto request = request_of(random_ids(99, 60), 10);
  request.user = "modest";
  start(std::move(request), modest);
  control_->open();
  modest->wait();
  for (const auto& sink : greedy) sink->wait();
  EXPECT_LE(n_before, 8) << "of 50";
}

TEST_F(SchedulerTest, SharesPromptRowsBetweenUsers) {
  options_.step_ms = 0.0;
  control_->close();
  auto large = request_of(random_ids(1, 1500), 1), small = request_of(random_ids(2, 200), 1);
  large.user = "large";
  small.user = "small";
  const auto first = start(large);
  control_->wait_for_step();
  const auto second = std::make_shared<Recorder>();
  bool large_was_first = true;
  second->at_end = [&] { large_was_first = first->has_ended(); };
  start(small, second);
  control_->open();
  second->wait();
  first->wait();
  EXPECT_FALSE(large_was_first);
  EXPECT_EQ(second->tokens, fake_answer(small.prompt, small.sampling, 1));
}

TEST_F(SchedulerTest, PutsHigherClassesFirstAndRaisesThoseWhoWait) {
  options_.max_running = 1;
  options_.raise_s = 1000.0;
  std::vector<std::string> order;
  const auto submit = [&](const std::string& name, int priority) {
    auto request = request_of({static_cast<TokenId>(name.size()), 3}, 3);
    request.priority = priority;
    auto sink = std::make_shared<Recorder>();
    sink->at_end = [&order, name] { order.push_back(name); };
    start(std::move(request), sink);
    return sink;
  };
  control_->close();
  std::vector<std::shared_ptr<Recorder>> sinks = {submit("running", 0)};
  control_->wait_for_step();
  for (const auto& [name, priority] :
       {std::pair("low", -1), {"middle", 0}, {"high", 1}, {"second", 1}}) {
    sinks.push_back(submit(name, priority));
  }
  control_->open();
  for (const auto& sink : sinks) sink->wait();
  EXPECT_EQ(order, (std::vector<std::string>{"running", "high", "second", "middle", "low"}));

  // The same with a class per 20 ms: what came long ago goes before what is new and high.
  scheduler_.reset();
  options_.raise_s = 0.02;
  order.clear();
  control_->close();
  sinks = {submit("running", 0)};
  control_->wait_for_step();
  sinks.push_back(submit("low", -1));
  std::this_thread::sleep_for(80ms);
  sinks.push_back(submit("high", 1));
  control_->open();
  for (const auto& sink : sinks) sink->wait();
  EXPECT_EQ(order, (std::vector<std::string>{"running", "low", "high"}));
}

TEST_F(SchedulerTest, LetsUsersTakeTurnsHoweverLongOneOfThemHasWaited) {
  options_.max_running = 1;
  options_.raise_s = 0.001;
  control_->close();
  std::atomic<int> n_ended = 0;
  std::vector<std::shared_ptr<Recorder>> old;
  for (int i = 0; i < 12; ++i) {
    auto request = request_of(random_ids(static_cast<std::uint32_t>(i), 60), 3);
    request.user = "old";
    old.push_back(std::make_shared<Recorder>());
    old.back()->at_end = [&] { ++n_ended; };
    start(std::move(request), old.back());
  }
  control_->wait_for_step();
  std::this_thread::sleep_for(50ms);
  auto request = request_of(random_ids(99, 60), 3);
  request.user = "new";
  auto sink = std::make_shared<Recorder>();
  int n_before = -1;
  sink->at_end = [&] { n_before = n_ended; };
  start(std::move(request), sink);
  std::this_thread::sleep_for(5ms);
  control_->open();
  sink->wait();
  for (const auto& other : old) other->wait();
  EXPECT_LE(n_before, 3);
}

TEST_F(SchedulerTest, LimitsTheQueueAndTheShareOfAUser) {
  options_.max_running = 1;
  options_.max_queue = 3;
  options_.max_queue_per_user = 2;
  control_->close();
  const auto submit = [&](const char* user) {
    auto request = request_of({1, 2}, 3);
    request.user = user;
    return scheduler().submit(std::move(request), std::make_shared<Recorder>());
  };
  ASSERT_TRUE(submit("ann").ok());  // takes the only place, wherever the thread is
  ASSERT_TRUE(submit("ann").ok());
  ASSERT_TRUE(submit("ann").ok());
  const auto of_user = submit("ann");
  ASSERT_FALSE(of_user.ok());
  EXPECT_EQ(of_user.error().code, Code::ResourceExhausted);
  EXPECT_EQ(of_user.error().reason(), "rate_limit_exceeded");
  ASSERT_TRUE(submit("bob").ok());
  const auto of_all = submit("eve");
  ASSERT_FALSE(of_all.ok());
  EXPECT_EQ(of_all.error().code, Code::Unavailable);
  EXPECT_EQ(of_all.error().reason(), "queue_full");
  for (const auto& refused : {of_user, of_all}) {
    EXPECT_GE(refused.error().detail->retry_after_s, 1.0);
    EXPECT_LE(refused.error().detail->retry_after_s, 60.0);
  }
  control_->open();
}

// --- memory ---

TEST_F(SchedulerTest, PausesTheYoungestAndRepeatsNothingWhenMemoryRunsOut) {
  // Two sequences of 20 + 256 rows start side by side, but cannot grow to 500 there.
  set_budget(900);
  options_.context = 590;
  std::vector<SequenceRequest> requests;
  std::vector<std::shared_ptr<Recorder>> sinks;
  for (std::uint32_t i = 0; i < 6; ++i) {
    requests.push_back(request_of(random_ids(i, 20), 480, i));
    requests.back().priority = i == 0 ? -1 : 0;
    sinks.push_back(std::make_shared<Recorder>());
    sinks.back()->wants_more = [&](std::size_t) {
      const auto stats = scheduler_->stats();
      EXPECT_LE(stats.kv_bytes, stats.kv_budget_bytes);
      return true;
    };
    scheduler();
    start(requests.back(), sinks.back());
  }
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    sinks[i]->wait();
    expect_answer(*sinks[i], requests[i]);
    EXPECT_TRUE(std::ranges::is_sorted(sinks[i]->prefills));
  }
  EXPECT_GT(scheduler().stats().n_preemptions, 0u);
  EXPECT_EQ(scheduler().stats().n_paused, 0);
}

TEST_F(SchedulerTest, CancelsWhatIsPaused) {
  set_budget(900);
  options_.context = 590;
  auto first = std::make_shared<Recorder>(), second = std::make_shared<Recorder>();
  scheduler();
  std::atomic<SequenceId> second_id = 0;
  first->wants_more = [&](std::size_t) {
    if (scheduler_->stats().n_paused > 0) scheduler_->cancel(second_id);
    return true;
  };
  const auto request = request_of({1, 2}, 500);
  start(request, first);
  second_id = start(request_of({2, 2}, 500), second);
  first->wait();
  second->wait();
  expect_answer(*first, request);
  EXPECT_EQ(second->end.finish, SequenceFinish::Cancelled);
  EXPECT_TRUE(scheduler().is_idle());
}

TEST_F(SchedulerTest, ResumesWhatFitsAloneEvenWithoutReserve) {
  set_budget(700);
  auto large = request_of({1, 2}, 1000), small = request_of({5}, 50);
  small.priority = 1;
  auto first = std::make_shared<Recorder>(), second = std::make_shared<Recorder>();
  scheduler();
  first->wants_more = [&](std::size_t n) {
    // Its place is there, but not that of the next block of the large one.
    if (n == 570) start(small, second);
    return n < 640;
  };
  start(large, first);
  first->wait();
  second->wait();
  EXPECT_EQ(first->end.finish, SequenceFinish::Ended);
  EXPECT_EQ(first->tokens, fake_answer(large.prompt, large.sampling, 640));
  expect_answer(*second, small);
  EXPECT_EQ(scheduler().stats().n_preemptions, 1u);
}

TEST_F(SchedulerTest, OutlivesAStepThatFindsNoMemory) {
  control_->failure = [](std::span<const StepSegment> segments) -> std::optional<std::string> {
    if (segments[0].ids[0] == 13) throw std::bad_alloc();
    return std::nullopt;
  };
  options_.max_running = 1;
  const auto request = request_of(random_ids(7, 30), 10);
  const auto bad = start(request_of({13, 1, 2}, 10));
  const auto good = start(request);
  bad->wait();
  good->wait();
  EXPECT_EQ(bad->end.finish, SequenceFinish::Failed);
  EXPECT_EQ(bad->end.error->code, Code::ResourceExhausted);
  expect_answer(*good, request);
}

TEST_F(SchedulerTest, FailsOnlyWhatDoesNotFitAloneWithBothFigures) {
  set_budget(300);
  const auto fits = request_of(random_ids(1, 40), 200);
  const auto large = start(request_of(random_ids(2, 400), 10));
  const auto grows = start(request_of(random_ids(3, 40), 1000));
  const auto small = start(fits);
  for (const auto& sink : {large, grows, small}) sink->wait();
  for (const auto& sink : {large, grows}) {
    EXPECT_EQ(sink->end.finish, SequenceFinish::Failed);
    ASSERT_TRUE(sink->end.error);
    EXPECT_EQ(sink->end.error->code, Code::ResourceExhausted);
    EXPECT_NE(sink->end.error->message.find(std::to_string(options_.kv_budget_bytes)),
              std::string::npos);
  }
  EXPECT_EQ(large->n_starts, 0);
  EXPECT_GT(grows->tokens.size(), 200u);
  expect_answer(*small, fits);
}

TEST_F(SchedulerTest, EvictsPrefixesBeforeItMakesAnybodyWait) {
  set_budget(500);
  for (std::uint32_t i = 0; i < 8; ++i) run(request_of(random_ids(i, 150), 20, i));
  const auto stats = scheduler().stats();
  EXPECT_EQ(stats.n_preemptions, 0u);
  EXPECT_GT(stats.n_cached_prefixes, 0u);
  EXPECT_LE(stats.kv_bytes, options_.kv_budget_bytes);
}

// --- prefixes ---

TEST_F(SchedulerTest, GoesOnFromBranchPointsTokenByTokenEqual) {
  const auto shared = random_ids(1, 150);
  auto first = request_of(shared + random_ids(2, 200), 30);
  first.branch_points = {150};
  EXPECT_EQ(run(first)->cached, 0);
  EXPECT_EQ(scheduler().cached_prefix(position_keys(shared + random_ids(3, 50))), 150);
  auto second = request_of(shared + random_ids(3, 50), 30, 2);
  EXPECT_EQ(run(second)->cached, 150);
  // Parts from the others beyond the reach of their rings.
  auto other = shared;
  other[100] = (other[100] + 1) % kFakeVocab;
  EXPECT_EQ(run(request_of(other + random_ids(3, 50), 30))->cached, 0);
  const auto stats = scheduler().stats();
  EXPECT_EQ(stats.hit_tokens, 150u);
  EXPECT_EQ(stats.lookup_tokens, 350u + 200u + 200u);
  EXPECT_EQ(stats.prompt_tokens, 350u + 50u + 200u);
}

TEST_F(SchedulerTest, TakesTheNextTurnBehindTheLastAnswer) {
  const auto first = request_of(random_ids(1, 150), 40);
  const auto answer = run(first)->tokens;
  const auto second = request_of(first.prompt + answer + random_ids(2, 20), 10);
  EXPECT_EQ(run(second)->cached, 150 + 39);  // the last token was drawn and never run
  // The same prompt once more: all but its last token, whose logits are wanted.
  EXPECT_EQ(run(second)->cached, 150 + 40 + 20 - 1);
}

TEST_F(SchedulerTest, LearnsWhereTwoPromptsPart) {
  const auto shared = random_ids(1, 200);
  run(request_of(shared + random_ids(2, 200), 30));
  EXPECT_EQ(run(request_of(shared + random_ids(3, 30), 5))->cached, 0);
  EXPECT_EQ(run(request_of(shared + random_ids(4, 30), 5))->cached, 200);
}

TEST_F(SchedulerTest, LetsASecondPromptWaitForThePrefixThatTheFirstComputes) {
  control_->close();
  const auto shared = random_ids(1, 600);
  std::vector<SequenceRequest> requests;
  std::vector<std::shared_ptr<Recorder>> sinks;
  for (std::uint32_t i = 0; i < 5; ++i) {
    requests.push_back(request_of(shared + random_ids(10 + i, 30), 10, i));
    sinks.push_back(start(requests.back()));
    if (i == 0) control_->wait_for_step();
  }
  control_->open();
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    sinks[i]->wait();
    expect_answer(*sinks[i], requests[i]);
    EXPECT_EQ(sinks[i]->cached, i == 0 ? 0 : 600);
  }
  EXPECT_EQ(scheduler().stats().prompt_tokens, 600u + 5 * 30u);
}

TEST_F(SchedulerTest, DoesNotWaitForAPromptThatWasCancelled) {
  options_.step_ms = 0.0;
  control_->close();
  const auto shared = random_ids(1, 600);
  auto first = std::make_shared<Recorder>();
  const auto id = start(request_of(shared + random_ids(2, 30), 10), first);
  control_->wait_for_step();
  const auto request = request_of(shared + random_ids(3, 30), 10);
  const auto second = start(request);
  control_->pass();
  control_->wait_for_step();
  scheduler().cancel(id);
  control_->open();
  second->wait();
  expect_answer(*second, request);
  EXPECT_GT(second->cached, 0);  // what the first had computed
}

TEST_F(SchedulerTest, KeepsPinnedPrefixesUntilTheyAreLetGo) {
  set_budget(500);
  const auto pinned = random_ids(1, 120);
  scheduler().pin_prefix(position_keys(pinned));
  EXPECT_EQ(scheduler().cached_prefix(position_keys(pinned)), 0);
  run(request_of(pinned + random_ids(2, 30), 5));
  const auto crowd = [&](std::uint32_t seed) {
    for (std::uint32_t i = 0; i < 10; ++i) run(request_of(random_ids(seed + i, 150), 5));
  };
  crowd(100);
  EXPECT_EQ(scheduler().cached_prefix(position_keys(pinned)), 120);
  EXPECT_EQ(run(request_of(pinned + random_ids(3, 30), 5))->cached, 120);
  scheduler().clear_prefixes();
  EXPECT_EQ(scheduler().stats().n_cached_prefixes, 1u);
  scheduler().unpin_prefix(position_keys(pinned));
  crowd(200);
  EXPECT_EQ(scheduler().cached_prefix(position_keys(pinned)), 0);
}

TEST_F(SchedulerTest, LetsGoOfPinsRatherThanOfARequest) {
  set_budget(500);
  const auto pinned = random_ids(1, 200);
  scheduler().pin_prefix(position_keys(pinned));
  run(request_of(pinned, 1));
  run(request_of(random_ids(2, 200), 250));
  EXPECT_EQ(scheduler().cached_prefix(position_keys(pinned)), 0);
  run(request_of(pinned, 1));  // pinned again
  EXPECT_EQ(scheduler().cached_prefix(position_keys(pinned)), 200);
}

// --- prefixes on disk ---

class SchedulerStoreTest : public SchedulerTest {
 protected:
  SchedulerStoreTest() {
    options_.store.folder = folder_.file("store");
    options_.store.fingerprint = "fake";
    options_.store.least_tokens = 50;
  }
  std::uint64_t wait_for_files(std::uint64_t n) {
    for (int i = 0; i < 2000 && scheduler().stats().store.n_files < n; ++i) {
      std::this_thread::sleep_for(5ms);
    }
    return scheduler().stats().store.n_files;
  }

  testing_files::TempFolder folder_;
};

TEST_F(SchedulerStoreTest, GoesOnAfterARestartWithTheSameTokens) {
  const auto first = request_of(random_ids(1, 150), 20);
  const auto answer = run(first)->tokens;
  scheduler_.reset();
  const auto second = request_of(first.prompt + answer + random_ids(2, 30), 40);
  EXPECT_EQ(scheduler().cached_prefix(position_keys(second.prompt)), 150 + 19);
  EXPECT_EQ(run(second)->cached, 150 + 19);
  EXPECT_EQ(scheduler().stats().store.n_loaded, 1u);
  // Without the answer: its rings reach back to the prompt.
  scheduler_.reset();
  EXPECT_EQ(run(request_of(first.prompt + random_ids(3, 60), 10))->cached, 150);
}

TEST_F(SchedulerStoreTest, KeepsTheEndOfThePromptTooBehindALongAnswer) {
  const auto first = request_of(random_ids(1, 150), 300);
  run(first);
  scheduler_.reset();
  EXPECT_EQ(scheduler().stats().store.n_files, 2u);
  EXPECT_EQ(run(request_of(first.prompt + random_ids(3, 60), 10))->cached, 150);
}

TEST_F(SchedulerStoreTest, WritesWhatHasBeenIdle) {
  options_.store.idle_s = 0.05;
  run(request_of(random_ids(1, 150), 20));
  run(request_of(random_ids(2, 20), 5));  // too short
  EXPECT_EQ(wait_for_files(1), 1u);
  EXPECT_GT(scheduler().stats().n_cached_prefixes, 1u);
}

TEST_F(SchedulerStoreTest, WritesWhatMemoryPushesOut) {
  set_budget(600);
  const auto early = request_of(random_ids(0, 150), 20);
  run(early);
  for (std::uint32_t i = 1; i < 8; ++i) run(request_of(random_ids(i, 150), 20, i));
  EXPECT_GE(wait_for_files(2), 2u);
  const auto again = run(request_of(early.prompt + random_ids(99, 60), 10));
  EXPECT_EQ(again->cached, 150);
  EXPECT_GE(scheduler().stats().store.n_loaded, 1u);
  EXPECT_LE(scheduler().stats().kv_bytes, options_.kv_budget_bytes);
}

TEST_F(SchedulerStoreTest, ComputesAgainWhatIsDamaged) {
  const auto request = request_of(random_ids(1, 150), 20);
  run(request);
  scheduler();
  scheduler_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(options_.store.folder)) {
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5000);
    file.put('\x55');
  }
  EXPECT_EQ(run(request)->cached, 0);
  EXPECT_EQ(scheduler().stats().store.n_rejected, 1u);
}

// --- many at once ---

TEST_F(SchedulerTest, StandsManyThreadsThatSubmitAndCancel) {
  set_budget(4000);
  options_.max_running = 16;
  scheduler();
  const auto shared = random_ids(77, 100);
  std::vector<std::jthread> threads;
  std::atomic<int> n_answers = 0, n_cancelled = 0, n_refused = 0;
  for (std::uint32_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 25; ++i) {
        auto request = request_of((i % 4 == 0 ? shared : std::vector<TokenId>()) +
                                      random_ids(random(), 1 + random() % 150),
                                  1 + random() % 60, random());
        request.user = std::to_string(t % 3);
        request.priority = static_cast<int>(random() % 3) - 1;
        const bool cancels = random() % 3 == 0;
        auto sink = std::make_shared<Recorder>();
        const auto id = scheduler_->submit(request, sink);
        if (!id.ok()) {
          ++n_refused;
          continue;
        }
        if (cancels) {
          sink->wait_for_tokens(random() % 20);
          scheduler_->cancel(*id);
        }
        if (i % 5 == 0) scheduler_->cached_prefix(position_keys(request.prompt));
        if (i % 7 == 0) scheduler_->pin_prefix(position_keys(shared));
        if (i % 11 == 0) scheduler_->clear_prefixes();
        scheduler_->stats();
        sink->wait();
        const auto whole = fake_answer(request.prompt, request.sampling, request.max_tokens);
        if (sink->end.finish == SequenceFinish::Cancelled) {
          ASSERT_TRUE(cancels);
          ASSERT_TRUE(std::equal(sink->tokens.begin(), sink->tokens.end(), whole.begin()));
          ++n_cancelled;
        } else {
          ASSERT_EQ(sink->end.finish, SequenceFinish::Length);
          ASSERT_EQ(sink->tokens, whole);
          ++n_answers;
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(n_answers + n_cancelled + n_refused, 200);
  EXPECT_GT(n_answers, 50);
  EXPECT_TRUE(scheduler().is_idle());
  const auto stats = scheduler().stats();
  EXPECT_EQ(stats.n_running + stats.n_waiting + stats.n_paused, 0);
  EXPECT_LE(stats.kv_bytes, options_.kv_budget_bytes);
}

}  // namespace
}  // namespace fourfold
