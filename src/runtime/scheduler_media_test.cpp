// Prompts with rows of media: blocks stay whole, and no picture is taken for another.
#include <gtest/gtest.h>

#include "formats/test_files.h"
#include "runtime/position_key.h"
#include "runtime/scheduler_fixture.h"
#include "runtime/soft_batch.h"

namespace fourfold {
namespace {

using namespace std::chrono_literals;

constexpr TokenId kBegin = 90, kSoft = 91, kEnd = 92;

std::shared_ptr<SoftRows> rows_of(std::uint8_t content, std::int64_t n, bool is_visual = true) {
  auto rows = std::make_shared<SoftRows>();
  rows->key[0] = content;
  rows->n_rows = n;
  rows->is_visual = is_visual;
  rows->width = kFakeWidth;
  for (std::int64_t r = 0; r < n; ++r) {
    rows->values.push_back(static_cast<float>(content) + static_cast<float>(r) / 1000.0f);
  }
  return rows;
}

// A prompt that is written part by part.
struct Writer {
  SequenceRequest request;

  Writer& text(const std::vector<TokenId>& ids) {
    request.prompt.insert(request.prompt.end(), ids.begin(), ids.end());
    return *this;
  }
  Writer& block(std::shared_ptr<const SoftRows> rows) {
    text({kBegin});
    request.soft.push_back({static_cast<std::int64_t>(request.prompt.size()), rows});
    text(std::vector<TokenId>(static_cast<std::size_t>(rows->n_rows), kSoft));
    return text({kEnd});
  }
  // Other prompts may part from this one here.
  Writer& branch() {
    request.branch_points.push_back(static_cast<std::int64_t>(request.prompt.size()));
    return *this;
  }
  SequenceRequest ask(std::int64_t max_tokens, std::uint64_t seed = 1) {
    request.max_tokens = max_tokens;
    request.sampling.seed = seed;
    return request;
  }
};

std::vector<PositionKey> keys_of(const SequenceRequest& request) {
  return position_keys(request.prompt, request.soft);
}

class SchedulerMediaTest : public SchedulerTest {
 protected:
  void use_whole_blocks() { plan_ = fake_plan(true); }

