// Chats with pictures and sound, from the request to the tokens: the default body with a projector
// of random weights. What it says means nothing; that it says the same whatever happens around it
// is what counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "engine/chat_service.h"
#include "engine/test_media.h"
#include "engine/trace.h"
#include "engine/trace_replay.h"
#include "formats/test_files.h"
#include "media/resize.h"

namespace fourfold {
namespace {

using test_media::part;
using test_media::picture;
using testing::HasSubstr;

const char* const kModel = FOURFOLD_SOURCE_DIR "/models/keeper/keeper.gguf";

struct Heard {
  std::vector<TokenId> ids;
  std::vector<float> logprobs;
  std::int64_t cached = 0;

  bool operator==(const Heard& other) const {
    return ids == other.ids && logprobs == other.logprobs;
  }
};

// 20 MiB of one colour.
std::string large_picture(std::uint64_t seed) {
  constexpr int kSide = 2640;
  std::string bmp = picture(1, 1, seed).substr(0, 54);
  std::memcpy(bmp.data() + 18, &kSide, sizeof kSide);
  std::memcpy(bmp.data() + 22, &kSide, sizeof kSide);
  bmp.resize(54 + std::size_t{3} * kSide * kSide, static_cast<char>(seed));
  return bmp;
}

class ChatMedia : public testing::Test {
 protected:
  ChatMedia() {
    options_.engine.mmproj = folder_.file("mmproj.gguf");
    test_media::write_projector(options_.engine.mmproj, text_width());
  }

  static int text_width() {
    static const int width = [] {
      const auto engine = Engine::open(kModel, {.mmproj = "none"});
      EXPECT_TRUE(engine.ok());
      return (*engine)->config().text.width;
    }();
    return width;
  }

  std::unique_ptr<ChatService> open() {
    auto service = ChatService::open(kModel, options_);
    EXPECT_TRUE(service.ok()) << service.error().message;
    return std::move(service).value();
  }
  ChatService& service() {
    if (!service_) service_ = open();
    return *service_;
  }

  static Message user(std::vector<Part> parts, const std::string& text) {
    Message message = Message::of(Role::User, text);
    message.is_part_list = true;
    message.parts.insert(message.parts.begin(), std::make_move_iterator(parts.begin()),
                         std::make_move_iterator(parts.end()));
    return message;
  }
  static ChatRequest request_of(std::vector<Message> messages) {
    ChatRequest request;
    request.conversation.messages = std::move(messages);
    request.sampling.temperature = 0.0f;
    request.sampling.max_tokens = 12;
    request.sampling.n_logprobs = 1;
    return request;
  }
  static ChatRequest about_picture(std::uint64_t seed,
                                   const std::string& question = "What is it?") {
    Part image = part(Part::Kind::Image, picture(64, 64, seed));
    image.settings.budget = 70;
    return request_of({user({std::move(image)}, question)});
  }

  static PreparedChat prepare(ChatService& service, const ChatRequest& request) {
    auto prepared = service.prepare(request);
    EXPECT_TRUE(prepared.ok()) << prepared.error().message;
    return std::move(prepared).value();
  }
  static Heard hear(ChatStream& stream) {
    Heard heard;
    EXPECT_TRUE(stream.wait_started().ok());
    heard.cached = stream.cached_tokens();
    while (auto delta = stream.next()) {
      for (const auto& token : delta->tokens) {
        heard.ids.push_back(token.token.id);
        heard.logprobs.push_back(token.token.logprob);
      }
    }
    EXPECT_TRUE(stream.status().ok());
    return heard;
  }
  static Heard answer(ChatService& service, const ChatRequest& request) {
    auto stream = service.start(prepare(service, request), {.user = "ann"});
    EXPECT_TRUE(stream.ok()) << stream.error().message;
    return hear(**stream);
  }
  Error refused(const ChatRequest& request) {
    const auto prepared = service().prepare(request);
    EXPECT_FALSE(prepared.ok());
    return prepared.ok() ? Error() : prepared.error();
  }
  Trace traced(const ChatRequest& request) {
    auto prepared = prepare(service(), request);
    describe_tokens(prepared);
    Trace trace = begin_trace(service().engine(), &request, prepared);
    const auto stream = service().start(std::move(prepared), {});
    EXPECT_TRUE(stream.ok());
    if (!stream.ok()) return trace;
    trace.start(**stream);
    while (auto delta = (*stream)->next()) trace.add(*delta, **stream);
    EXPECT_TRUE((*stream)->status().ok());
    return trace;
  }
  MediaEncoder::Stats encoded() { return service().engine().media().stats(); }

