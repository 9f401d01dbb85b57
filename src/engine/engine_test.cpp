// Sessions, limits and stop conditions on a tiny body with a real tokenizer shape.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include "formats/golden.h"

namespace fourfold {
namespace {

const std::vector<TokenId> kPrompt = {2, 100, 101, 102, 103, 104};

std::unique_ptr<Engine> open_e2b(EngineOptions options = {}) {
  options.n_threads = 2;
  auto engine = Engine::open(golden_path("text/e2b/model.gguf"), options);
  EXPECT_TRUE(engine.ok()) << engine.error().message;
  return std::move(engine).value();
}

GenerateRequest greedy(std::vector<TokenId> prompt, std::int64_t max_tokens) {
  GenerateRequest request{.prompt = std::move(prompt), .max_tokens = max_tokens};
  request.sampling.temperature = 0.0f;
  return request;
}

TEST(Session, ContinuesWhereItStopped) {
  const auto engine = open_e2b();
  const auto whole = engine->new_session()->generate(greedy(kPrompt, 12), {});
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  ASSERT_EQ(whole->ids.size(), 12u);
  EXPECT_EQ(whole->finish, Finish::Length);

  const auto session = engine->new_session();
  const auto first = session->generate(greedy(kPrompt, 5), {});
  ASSERT_TRUE(first.ok());
  auto longer = kPrompt;
  longer.insert(longer.end(), first->ids.begin(), first->ids.end());
  const auto second = session->generate(greedy(longer, 7), {});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->cached_tokens, static_cast<std::int64_t>(longer.size()) - 1);
  auto joined = first->ids;
  joined.insert(joined.end(), second->ids.begin(), second->ids.end());
  EXPECT_EQ(joined, whole->ids);
}

TEST(Session, RerunsTheLastTokenOfAPromptItHoldsAlready) {
  const auto engine = open_e2b();
  const auto session = engine->new_session();
  const auto first = session->generate(greedy(kPrompt, 6), {});
  const auto again = session->generate(greedy(kPrompt, 6), {});
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(again->ids, first->ids);
  EXPECT_EQ(again->cached_tokens, static_cast<std::int64_t>(kPrompt.size()) - 1);
}

TEST(Session, TakesAnotherTurnAfterADifferentPrompt) {
  const auto engine = open_e2b();
  const auto session = engine->new_session();
  ASSERT_TRUE(session->generate(greedy({2, 50, 51, 52}, 90), {}).ok());
  const auto other = session->generate(greedy(kPrompt, 8), {});
  const auto fresh = engine->new_session()->generate(greedy(kPrompt, 8), {});
  ASSERT_TRUE(other.ok() && fresh.ok());
  EXPECT_EQ(other->ids, fresh->ids);
}

TEST(Session, EndsAtAStopId) {
  const auto engine = open_e2b();
  const auto whole = engine->new_session()->generate(greedy(kPrompt, 6), {});
  ASSERT_TRUE(whole.ok());
  auto request = greedy(kPrompt, 6);
  request.stop_ids = {whole->ids[3]};
  const auto stopped = engine->new_session()->generate(request, {});
  ASSERT_TRUE(stopped.ok());
  EXPECT_EQ(stopped->finish, Finish::Stop);
  EXPECT_EQ(stopped->stop_id, whole->ids[3]);
  EXPECT_LE(stopped->ids.size(), 3u);
}

TEST(Session, EndsWhenTheReaderSaysSo) {
  const auto engine = open_e2b();
  int n_events = 0;
  const auto result = engine->new_session()->generate(
      greedy(kPrompt, 50), [&](const TokenEvent&) { return ++n_events < 3; });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->finish, Finish::Cancelled);
  EXPECT_EQ(result->ids.size(), 3u);
}

TEST(Session, RefusesAPromptBeyondTheContextWithBothNumbers) {
  const auto engine = open_e2b({.context = 64});
  const auto result = engine->new_session()->generate(greedy(std::vector<TokenId>(64, 100), 5), {});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Code::ResourceExhausted);
  EXPECT_NE(result.error().message.find("64 tokens"), std::string::npos);
  const auto fits = engine->new_session()->generate(greedy(std::vector<TokenId>(60, 100), 50), {});
  ASSERT_TRUE(fits.ok());
  EXPECT_EQ(fits->ids.size(), 4u);
  EXPECT_EQ(fits->finish, Finish::Length);
}

TEST(Session, RefusesIdsOutsideTheVocabulary) {
  const auto engine = open_e2b();
  for (const TokenId id : {-1, 384, 1 << 30}) {
    const auto result = engine->new_session()->generate(greedy({2, id}, 5), {});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, Code::InvalidArgument);
  }
}

TEST(Session, DrawsBySeedAndPositionAlone) {
  const auto engine = open_e2b();
  GenerateRequest request{.prompt = kPrompt, .max_tokens = 10};
  request.sampling.seed = 7;
  const auto first = engine->new_session()->generate(request, {});
  const auto second = engine->new_session()->generate(request, {});
  request.sampling.seed = 8;
  const auto other = engine->new_session()->generate(request, {});
  ASSERT_TRUE(first.ok() && second.ok() && other.ok());
  EXPECT_EQ(first->ids, second->ids);
  EXPECT_NE(first->ids, other->ids);
}