  // Pieces of steps whose rows begin or end inside one of these spans.
  int n_cuts(const SequenceRequest& request) {
    const std::lock_guard lock(control_->mutex);
    int n = 0;
    for (const auto& step : control_->steps) {
      for (const auto& row : step) {
        if (row.first_id != request.prompt[0]) continue;
        if (!cut_block(request.soft, row.position).empty()) ++n;
        if (!cut_block(request.soft, row.position + row.n_rows).empty()) ++n;
      }
    }
    return n;
  }
};

// --- identity ---

TEST(PositionKeys, TellTextFromMediaAndRowsFromEachOther) {
  const auto request = Writer().text({1, 2}).block(rows_of(7, 3)).text({kSoft}).ask(1);
  const auto keys = keys_of(request);
  ASSERT_EQ(keys.size(), 8u);
  for (const std::size_t at : {0u, 1u, 2u, 6u, 7u}) {
    EXPECT_EQ(keys[at], static_cast<PositionKey>(request.prompt[at]));
  }
  for (const std::size_t at : {3u, 4u, 5u}) EXPECT_TRUE(is_soft(keys[at]));
  EXPECT_NE(keys[3], keys[4]);
  EXPECT_NE(keys[4], keys[5]);
  // Whatever differs of the medium's key, every row differs.
  for (std::size_t byte = 0; byte < 32; ++byte) {
    auto other = rows_of(7, 3);
    other->key[byte] ^= 0x10;
    for (std::int64_t r = 0; r < 3; ++r) {
      EXPECT_NE(soft_position(other->key, r), soft_position(rows_of(7, 3)->key, r)) << byte;
    }
  }
}

TEST(PositionKeys, EndPrefixesInFrontOfABlockOrBehindItsEndMarker) {
  const auto keys = keys_of(Writer().text({1, 2}).block(rows_of(7, 3)).text({5}).ask(1));
  EXPECT_EQ(whole_blocks(keys, 8), 8);
  EXPECT_EQ(whole_blocks(keys, 7), 7);
  for (const std::int64_t n : {4, 5, 6}) EXPECT_EQ(whole_blocks(keys, n), 3) << n;
  EXPECT_EQ(whole_blocks(keys, 2), 2);
  EXPECT_EQ(whole_blocks(keys, 0), 0);
}

// A sound that is still going on: its rows so far are gone on from.
TEST(PositionKeys, EndPrefixesAmongRowsThatGrow) {
  auto rows = rows_of(7, 3);
  rows->grows = true;
  auto longer = rows_of(7, 4);
  longer->grows = true;
  const auto keys = keys_of(Writer().text({1, 2}).block(rows).ask(1));
  const auto more = keys_of(Writer().text({1, 2}).block(longer).ask(1));
  for (std::int64_t n = 0; n <= 6; ++n) EXPECT_EQ(whole_blocks(keys, n), n);
  EXPECT_EQ(n_equal(keys, more), 6);
  // They are still no tokens, nor rows of a block that does not grow.
  for (const std::size_t at : {3u, 4u, 5u}) EXPECT_GT(keys[at], PositionKey{0xFFFFFFFF});
  EXPECT_NE(keys[3], soft_position(rows->key, 0));
}

TEST(SoftBatches, ShowTheRowsOfAStretchOfSeveralSpans) {
  const auto request = Writer()
                           .text({1})
                           .block(rows_of(1, 4))
                           .block(rows_of(2, 3, false))
                           .block(rows_of(3, 2))
                           .ask(1);
  SoftBatch batch;
  // Positions: 1 begin, 2..5, end, begin, 8..10, end, begin, 13..14, end.
  batch.gather(request.soft, 4, 10, true);
  EXPECT_EQ(std::vector<std::int32_t>(batch.rows().begin(), batch.rows().end()),
            (std::vector<std::int32_t>{0, 1, 4, 5, 6, 9}));
  const std::vector<float> expected = {1.002f, 1.003f, 2.0f, 2.001f, 2.002f, 3.0f};
  EXPECT_EQ(std::vector<float>(batch.values(), batch.values() + 6), expected);
  EXPECT_EQ(std::vector<std::int32_t>(batch.blocks().begin(), batch.blocks().end()),
            (std::vector<std::int32_t>{1, 1, -1, -1, -1, -1, -1, -1, -1, 3}));
  batch.gather(request.soft, 0, 2, true);
  EXPECT_TRUE(batch.rows().empty());
  EXPECT_TRUE(batch.blocks().empty());
}

TEST_F(SchedulerMediaTest, RefusesRowsThatAreNotThere) {
  const auto refused = [&](SequenceRequest request) {
    const auto id = scheduler().submit(std::move(request), std::make_shared<Recorder>());
    EXPECT_FALSE(id.ok());
    return !id.ok() && id.error().code == Code::Internal;
  };
  auto empty = rows_of(1, 5);
  empty->values.clear();
  EXPECT_TRUE(refused(Writer().text({1}).block(empty).ask(1)));
  auto beyond = Writer().text({1}).block(rows_of(1, 5)).ask(1);
  beyond.prompt.resize(6);
  EXPECT_TRUE(refused(beyond));
  auto overlapping = Writer().text({1}).block(rows_of(1, 5)).block(rows_of(1, 5)).ask(1);
  overlapping.soft[1].first = 5;
  EXPECT_TRUE(refused(overlapping));
}

// --- steps ---

TEST_F(SchedulerMediaTest, GivesTheAnswerOfALoneRunInAnyCompany) {
  for (const bool whole : {false, true}) {
    scheduler_.reset();
    plan_ = fake_plan(whole);
    std::vector<SequenceRequest> requests;
    for (int i = 0; i < 40; ++i) {
      const auto n = static_cast<std::uint32_t>(i);
      Writer writer;
      writer.text(random_ids(n % 3, 5 + i % 60));
      for (int b = 0; b <= i % 3; ++b) {
        writer.block(rows_of(static_cast<std::uint8_t>(i % 5), 1 + (i * 13 + b * 29) % 70));
        if (b == 1) writer.block(rows_of(100, 20, false));
      }
      writer.text(random_ids(n + 50, 1 + i % 40));
      requests.push_back(writer.ask(1 + i * 5 % 50, n));
      requests.back().user = i % 3 == 0 ? "ann" : "bob";
    }
    std::vector<std::shared_ptr<Recorder>> sinks;
    for (const auto& request : requests) sinks.push_back(start(request));
    for (std::size_t i = 0; i < sinks.size(); ++i) {
      sinks[i]->wait();
      expect_answer(*sinks[i], requests[i]);
    }
  }
}

TEST_F(SchedulerMediaTest, NeverCutsAPictureWhoseRowsSeeEachOther) {
  use_whole_blocks();
  options_.step_ms = 0.001;  // no time for more than 16 rows
  control_->step_time = 100us;
  std::vector<std::shared_ptr<Recorder>> company;
  for (std::uint32_t i = 0; i < 4; ++i) {
    company.push_back(start(request_of(random_ids(20 + i, 200), 200, i)));
  }
  auto request = Writer()
                     .text({95, 3, 4})
                     .block(rows_of(1, 70))  // larger than a chunk, a step and the window
                     .text(random_ids(1, 9))
                     .block(rows_of(2, 20))
                     .block(rows_of(3, 12, false))
                     .text(random_ids(2, 30))
                     .ask(20);
  run(request);
  EXPECT_EQ(n_cuts(request), 0);
  for (const auto& sink : company) sink->wait();
  int n_marked = 0;
  for (const auto& step : control_->steps) {
    for (const auto& row : step) n_marked += row.blocks.empty() ? 0 : 1;
  }
  EXPECT_GE(n_marked, 1);
}

TEST_F(SchedulerMediaTest, CutsPicturesWhereTheBodyIsCausal) {
  auto request = Writer().text({95, 3}).block(rows_of(1, 70)).text({5}).ask(5);
  run(request);
  EXPECT_GT(n_cuts(request), 0);
  for (const auto& step : control_->steps) {
    for (const auto& row : step) EXPECT_TRUE(row.blocks.empty());
  }
}

TEST_F(SchedulerMediaTest, CountsTheLongerRingsOfALargePicture) {
  use_whole_blocks();
  const auto request = Writer().text({1}).block(rows_of(1, 200)).text({2}).ask(10);
  const std::int64_t n_rows = 1 + 202 + 1 + 10;
  EXPECT_GT(plan_->bytes(n_rows, 200), plan_->bytes(n_rows));
  options_.kv_budget_bytes = static_cast<std::uint64_t>(plan_->bytes(n_rows, 200));
  options_.prefix_budget_bytes = options_.kv_budget_bytes;
  run(request);
  EXPECT_LE(scheduler().stats().kv_bytes, options_.kv_budget_bytes);
  scheduler_.reset();
  options_.kv_budget_bytes -= 1;
  const auto sink = start(request);
  sink->wait();
  ASSERT_TRUE(sink->end.error);
  EXPECT_EQ(sink->end.error->code, Code::ResourceExhausted);
}

TEST_F(SchedulerMediaTest, GoesOnBehindAPauseWithTheSameTokens) {
  use_whole_blocks();
  set_budget(1000);
  options_.context = 700;
  std::vector<SequenceRequest> requests;
  std::vector<std::shared_ptr<Recorder>> sinks;
  for (std::uint32_t i = 0; i < 6; ++i) {
    requests.push_back(Writer()
                           .text(random_ids(i, 20))
                           .block(rows_of(static_cast<std::uint8_t>(i), 66))
                           .text(random_ids(i + 30, 40))
                           .ask(500, i));
    sinks.push_back(start(requests.back()));
  }
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    sinks[i]->wait();
    expect_answer(*sinks[i], requests[i]);
    EXPECT_EQ(n_cuts(requests[i]), 0);
  }
  EXPECT_GT(scheduler().stats().n_preemptions, 0u);
}

// --- prefixes ---

TEST_F(SchedulerMediaTest, NeverTakesOnePictureForAnother) {
  for (const bool whole : {false, true}) {
    scheduler_.reset();
    plan_ = fake_plan(whole);
    const auto shared = random_ids(1, 40);
    const auto asks = [&](std::uint8_t content, std::uint32_t question) {
      return Writer()
          .text(shared)
          .branch()
          .block(rows_of(content, 30))
          .branch()
          .text(random_ids(question, 20))
          .ask(15, question);
    };
    EXPECT_EQ(run(asks(1, 2))->cached, 0);
    // The ids are the same, the picture is another.
    const std::int64_t parted = run(asks(2, 2))->cached;
    EXPECT_TRUE(parted == 40 || parted == 41) << parted;  // as far as rings reach
    // The same picture again, another question behind it.
    EXPECT_EQ(run(asks(1, 3))->cached, 40 + 32);
    EXPECT_EQ(run(asks(2, 3))->cached, 40 + 32);
    // The same request: all but the last token.
    EXPECT_EQ(run(asks(1, 2))->cached, 40 + 32 + 19);
    // Text of the same ids in its place.
    auto text = asks(1, 2);
    text.soft.clear();
    const std::int64_t in_text = run(text)->cached;
    EXPECT_TRUE(in_text == 40 || in_text == 41) << in_text;
    // Alternating, at once.
    std::vector<SequenceRequest> requests;
    std::vector<std::shared_ptr<Recorder>> sinks;
    for (std::uint32_t i = 0; i < 12; ++i) {
      requests.push_back(asks(static_cast<std::uint8_t>(1 + i % 3), i));
      sinks.push_back(start(requests.back()));
    }
    for (std::size_t i = 0; i < sinks.size(); ++i) {
      sinks[i]->wait();
      expect_answer(*sinks[i], requests[i]);
    }
  }
}

TEST_F(SchedulerMediaTest, SharesFilmsUpToTheFirstFrameThatDiffers) {
  const auto film = [](std::uint8_t last_frame) {
    Writer writer;
    writer.text(random_ids(1, 10));
    for (const std::uint8_t frame : {std::uint8_t{1}, std::uint8_t{2}, last_frame}) {
      writer.text({50, 51}).block(rows_of(frame, 6));
    }
    return writer.text(random_ids(2, 10)).ask(5);
  };
  EXPECT_EQ(run(film(3))->cached, 0);
  EXPECT_EQ(run(film(4))->cached, 10 + 2 * (2 + 8) + 2 + 1);
  EXPECT_EQ(run(film(3))->cached, 10 + 3 * (2 + 8) + 9);
}

TEST_F(SchedulerMediaTest, KeepsNoPrefixThatEndsInsideAPicture) {
  control_->close();
  auto sink = std::make_shared<Recorder>();
  const auto request = Writer().text({95, 3}).block(rows_of(1, 70)).text({5}).ask(5);
  const auto id = start(request, sink);
  control_->pass();  // a chunk of the picture
  control_->wait_for_step();
  scheduler().cancel(id);
  control_->open();
  sink->wait();
  EXPECT_EQ(sink->end.finish, SequenceFinish::Cancelled);
  EXPECT_LE(scheduler().cached_prefix(keys_of(request)), 3);
  run(request);
}

TEST_F(SchedulerMediaTest, WaitsForAPictureThatAnotherPromptIsAboutToFinish) {
  use_whole_blocks();
  control_->close();
  const auto asks = [&](std::uint32_t question) {
    return Writer()
        .text(random_ids(1, 30))
        .block(rows_of(1, 60))
        .text(random_ids(question, 20))
        .ask(10, question);
  };
  const auto first = start(asks(2));
  control_->wait_for_step();
  const auto second = start(asks(3));
  control_->open();
  first->wait();
  second->wait();
  expect_answer(*first, asks(2));
  expect_answer(*second, asks(3));
  EXPECT_EQ(second->cached, 30 + 62);
}

TEST_F(SchedulerMediaTest, FindsPicturesOnDiskByTheirContent) {
  testing_files::TempFolder folder;
  options_.store = {.folder = folder.file("store"), .fingerprint = "fake", .least_tokens = 20};
  const auto asks = [&](std::uint8_t content) {
    return Writer().text(random_ids(1, 20)).block(rows_of(content, 30)).text({4, 5, 6}).ask(5);
  };
  run(asks(1));
  scheduler_.reset();
  EXPECT_EQ(scheduler().cached_prefix(keys_of(asks(1))), 20 + 32 + 3);
  EXPECT_EQ(scheduler().cached_prefix(keys_of(asks(2))), 21);
  EXPECT_EQ(run(asks(2))->cached, 21);
  EXPECT_EQ(run(asks(1))->cached, 20 + 32 + 2);
  EXPECT_GE(scheduler().stats().store.n_loaded, 1u);
}

}  // namespace
}  // namespace fourfold
