#include "scripted/scripted_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/json_value.h"
#include "chat/request_json.h"

namespace fourfold::scripted {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kSource = FOURFOLD_SOURCE_DIR;
const std::string kKeeper = kSource + "/models/keeper/keeper.gguf";

Script script_named(const std::string& name) {
  const auto scripts = load_scripts(kSource + "/tests/cases/server").value();
  for (const auto& script : scripts) {
    if (script.name == name) return script;
  }
  ADD_FAILURE() << "no script " << name;
  return {};
}

struct Outcome {
  ChatOutput said;
  OutputUsage usage;
  Status status;
};

Outcome ask(const std::string& script, const std::string& request_json,
            const SamplingChoice& sampling = {}) {
  auto service = open_scripted(kKeeper, script_named(script), {});
  if (!service.ok()) return {.status = service.error()};
  auto conversation = parse_request(request_json);
  if (!conversation.ok()) return {.status = conversation.error()};
  const auto json = parse_json_value(request_json).value();
  if (const auto* format = json.find("response_format")) {
    conversation->response_format = read_response_format(*format).value();
  }
  auto prepared = (*service)->prepare(ChatRequest{*conversation, sampling});
  if (!prepared.ok()) return {.status = prepared.error()};
  auto stream = (*service)->start(std::move(*prepared), {.user = "test"});
  if (!stream.ok()) return {.status = stream.error()};
  Outcome outcome;
  while (const auto delta = (*stream)->next()) outcome.said.add(delta->event);
  outcome.status = (*stream)->status();
  if (outcome.status.ok()) outcome.usage = (*stream)->end(0).usage;
  return outcome;
}

std::string say(const std::string& rest = "") {
  return R"({"messages": [{"role": "user", "content": "Hi"}])" + rest + "}";
}
const std::string kTools =
    R"(, "tools": [{"type": "function", "function": {"name": "get_weather", "description": "d",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}])";

TEST(ScriptedService, SaysTheScript) {
  const auto outcome = ask("plain", say());
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error().message;
  EXPECT_THAT(outcome.said.content, HasSubstr("The pump runs at six."));
  EXPECT_EQ(outcome.said.thinking, "");
}

TEST(ScriptedService, Thinks) {
  const auto outcome = ask("plain", say(R"(, "enable_thinking": true)"));
  EXPECT_THAT(outcome.said.thinking, HasSubstr("wants a plan"));
  EXPECT_THAT(outcome.said.content, HasSubstr("The pump runs"));
  EXPECT_GT(outcome.usage.thought_tokens, 0);
}

TEST(ScriptedService, CallsInParallel) {
  const auto outcome = ask("parallel-calls", say(kTools));
  ASSERT_EQ(outcome.said.calls.size(), 2u);
  EXPECT_EQ(to_json_text(outcome.said.calls[1].arguments), R"({"city":"Rome"})");
  EXPECT_EQ(outcome.said.finish, ChatFinish::ToolCalls);
}

constexpr const char* kPerson = R"(, "response_format": {"type": "json_schema", "json_schema": {
    "schema": {"type": "object", "required": ["name", "age"], "additionalProperties": false,
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}}})";

TEST(ScriptedService, KeepsToASchema) {
  EXPECT_EQ(ask("schema", say(kPerson)).said.content, R"({"name":"Ada","age":36})");
  // What the script wants is not allowed: the shortest that is.
  const auto forced = parse_json_value(ask("plain", say(kPerson)).said.content);
  ASSERT_TRUE(forced.ok()) << forced.error().message;
  EXPECT_NE(forced->find("age"), nullptr);
}

TEST(ScriptedService, FailsInTheMiddle) {
  const auto outcome = ask("fails", say());
  EXPECT_FALSE(outcome.status.ok());
  EXPECT_THAT(outcome.said.content, HasSubstr("One two"));
}

TEST(ScriptedService, RefusesWhereTheQueueIsFull) {
  const auto full = ask("queue-full", say());
  ASSERT_FALSE(full.status.ok());
  EXPECT_EQ(full.status.error().reason(), "queue_full");
  const auto limited = ask("rate-limited", say());
  ASSERT_FALSE(limited.status.ok());
  EXPECT_EQ(limited.status.error().reason(), "rate_limit_exceeded");
}

TEST(ScriptedService, HasTheContextThatWasWritten) {
  const std::string path = testing::TempDir() + "/long.gguf";
  ASSERT_TRUE(write_with_context(kKeeper, 16384, path).ok());
  const auto service = open_scripted(path, script_named("plain"), {});
  ASSERT_TRUE(service.ok()) << service.error().message;
  EXPECT_EQ((*service)->context(), 16384);
  EXPECT_FALSE(write_with_context(kSource + "/README.md", 16384, path).ok());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace fourfold::scripted