  testing_files::TempFolder folder_;
  ChatServiceOptions options_;
  std::unique_ptr<ChatService> service_;
};

TEST_F(ChatMedia, CountsWithoutEncoding) {
  const auto without = prepare(service(), request_of({Message::of(Role::User, "What is it?")}));
  auto request = about_picture(1);
  request.conversation.messages[0].parts.push_back(
      part(Part::Kind::Audio, test_media::sound(test_sound::tone(440, 16'000)), "sound"));
  const auto prepared = prepare(service(), request);
  EXPECT_EQ(prepared.prompt.ids.size(), without.prompt.ids.size() + (64 + 2) + (25 + 2));
  EXPECT_EQ(prepared.media_tokens.image, 66);
  EXPECT_EQ(prepared.media_tokens.audio, 27);
  EXPECT_EQ(prepared.media_tokens.video, 0);
  ASSERT_EQ(prepared.media.size(), 2u);
  EXPECT_EQ(prepared.media[0].where, "messages[0]");
  EXPECT_EQ(prepared.media[1].where, "sound");
  ASSERT_EQ(prepared.prompt.soft.size(), 2u);
  EXPECT_TRUE(prepared.prompt.soft[0].rows->values.empty());
  EXPECT_EQ(encoded().n_encoded, 0u);
  // Where other questions about the picture part from this one.
  const SoftSpan& last = prepared.prompt.soft.back();
  EXPECT_TRUE(
      std::ranges::binary_search(prepared.branch_points, last.first + last.rows->n_rows + 1));
}

TEST_F(ChatMedia, AnswersAsAColdStartWhateverWasSeenBefore) {
  std::vector<Heard> cold;
  for (const std::uint64_t seed : {1u, 2u}) {
    cold.push_back(answer(*open(), about_picture(seed)));
  }
  EXPECT_FALSE(cold[0] == cold[1]);
  for (int i = 0; i < 6; ++i) {
    const auto heard = answer(service(), about_picture(1 + static_cast<std::uint64_t>(i % 2)));
    EXPECT_EQ(heard.ids, cold[static_cast<std::size_t>(i % 2)].ids) << i;
    EXPECT_EQ(heard.logprobs, cold[static_cast<std::size_t>(i % 2)].logprobs) << i;
    if (i >= 2) {
      EXPECT_GT(heard.cached, 66) << i;
    }
  }
  EXPECT_EQ(encoded().n_encoded, 2u);
  // Text in the picture's place is not the picture.
  const auto text = request_of({Message::of(Role::User, "<|image>What is it?")});
  EXPECT_LT(answer(service(), text).cached, 16);
}

TEST_F(ChatMedia, AnswersAtOnceAsAlone) {
  std::vector<ChatRequest> requests;
  std::vector<Heard> alone;
  for (std::uint64_t i = 0; i < 6; ++i) {
    requests.push_back(about_picture(i % 3, i < 3 ? "What is it?" : "Who is it?"));
    alone.push_back(answer(*open(), requests.back()));
  }
  std::vector<std::unique_ptr<ChatStream>> streams;
  for (const auto& request : requests) {
    auto stream = service().start(prepare(service(), request), {.user = "ann"});
    ASSERT_TRUE(stream.ok());
    streams.push_back(std::move(*stream));
  }
  for (std::size_t i = 0; i < streams.size(); ++i) EXPECT_EQ(hear(*streams[i]), alone[i]) << i;
}

TEST_F(ChatMedia, EncodesNothingInLaterTurns) {
  auto request = about_picture(1);
  answer(service(), request);
  auto& messages = request.conversation.messages;
  messages.push_back(Message::of(Role::Model, "A cat."));
  messages.push_back(Message::of(Role::User, "And now?"));
  const auto heard = answer(service(), request);
  EXPECT_GT(heard.cached, 66);
  EXPECT_EQ(encoded().n_encoded, 1u);
  EXPECT_EQ(heard, answer(*open(), request));
}

TEST_F(ChatMedia, SaysInASessionWhatTheServiceSays) {
  const auto request = about_picture(1);
  const auto heard = answer(service(), request);
  auto engine = Engine::open(kModel, options_.engine);
  ASSERT_TRUE(engine.ok());
  const auto preparer = ChatPreparer::make(**engine);
  ASSERT_TRUE(preparer.ok());
  const auto session = (*engine)->new_session();
  const auto say = [&](const ChatRequest& asked) {
    const auto prepared = (*preparer)->prepare(asked, session->ids());
    EXPECT_TRUE(prepared.ok());
    const auto held = session->reusable(prepared->prompt.ids, prepared->prompt.soft);
    EXPECT_TRUE((*preparer)->encode_media(*prepared, {}, held).ok());
    GenerateRequest generate;
    generate.prompt = prepared->prompt.ids;
    generate.soft = prepared->prompt.soft;
    generate.sampling = prepared->sampling;
    generate.max_tokens = prepared->max_tokens;
    generate.stop_ids = prepared->stop_ids;
    auto result = session->generate(generate, {});
    EXPECT_TRUE(result.ok()) << result.error().message;
    return std::move(result).value();
  };
  const auto first = say(request);
  ASSERT_LE(first.ids.size(), heard.ids.size());
  EXPECT_TRUE(std::equal(first.ids.begin(), first.ids.end(), heard.ids.begin()));
  // Another picture of one size: nothing of the first one is taken for it.
  const auto other = say(about_picture(2));
  EXPECT_LT(other.cached_tokens, 16);
  EXPECT_TRUE(std::equal(other.ids.begin(), other.ids.end(),
                         answer(service(), about_picture(2)).ids.begin()));
  const auto again = say(about_picture(2));
  EXPECT_EQ(again.cached_tokens, again.prompt_tokens - 1);
  EXPECT_EQ(again.ids, other.ids);
  // Rows that nobody has encoded are an error and no answer.
  const auto unseen = (*preparer)->prepare(about_picture(3));
  GenerateRequest generate;
  generate.prompt = unseen->prompt.ids;
  generate.soft = unseen->prompt.soft;
  const auto failed = session->generate(generate, {});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, Code::Internal);
}

TEST_F(ChatMedia, TakesMediaOfToolsResults) {
  auto call = Message::of(Role::Model, "");
  call.calls.push_back({.id = "1", .name = "look"});
  Message result;
  result.role = Role::Tool;
  result.results.push_back({.call_id = "1", .value = JsonValue::of("here")});
  result.results[0].media.push_back(part(Part::Kind::Image, picture(64, 64, 1)));
  const auto prepared =
      prepare(service(), request_of({Message::of(Role::User, "Look."), call, result}));
  EXPECT_EQ(prepared.prompt.soft.size(), 1u);
  EXPECT_EQ(prepared.media.size(), 1u);
}

TEST_F(ChatMedia, RefusesMediaItCannotTakeAndSaysWhy) {
  const auto expect_refused = [&](Part part, std::string_view why) {
    part.where = "contents[0].parts[0]";
    const Error error = refused(request_of({user({std::move(part)}, "?")}));
    EXPECT_EQ(error.code, Code::Unimplemented);
    EXPECT_EQ(error.reason(), "unsupported_media");
    ASSERT_TRUE(error.detail);
    EXPECT_EQ(error.detail->field, "contents[0].parts[0]");
    EXPECT_THAT(error.message, HasSubstr(why));
  };
  options_.engine.mmproj = "";
  expect_refused(part(Part::Kind::Image, picture(8, 8, 1)), "no projector file lies beside");
  EXPECT_FALSE(service().capabilities().vision);
  service_.reset();
  options_.engine.mmproj = "none";
  expect_refused(part(Part::Kind::Video, std::string("x")), "switched off");
  service_.reset();
  options_.engine.mmproj = folder_.file("mmproj.gguf");
  test_media::write_projector(options_.engine.mmproj, text_width(), {.audio = false});
  EXPECT_TRUE(service().capabilities().vision);
  EXPECT_THAT(service().capabilities().no_audio, HasSubstr("has no sound encoder"));
  expect_refused(part(Part::Kind::Audio, std::string("x")), "takes no audio");
}

TEST_F(ChatMedia, RefusesWhatIsDamagedAlreadyWhenItCounts) {
  auto request = about_picture(1);
  request.conversation.messages[0].parts[0].bytes = std::string("no picture");
  request.conversation.messages[0].parts[0].where = "messages[0].content[0]";
  EXPECT_THAT(refused(request).message, testing::StartsWith("messages[0].content[0]: "));
}

TEST_F(ChatMedia, NamesTheWayForSoundThatIsTooLong) {
  const auto sound = test_media::sound(test_sound::tone(440, 200 * 16'000));
  const Error error = refused(request_of({user({part(Part::Kind::Audio, sound)}, "?")}));
  EXPECT_EQ(error.reason(), "context_length_exceeded");
  EXPECT_GT(error.detail->prompt_tokens, 5000);
  EXPECT_THAT(error.message, HasSubstr("transcribe"));
}

TEST_F(ChatMedia, ForgetsMediaWithTheirExchange) {
  options_.engine.context = 400;
  std::vector<Message> messages;
  for (std::uint64_t i = 0; i < 6; ++i) {
    Part image = part(Part::Kind::Image, picture(64, 64, i));
    image.settings.budget = 70;
    messages.push_back(user({std::move(image)}, "And this?"));
    if (i < 5) messages.push_back(Message::of(Role::Model, "A cat."));
  }
  auto request = request_of(std::move(messages));
  EXPECT_EQ(refused(request).reason(), "context_length_exceeded");
  request.forget_oldest = true;
  const auto prepared = prepare(service(), request);
  EXPECT_GT(prepared.forgotten.n_forgotten_exchanges, 0);
  EXPECT_EQ(prepared.media.size(),
            6u - static_cast<std::size_t>(prepared.forgotten.n_forgotten_exchanges));
  EXPECT_EQ(prepared.prompt.soft.size(), prepared.media.size());
  EXPECT_EQ(prepared.media_tokens.image, 66 * static_cast<std::int64_t>(prepared.media.size()));
  answer(service(), request);
  EXPECT_EQ(encoded().n_encoded, prepared.media.size());
}

TEST_F(ChatMedia, StopsWhileItEncodes) {
  auto stopped = service().start(prepare(service(), about_picture(1)),
                                 {.user = "ann", .is_cancelled = [] { return true; }});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, Code::Cancelled);
  auto late = service().start(prepare(service(), about_picture(1)),
                              {.user = "ann", .deadline = std::chrono::steady_clock::now()});
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, Code::DeadlineExceeded);
  answer(service(), about_picture(1));
}

TEST_F(ChatMedia, TracesKeepTheMediaAndDrawTheAnswerAgain) {
  auto request = about_picture(1);
  request.sampling.temperature = 2.0f;
  request.sampling.seed = 3;
  auto& parts = request.conversation.messages[0].parts;
  parts.push_back(
      part(Part::Kind::Audio, test_media::sound(test_sound::tone(440, 32'000)), "sound"));
  parts.back().settings.from_s = 0.25;
  const Trace trace = traced(request);
  const auto read = parse_trace(trace_text(trace));
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->media.size(), 2u);
  EXPECT_EQ(read->media[0].part.bytes, parts[0].bytes);
  EXPECT_EQ(read->media[0].part.settings.budget, 70);
  EXPECT_EQ(read->media[1].part.kind, Part::Kind::Audio);
  EXPECT_EQ(read->media[1].part.where, "sound");
  EXPECT_EQ(read->media[1].part.settings.from_s, 0.25);
  EXPECT_FALSE(read->media[1].part.settings.to_s);
  // By a service that has not seen them.
  const auto again = replay(*read, *open());
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_FALSE(first_difference(*read, *again));
  EXPECT_EQ(largest_logprob_distance(*read, *again), 0.0);

  // Another picture is another prompt.
  Trace other = *read;
  other.media[0].part.bytes = picture(64, 64, 2);
  other.media[0].size_bytes = other.media[0].part.bytes.size();
  const auto not_again = replay(other, service());
  ASSERT_TRUE(not_again.ok()) << not_again.error().message;
  EXPECT_GT(largest_logprob_distance(*read, *not_again), 0.0);
}

TEST_F(ChatMedia, ATraceWithoutItsMediaIsNotReplayed) {
  const Trace trace = traced(about_picture(1));
  const auto refusal = [&](const Trace& changed) {
    const auto again = replay(changed, service());
    EXPECT_FALSE(again.ok());
    if (again.ok()) return std::string();
    EXPECT_EQ(again.error().code, Code::FailedPrecondition);
    return again.error().message;
  };
  Trace changed = trace;
  changed.media[0].part.bytes = {};
  EXPECT_THAT(refusal(changed), HasSubstr("messages[0]: the trace does not have its"));
  EXPECT_THAT(refusal(changed), HasSubstr("at most 32 MiB"));
  changed = trace;
  changed.media.clear();
  EXPECT_THAT(refusal(changed), HasSubstr("the media become 0 blocks, the prompt has 1"));
  changed = trace;
  changed.media[0].part.settings.budget = 140;
  EXPECT_THAT(refusal(changed), HasSubstr("block 0 of the media has 121 rows, in the prompt 64"));

  std::string text = trace_text(trace);
  const auto place = text.find("\"bytes\":\"");
  ASSERT_NE(place, std::string::npos);
  text[place + 400] = text[place + 400] == 'A' ? 'B' : 'A';
  EXPECT_THAT(parse_trace(text).error().message, HasSubstr("line 3: \"bytes\" are not those"));
}

TEST_F(ChatMedia, ATraceKeepsMediaUpToALimit) {
  // Two of them are too many.
  std::vector<Part> parts;
  for (const std::uint64_t seed : {1u, 2u}) {
    parts.push_back(part(Part::Kind::Image, large_picture(seed)));
    parts.back().settings.budget = 70;
  }
  const auto request = request_of({user(std::move(parts), "Which?")});
  const auto prepared = prepare(service(), request);
  const Trace trace = begin_trace(service().engine(), &request, prepared);
  ASSERT_EQ(trace.media.size(), 2u);
  EXPECT_TRUE(trace.media[0].is_kept());
  EXPECT_FALSE(trace.media[1].is_kept());
  EXPECT_EQ(trace.media[1].size_bytes, trace.media[0].size_bytes);
  EXPECT_EQ(trace.media[1].sha256.size(), 64u);
  EXPECT_NE(trace.media[1].sha256, trace.media[0].sha256);
}

TEST_F(ChatMedia, TracesNameTheBlocks) {
  const Trace trace = traced(about_picture(1));
  const auto& soft = trace.prompt.soft;
  const auto read = parse_trace(trace_text(trace));
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->prompt.soft.size(), 1u);
  EXPECT_EQ(read->prompt.soft[0].first, soft[0].first);
  EXPECT_EQ(read->prompt.soft[0].rows->key, soft[0].rows->key);
  EXPECT_EQ(read->prompt.soft[0].rows->n_rows, 64);
  EXPECT_TRUE(read->prompt.soft[0].rows->is_visual);
  // Spans that no prompt has.
  for (const auto& [good, bad] :
       {std::pair("\"rows\":64", "\"rows\":64000"), std::pair("\"key\":\"", "\"key\":\"zz"),
        std::pair("\"first\":", "\"first\":-")}) {
    std::string text = trace_text(trace);
    const auto place = text.find(good);
    ASSERT_NE(place, std::string::npos) << good;
    text.replace(place, std::string(good).size(), bad);
    EXPECT_EQ(parse_trace(text).error().code, Code::DataLoss) << bad;
  }
}

}  // namespace
}  // namespace fourfold