TEST(Engine, TakesTheLargestContextThatFitsAndSaysSo) {
  const auto large = open_e2b();
  EXPECT_EQ(large->context(), large->config().text.max_context);
  EngineOptions options{.n_threads = 2};
  options.memory_bytes = 64u << 20;
  const auto small = Engine::open(golden_path("text/e2b/model.gguf"), options);
  ASSERT_TRUE(small.ok()) << small.error().message;
  EXPECT_LT((*small)->context(), large->context());
  EXPECT_GE((*small)->context(), 256);
  bool said = false;
  for (const auto& note : (*small)->notes()) said |= note.find("context") != std::string::npos;
  EXPECT_TRUE(said);
}

TEST(Engine, RefusesAContextThatCannotFitWithBothFigures) {
  EngineOptions options{.n_threads = 2, .context = 100000};
  options.memory_bytes = 64u << 20;
  const auto engine = Engine::open(golden_path("text/e2b/model.gguf"), options);
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.error().code, Code::ResourceExhausted);
  EXPECT_NE(engine.error().message.find("100000"), std::string::npos);
  EXPECT_NE(engine.error().message.find("64.0 MiB"), std::string::npos);
  options.memory_bytes = 1 << 20;
  options.context = 0;
  EXPECT_EQ(Engine::open(golden_path("text/e2b/model.gguf"), options).error().code,
            Code::ResourceExhausted);
}

// All logits of a prompt, then those of steps of one token each.
std::vector<float> logits_of_steps(Engine& engine) {
  LogitsRequest request{.ids = kPrompt, .n_greedy = 3};
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(kPrompt.size()); ++i) {
    request.positions.push_back(i);
  }
  std::vector<float> all;
  for (std::size_t n = kPrompt.size(); n > 0; --n) {
    request.ids.resize(n);
    request.positions.resize(n);
    auto report = engine.logits(request);
    EXPECT_TRUE(report.ok()) << report.error().message;
    all.insert(all.end(), report->logits.begin(), report->logits.end());
    for (const TokenId id : report->greedy) all.push_back(static_cast<float>(id));
  }
  return all;
}

TEST(Engine, PackedWeightsGiveTheSameBits) {
  for (const char* file : {"model-q4_0.gguf", "model-kmix.gguf", "model-legacy.gguf"}) {
    SCOPED_TRACE(file);
    const std::string path = golden_path(std::string("text/e4b-quant/") + file);
    const auto plain = Engine::open(path, {.n_threads = 2, .pack = Pack::Off});
    const auto packed = Engine::open(path, {.n_threads = 2, .pack = Pack::Always});
    ASSERT_TRUE(plain.ok() && packed.ok());
    EXPECT_FALSE((*plain)->finish_packing());
    const std::vector<float> expected = logits_of_steps(**plain);
    EXPECT_EQ(logits_of_steps(**packed), expected);  // while it packs
    EXPECT_TRUE((*packed)->finish_packing());
    EXPECT_EQ(logits_of_steps(**packed), expected);
  }
}

TEST(Engine, SmallWeightsStayWhereTheyAre) {
  const auto engine = Engine::open(golden_path("text/e4b-quant/model-q4_0.gguf"), {});
  ASSERT_TRUE(engine.ok()) << engine.error().message;
  EXPECT_FALSE((*engine)->finish_packing());
}

TEST(InterleavedWeights, StopsForGoodWhenItMayTakeNoMore) {
  const auto checkpoint = std::make_shared<const Checkpoint>(
      Checkpoint::open(golden_path("text/e4b-quant/model-q4_0.gguf")).value());
  const auto config = load_model_config(*checkpoint);
  ASSERT_TRUE(config.ok());
  const auto model = TextModel::load(checkpoint, config->text, /*interleave=*/true);
  ASSERT_TRUE(model.ok());
  InterleavedWeights& copies = *(*model)->interleaved();
  EXPECT_GT(copies.size_bytes(), 0u);
  std::uint64_t left = copies.size_bytes() / 2;
  copies.start([&left](std::uint64_t n_bytes) {
    const bool may = n_bytes <= left;
    left -= may ? n_bytes : 0;
    return may;
  });
  EXPECT_FALSE(copies.wait());
  const LayerWeights& first = (*model)->weights().layers.front();
  ASSERT_NE(first.q.interleaved, nullptr);
  EXPECT_TRUE(first.q.interleaved->has_panel(0));
  const Matrix& head = (*model)->weights().head;
  ASSERT_NE(head.interleaved, nullptr);
  EXPECT_FALSE(head.interleaved->has_panel(0));
}

TEST(Engine, NamesAMissingFile) {
  const auto engine = Engine::open("/nonexistent/model.gguf", {});
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.error().code, Code::NotFound);
  EXPECT_NE(engine.error().message.find("/nonexistent/model.gguf"), std::string::npos);
}

}  // namespace
}  // namespace fourfold
