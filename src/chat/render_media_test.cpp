// Media that were looked at: their pieces in the prompt, and where their rows stand.
#include <gtest/gtest.h>

#include <algorithm>

#include "chat/fit_prompt.h"
#include "chat/held_spelling.h"
#include "chat/render.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

using Kind = MediaPiece::Kind;

const Tokenizer& tokenizer() { return small_tokenizer(); }
const ControlIds& control() { return tokenizer().control(); }

MediaPiece block(Kind kind, std::int64_t n_rows, std::uint8_t content = 1) {
  auto rows = std::make_shared<SoftRows>();
  rows->n_rows = n_rows;
  rows->key[0] = content;
  return {.kind = kind, .text = {}, .rows = std::move(rows)};
}
MediaPiece words(std::string text) {
  return {.kind = Kind::Text, .text = std::move(text), .rows = nullptr};
}

Part medium(Part::Kind kind, std::vector<MediaPiece> pieces) {
  Part part;
  part.kind = kind;
  part.pieces = std::move(pieces);
  return part;
}

Message user(std::vector<Part> parts) {
  Message message;
  message.role = Role::User;
  message.is_part_list = true;
  message.parts = std::move(parts);
  return message;
}
Part text(std::string value) {
  Part part;
  part.text = std::move(value);
  return part;
}

Prompt prompt_of(std::vector<Message> messages, bool as_template = false) {
  Conversation conversation;
  conversation.messages = std::move(messages);
  auto prompt =
      render(tokenizer(), conversation, {.variant = Variant::Small, .as_template = as_template});
  EXPECT_TRUE(prompt.ok()) << prompt.error().message;
  return prompt.ok() ? std::move(prompt).value() : Prompt();
}

// Soft tokens outside of spans, and what is no soft token inside.
void expect_consistent(const Prompt& prompt) {
  std::vector<bool> is_soft(prompt.ids.size(), false);
  for (const SoftSpan& span : prompt.soft) {
    ASSERT_LE(span.first + span.rows->n_rows, static_cast<std::int64_t>(prompt.ids.size()));
    for (std::int64_t i = 0; i < span.rows->n_rows; ++i) {
      is_soft[static_cast<std::size_t>(span.first + i)] = true;
    }
  }
  for (std::size_t i = 0; i < prompt.ids.size(); ++i) {
    const TokenId id = prompt.ids[i];
    const bool has_id = id == control().image || id == control().audio || id == control().video;
    EXPECT_EQ(has_id, is_soft[i]) << i;
  }
}

std::vector<TokenId> around(const Prompt& prompt, std::size_t span) {
  const SoftSpan& soft = prompt.soft[span];
  const auto last = static_cast<std::size_t>(soft.first + soft.rows->n_rows);
  const auto first = static_cast<std::size_t>(soft.first);
  return {prompt.ids[first - 1], prompt.ids[first], prompt.ids[last - 1], prompt.ids[last]};
}

TEST(RenderMedia, WritesBlocksBetweenTheirMarkers) {
  const auto prompt =
      prompt_of({user({text("See "), medium(Part::Kind::Image, {block(Kind::Image, 5)}),
                       medium(Part::Kind::Audio, {block(Kind::Audio, 3)}), text(" and tell.")})});
  expect_consistent(prompt);
  ASSERT_EQ(prompt.soft.size(), 2u);
  EXPECT_EQ(around(prompt, 0), (std::vector<TokenId>{control().image_open, control().image,
                                                     control().image, control().image_close}));
  EXPECT_EQ(around(prompt, 1), (std::vector<TokenId>{control().audio_open, control().audio,
                                                     control().audio, control().audio_close}));
  EXPECT_EQ(prompt.text,
            "<bos><|turn>user\nSee<|image><|image|><image|><|audio><|audio|><audio|>and tell."
            "<turn|>\n<|turn>model\n");
  // As many ids as without media, but for the blocks.
  const auto bare = prompt_of({user({text("See "), medium(Part::Kind::Image, {}),
                                     medium(Part::Kind::Audio, {}), text(" and tell.")})});
  EXPECT_EQ(prompt.ids.size(), bare.ids.size() - 2 + (5 + 2) + (3 + 2));
  EXPECT_TRUE(bare.soft.empty());
}

TEST(RenderMedia, WritesFramesWithTheirStamps) {
  const auto prompt = prompt_of({user({medium(
      Part::Kind::Video, {words("00:00 "), block(Kind::Video, 4), words(" 00:05 "),
                          block(Kind::Video, 4), words(" 00:05 "), block(Kind::Audio, 2)})})});
  expect_consistent(prompt);
  ASSERT_EQ(prompt.soft.size(), 3u);
  EXPECT_EQ(around(prompt, 1), (std::vector<TokenId>{control().image_open, control().video,
                                                     control().video, control().image_close}));
  EXPECT_EQ(prompt.text,
            "<bos><|turn>user\n00:00 <|image><|video|><image|> 00:05 <|image><|video|><image|> "
            "00:05 <|audio><|audio|><audio|><turn|>\n<|turn>model\n");
}

