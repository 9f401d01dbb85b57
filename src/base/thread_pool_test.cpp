#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace fourfold {
namespace {

class ThreadPoolOf : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolOf, VisitsEveryIndexOnce) {
  ThreadPool pool(GetParam());
  for (const std::int64_t n : {0, 1, 7, 64, 1000}) {
    for (const std::int64_t grain : {1, 3, 16, 2000}) {
      std::vector<std::atomic<int>> visits(static_cast<std::size_t>(n));
      pool.parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end, int) {
        for (auto i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
      });
      for (const auto& count : visits) ASSERT_EQ(count, 1) << n << " by " << grain;
    }
  }
}

TEST_P(ThreadPoolOf, HandsOutWholeGrainsToValidWorkers) {
  ThreadPool pool(GetParam());
  std::atomic<int> n_wrong = 0;
  pool.parallel_for(1000, 16, [&](std::int64_t begin, std::int64_t end, int worker) {
    const bool whole = begin % 16 == 0 && (end % 16 == 0 || end == 1000) && begin < end;
    if (!whole || worker < 0 || worker >= pool.n_threads()) ++n_wrong;
  });
  EXPECT_EQ(n_wrong, 0);
}

TEST_P(ThreadPoolOf, RunsManyShortJobsInOrder) {
  ThreadPool pool(GetParam());
  std::vector<int> values(64, 0);
  for (int job = 0; job < 2000; ++job) {
    // Each job reads what the one before it wrote.
    pool.parallel_for(64, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (auto i = begin; i < end; ++i) ++values[static_cast<std::size_t>(i)];
    });
  }
  EXPECT_EQ(values, std::vector<int>(64, 2000));
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolOf, testing::Values(1, 2, 5));

TEST(ThreadPool, SleepsInsteadOfSpinningBeyondTheBudget) {
  ThreadPool pool(4, 1);
  std::atomic<int> sum = 0;
  for (int job = 0; job < 50; ++job) {
    pool.parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end, int) {
      sum += static_cast<int>(end - begin);
    });
  }
  EXPECT_EQ(sum, 5000);
}

}  // namespace
}  // namespace fourfold
