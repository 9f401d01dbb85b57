// No text of a request, wherever it stands, becomes a control token.
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/code_point.h"
#include "chat/render.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

using MakeText = std::function<std::string()>;

JsonValue object_of(std::string key, JsonValue value) {
  return JsonValue::object({{std::move(key), std::move(value)}});
}

// Every place of a property's schema that takes a text of the client.
JsonValue property_schema(const MakeText& text) {
  JsonValue schema = JsonValue::object();
  schema.set("description", JsonValue::of(text()));
  schema.set("type", JsonValue::of("object"));
  schema.set("required", JsonValue::array({JsonValue::of(text())}));
  JsonValue list = JsonValue::object();
  list.set("type", JsonValue::of("array"));
  list.set("items", object_of(text(), object_of(text(), JsonValue::of(text()))));
  JsonValue choice = JsonValue::object();
  choice.set("type", JsonValue::of("string"));
  choice.set("enum", JsonValue::array({JsonValue::of(text())}));
  JsonValue odd = object_of("type", JsonValue::of(text()));
  schema.set("properties", object_of(text(), object_of("type", JsonValue::of("object"))));
  JsonValue& inner = schema.find("properties")->members[0].value;
  // Keys of one letter keep their order.
  inner.set("properties", JsonValue::object({{"a", list}, {"b", choice}, {"c", odd}}));
  return schema;
}

Tool tool_of(const MakeText& text) {
  Tool tool{.name = text()};
  tool.declaration.set("description", JsonValue::of(text()));
  JsonValue parameters = object_of("type", JsonValue::of(text()));
  parameters.set("properties", object_of(text(), property_schema(text)));
  parameters.set("required", JsonValue::array({JsonValue::of(text())}));
  tool.declaration.set("parameters", parameters);
  tool.declaration.set("response", object_of("type", JsonValue::of("object")));
  tool.declaration.find("response")->set("description", JsonValue::of(text()));
  return tool;
}

Message model_message(const MakeText& text) {
  Message message = Message::of(Role::Model, text());
  message.thought = text();
  JsonValue argument =
      JsonValue::array({JsonValue::of(text()), object_of(text(), JsonValue::of(text()))});
  message.calls.push_back({.name = text(), .arguments = object_of(text(), argument)});
  return message;
}

Message result_message(JsonValue value) {
  Message message;
  message.role = Role::Tool;
  message.results.push_back({.value = std::move(value)});
  return message;
}

Conversation conversation_of(const MakeText& text) {
  Conversation conversation;
  auto& messages = conversation.messages;
  messages.push_back(Message::of(Role::System, text()));
  messages.push_back(Message::of(Role::User, text()));
  messages.back().parts.push_back({.kind = Part::Kind::Image});
  messages.back().parts.push_back({.kind = Part::Kind::Text, .text = text()});
  messages.push_back(model_message(text));
  messages.push_back(result_message(JsonValue::of(text())));
  messages.push_back(model_message(text));
  messages.push_back(result_message(object_of(text(), JsonValue::of(text()))));
  messages.push_back(model_message(text));
  messages.back().results.push_back({.name = text(), .value = JsonValue::of(text())});
  conversation.tools.push_back(tool_of(text));
  conversation.thinking.on = true;
  return conversation;
}

constexpr char32_t kSpaceMark = 0x2581;  // ▁, in which texts come back as a space

// Spellings of control tokens, whole and in halves, among other characters. Never empty.
std::string random_text(std::mt19937& random) {
  static const auto pieces = control_pieces(Family::Gemma4);
  std::string text = "x";
  for (auto n = random() % 8; n > 0; --n) {
    const std::string_view control = pieces[random() % pieces.size()].text;
    switch (random() % 6) {
      case 0: text += control; break;
      case 1: text += control.substr(0, 1 + random() % control.size()); break;
      case 2: text += control.substr(random() % control.size()); break;
      case 3: text += "<|>\"\n {}:,"[random() % 10]; break;
      case 4: append_utf8(static_cast<char32_t>(random()) % kSpaceMark, text); break;
      case 5: append_utf8(0x10000 + static_cast<char32_t>(random()) % 0x100000, text); break;
    }
  }
  // What is trimmed, or cut as a thought, must leave something.
  return text + "x";
}

std::vector<TokenId> controls_of(const std::vector<TokenId>& ids) {
  std::vector<TokenId> controls;
  for (const TokenId id : ids) {
    if (full_tokenizer().is_control(id)) controls.push_back(id);
  }
  return controls;
}

// Renders until that many random texts were used.
void expect_no_forged_control(int n_texts) {
  std::mt19937 random(17);
  int n_used = 0;
  const auto harmless = render(full_tokenizer(), conversation_of([] { return "x"; }), {});
  ASSERT_TRUE(harmless.ok());
  const auto expected = controls_of(harmless->ids);
  ASSERT_GT(expected.size(), 60u);
  while (n_used < n_texts) {
    const auto conversation = conversation_of([&] {
      ++n_used;
      return random_text(random);
    });
    const auto prompt = render(full_tokenizer(), conversation, {});
    ASSERT_TRUE(prompt.ok()) << prompt.error().message;
    ASSERT_EQ(controls_of(prompt->ids), expected) << prompt->text;
    ASSERT_EQ(decode(full_tokenizer(), prompt->ids), prompt->text);
  }
}

TEST(Injection, NoTextBecomesAControlToken) { expect_no_forged_control(10'000); }

// For the slow suite.
TEST(Injection, DISABLED_NoneOfAMillionTextsBecomesAControlToken) {
  expect_no_forged_control(1'000'000);
}

}  // namespace
}  // namespace fourfold