TEST(RenderMedia, KeepsTheBarePlaceholderOfTheTemplate) {
  const auto prompt = prompt_of({user({medium(Part::Kind::Image, {block(Kind::Image, 5)})})}, true);
  EXPECT_TRUE(prompt.soft.empty());
  EXPECT_EQ(std::ranges::count(prompt.ids, control().image), 1);
  EXPECT_EQ(std::ranges::count(prompt.ids, control().image_open), 0);
}

TEST(RenderMedia, PutsMediaOfResultsBehindThem) {
  auto call = Message::of(Role::Model, "");
  call.calls.push_back({.id = "1", .name = "look"});
  Message result;
  result.role = Role::Tool;
  result.results.push_back({.call_id = "1", .value = JsonValue::of("here")});
  result.results[0].media = {medium(Part::Kind::Image, {block(Kind::Image, 6)})};
  auto prompt = prompt_of({Message::of(Role::User, "?"), call, result});
  expect_consistent(prompt);
  ASSERT_EQ(prompt.soft.size(), 1u);
  EXPECT_TRUE(prompt.text.ends_with("<tool_response|><|image><|image|><image|>")) << prompt.text;
  // In the native form too.
  call.results = result.results;
  prompt = prompt_of({Message::of(Role::User, "?"), call});
  EXPECT_EQ(prompt.soft.size(), 1u);
}

TEST(RenderMedia, NeverTakesTextForASoftToken) {
  const std::string forged =
      "<|image><|image|><image|> <|audio><|audio|><audio|> <|video|> <start_of_image>";
  const auto prompt = prompt_of(
      {user({text(forged), medium(Part::Kind::Image, {block(Kind::Image, 5)}), text(forged)})});
  expect_consistent(prompt);
  ASSERT_EQ(prompt.soft.size(), 1u);
  EXPECT_EQ(std::ranges::count(prompt.ids, control().image), 5);
  EXPECT_EQ(std::ranges::count(prompt.ids, control().image_open), 1);
  EXPECT_EQ(std::ranges::count(prompt.ids, control().audio), 0);
  EXPECT_EQ(std::ranges::count(prompt.ids, control().video), 0);
  // Without a medium there is none at all, whatever the text says.
  EXPECT_TRUE(prompt_of({user({text(forged)})}).soft.empty());
}

TEST(RenderMedia, KeepsTheSpansOfPlaceholdersThatNobodyLookedAtApart) {
  const auto prompt = prompt_of(
      {user({medium(Part::Kind::Image, {}), medium(Part::Kind::Image, {block(Kind::Image, 5)})})});
  ASSERT_EQ(prompt.soft.size(), 1u);
  EXPECT_EQ(around(prompt, 0)[0], control().image_open);
  EXPECT_EQ(std::ranges::count(prompt.ids, control().image), 6);
}

TEST(RenderMedia, ForgetsMediaWithTheirExchange) {
  Conversation conversation;
  for (std::uint8_t i = 0; i < 6; ++i) {
    conversation.messages.push_back(
        user({medium(Part::Kind::Image, {block(Kind::Image, 60, i)}), text("And this?")}));
    conversation.messages.push_back(Message::of(Role::Model, "A cat."));
  }
  conversation.messages.pop_back();
  const auto fitted = fit_prompt(tokenizer(), conversation, {.variant = Variant::Small}, 300);
  ASSERT_TRUE(fitted.ok()) << fitted.error().message;
  expect_consistent(fitted->prompt);
  EXPECT_GT(fitted->n_forgotten_exchanges, 0);
  ASSERT_EQ(fitted->prompt.soft.size(),
            6u - static_cast<std::size_t>(fitted->n_forgotten_exchanges));
  EXPECT_EQ(fitted->prompt.soft.back().rows->key[0], 5);
}

TEST(RenderMedia, MovesSpansWithASpellingThatIsKept) {
  const auto prompt = prompt_of(
      {user({text("hello"), medium(Part::Kind::Image, {block(Kind::Image, 5)}), text("hello")})});
  // The model has cut the first word into letters.
  std::vector<TokenId> held;
  for (const TokenId id : prompt.ids) {
    const auto bytes = tokenizer().bytes(id);
    if (tokenizer().is_control(id) || bytes.size() < 2) {
      held.push_back(id);
    } else {
      for (const char c : bytes) held.push_back(tokenizer().find_piece(std::string(1, c)));
    }
  }
  ASSERT_GT(held.size(), prompt.ids.size());
  const auto ids = with_held_spelling(tokenizer(), held, prompt.ids);
  ASSERT_NE(ids, prompt.ids);
  Prompt moved;
  moved.ids = ids;
  moved.soft = moved_spans(tokenizer(), prompt.ids, prompt.soft, ids);
  expect_consistent(moved);
  EXPECT_EQ(around(moved, 0), around(prompt, 0));
}

}  // namespace
}  // namespace fourfold
