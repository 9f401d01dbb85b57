#include "api/gemini_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/gemini_schema.h"
#include "base/base64.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::string_literals;

const std::string kPng = "\x89PNG\r\n\x1a\n and so on"s;

GeminiRequestOptions options_of_test() {
  GeminiRequestOptions options;
  options.model = "gemma-4-e4b-it";
  options.content.load_file = [](std::string_view id) -> Result<StoredFile> {
    if (id == "abc123") return StoredFile{.mime = "image/png", .bytes = kPng};
    if (id == "notes") return StoredFile{.mime = "text/plain", .bytes = std::string("some notes")};
    return not_found("file files/{} not found", id);
  };
  return options;
}

Result<GeminiRequest> parsed(const std::string& json,
                             const GeminiRequestOptions& options = options_of_test()) {
  return parse_gemini_request(TRY(parse_json_value(json)), options);
}

GeminiRequest must_parse(const std::string& json,
                         const GeminiRequestOptions& options = options_of_test()) {
  auto request = parsed(json, options);
  if (!request) {
    ADD_FAILURE() << request.error().message;
    return {};
  }
  return std::move(request).value();
}

// "user:Hi|", "model:(hm)Hello|!f{\"a\":1}", "tool:c1 f={\"r\":1}"
std::string shown(const Message& message) {
  constexpr const char* kNames[] = {"system", "developer", "user", "model", "tool", "other"};
  constexpr const char* kKinds[] = {"text", "image", "audio", "video", "unknown"};
  std::string out = kNames[static_cast<int>(message.role)];
  out += ':';
  if (!message.thought.empty()) out += "(" + message.thought + ")";
  for (const auto& part : message.parts) {
    const bool is_text = part.kind == Part::Kind::Text;
    out += (is_text ? part.text : kKinds[static_cast<int>(part.kind)] + " at "s + part.where) + "|";
  }
  for (const auto& call : message.calls) {
    out += "!" + call.id + " " + call.name + to_json_text(call.arguments);
  }
  for (const auto& result : message.results) {
    out += result.call_id + " " + result.name + "=" + to_json_text(result.value);
    for (const auto& part : result.media) out += " with " + part.where;
  }
  return out;
}

std::vector<std::string> shown(const GeminiRequest& request) {
  std::vector<std::string> out;
  for (const auto& message : request.chat.conversation.messages) out.push_back(shown(message));
  return out;
}

std::string contents(const std::string& list) { return R"({"contents":[)" + list + "]}"; }

// ---- contents ----

TEST(GeminiContents, MergesChunksOfOneRole) {
  const auto request = must_parse(contents(
      R"({"parts":[{"text":"Hi"}]},
         {"role":"model","parts":[{"text":"h","thought":true}]},
         {"role":"model","parts":[{"text":"m","thought":true}]},
         {"role":"model","parts":[{"text":"Hello"}]},
         {"role":"model","parts":[{"text":" "}]},
         {"role":"model","parts":[{"text":"you"}]},
         {"role":"model","parts":[{"text":""}]},
         {"role":"user","parts":[{"text":"a"},{"text":"b"}]},
         {"role":"model","parts":[{"text":""}]},
         {"role":"user","parts":[{"text":"c"}]})"));
  EXPECT_THAT(shown(request), ElementsAre("user:Hi|", "model:(hm)Hello you|", "user:a|b\nc|"));
}

TEST(GeminiContents, SystemTextIsJoinedByNewlines) {
  for (const auto* key : {"systemInstruction", "system_instruction"}) {
    const auto request =
        must_parse(R"({")"s + key +
                   R"(":{"role":"user","parts":[{"text":"Be brief."},{"text":"Be kind."}]},
           "contents":[{"role":"user","parts":[{"text":"Hi"}]},
                       {"role":"system","parts":[{"text":"New rule"}]},
                       {"role":"user","parts":[{"text":"Go"}]}]})");
    EXPECT_THAT(shown(request), ElementsAre("system:Be brief.\nBe kind.|", "user:Hi|",
                                            "system:New rule|", "user:Go|"));
  }
  const auto plain =
      must_parse(R"({"systemInstruction":"Be brief.","contents":{"parts":{"text":"Hi"}}})");
  EXPECT_THAT(shown(plain), ElementsAre("system:Be brief.|", "user:Hi|"));
}

TEST(GeminiContents, ResultsComeBeforeWhatIsSaid) {
  const auto request = must_parse(contents(
      R"({"role":"user","parts":[{"text":"Hi"}]},
         {"role":"model","parts":[{"functionCall":{"id":"1","name":"f","args":{"a":1.0}}}]},
         {"role":"model","parts":[{"functionCall":{"name":"g"}}]},
         {"role":"user","parts":[{"text":"And?"},
            {"functionResponse":{"id":"1","name":"f","response":{"result":3}}}]},
         {"role":"user","parts":[{"function_response":{"name":"g","response":{"error":"e"}}}]})"));
  EXPECT_THAT(shown(request),
              ElementsAre("user:Hi|", R"(model:!1 f{"a":1.0}! g{})", R"(tool:1 f={"result":3})",
                          R"(tool: g={"error":"e"})", "user:And?|"));
}

TEST(GeminiContents, AResultOfNothingIsAnEmptyText) {
  const auto request = must_parse(contents(
      R"({"parts":[{"text":"Hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f"}}]},
         {"role":"system","parts":[{"text":"Rule"}]},
         {"role":"function","parts":[{"functionResponse":{"name":"f"}}]})"));
  EXPECT_THAT(shown(request),
              ElementsAre("user:Hi|", "model:! f{}", R"(tool: f="")", "system:Rule|"));
}

TEST(GeminiContents, PartsAreReadByWhatTheyHold) {
  const std::string png = to_base64(kPng);
  const auto request = must_parse(
      contents(R"({"parts":[{"inlineData":{"mimeType":"image/png","data":")" + png + R"("}},{},
         {"inline_data":{"mime_type":"text/plain","data":")" +
               to_base64("plain") + R"("}},
         {"fileData":{"fileUri":"https://h/v1beta/files/abc123","mimeType":"image/png"},
          "videoMetadata":{"startOffset":"1.5s","endOffset":"10s","fps":2},
          "mediaResolution":{"level":"MEDIA_RESOLUTION_LOW"}},
         {"fileData":{"fileUri":"files/notes"}},
         {"executableCode":{"language":"PYTHON","code":"print 1"}},
         {"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1"}},
         {"text":"What?","partMetadata":{"a":1}},{"toolCall":{}}]})"));
  EXPECT_THAT(
      shown(request),
      ElementsAre("user:image at contents[0].parts[0].inlineData|plain|image at "
                  "contents[0].parts[3].fileData|some notes|```python\nprint 1\n```|```\n1\n```|"
                  "What?|"));
}

TEST(GeminiContents, MediaAreSeenAsTheirPartsAndTheRequestSay) {
  const std::string png = to_base64(kPng), film = to_base64("\x1a\x45\xdf\xa3");
  const auto part = [](const std::string& mime, const std::string& data, const std::string& more) {
    return R"({"inlineData":{"mimeType":")" + mime + R"(","data":")" + data + R"("})" + more + "}";
  };
  const auto request = must_parse(
      R"({"generationConfig":{"mediaResolution":"MEDIA_RESOLUTION_HIGH"},"contents":[{"parts":[)" +
      part("image/png", png, "") + "," +
      part("image/png", png, R"(,"mediaResolution":{"level":"MEDIA_RESOLUTION_LOW"})") + "," +
      part("video/webm", film,
           R"(,"videoMetadata":{"startOffset":"1s","endOffset":"2.5s","fps":2})") +
      R"(]},{"role":"model","parts":[{"functionCall":{"name":"f"}}]},)"
      R"({"parts":[{"functionResponse":{"name":"f","parts":[)" +
      part("image/png", png, R"(,"mediaResolution":{"numTokens":300})") + "]}}]}]}");
  const auto& messages = request.chat.conversation.messages;
  const auto& parts = messages[0].parts;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].settings.budget, 560);
  EXPECT_EQ(parts[1].settings.budget, 70);
  EXPECT_EQ(parts[2].settings.budget, 280);
  EXPECT_EQ(parts[2].settings.from_s, 1.0);
  EXPECT_EQ(parts[2].settings.to_s, 2.5);
  EXPECT_EQ(parts[2].settings.fps, 2.0);
  EXPECT_EQ(messages[2].results[0].media[0].settings.budget, 280);
}

TEST(GeminiContents, ResultsMayHaveMedia) {
  const auto request = must_parse(contents(
      R"({"parts":[{"text":"Hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f"}}]},
         {"parts":[{"functionResponse":{"name":"f","response":{},"parts":[
            {"inlineData":{"mimeType":"image/png","data":")" +
      to_base64(kPng) + R"("}}]}}]})"));
  EXPECT_EQ(shown(request)[2],
            "tool: f={} with contents[2].parts[0].functionResponse.parts[0].inlineData");
}

TEST(GeminiContents, BrokenArgumentsOfAnAnsweredCallAreData) {
  const std::string call =
      R"({"parts":[{"text":"Hi"}]},
         {"role":"model","parts":[{"functionCall":{"id":"1","name":"f","args":"{\"a\":"}}]})";
  const auto request = must_parse(contents(
      call + R"(,{"parts":[{"functionResponse":{"id":"1","name":"f","response":{"r":1}}}]})"));
  EXPECT_EQ(shown(request)[1], R"(model:!1 f{"arguments":"{\"a\":"})");
  EXPECT_THAT(request.warnings,
              ElementsAre(HasSubstr("contents[1].parts[0].functionCall.args: not a JSON object")));
  const auto waiting = parsed(contents(call));
  ASSERT_FALSE(waiting.ok());
  EXPECT_EQ(waiting.error().detail->field, "contents[1].parts[0].functionCall.args");
}

TEST(GeminiContents, ThoughtsComeBackInTheirSignatures) {
  const auto sealer = *Sealer::open("");
  auto options = options_of_test();
  options.content.sealer = &sealer;
  const auto turn = [&](const std::string& signature) {
    return contents(R"({"parts":[{"text":"Hi"}]},
      {"role":"model","parts":[{"functionCall":{"name":"f"},"thoughtSignature":")" +
                    signature +
                    R"("}]},{"parts":[{"functionResponse":{"name":"f","response":{}}}]})");
  };
  EXPECT_EQ(shown(must_parse(turn(*sealer.seal("I need f.")), options))[1],
            "model:(I need f.)! f{}");
  EXPECT_EQ(shown(must_parse(turn("c2tpcF90aG91Z2h0X3NpZ25hdHVyZQ=="), options))[1], "model:! f{}");
  EXPECT_EQ(shown(must_parse(turn("@"), options))[1], "model:! f{}");
}

TEST(GeminiContents, CachedContentsComeFirst) {
  auto options = options_of_test();
  const auto cached = *parse_json_value(
      R"({"systemInstruction":"Rules.","contents":[{"parts":[{"text":"A book."}]}],
          "tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"object",
          "properties":{"a":{"type":"string"}}}}]}]})");
  options.cached = &cached;
  const auto request = must_parse(contents(R"({"parts":[{"text":"Who?"}]})"), options);
  EXPECT_THAT(shown(request), ElementsAre("system:Rules.|", "user:A book.\nWho?|"));
  EXPECT_EQ(request.chat.conversation.tools.size(), 1u);
  const auto both = parsed(R"({"contents":[{"parts":[{"text":"x"}]}],"tools":[]})", options);
  ASSERT_FALSE(both.ok());
  EXPECT_THAT(both.error().message, HasSubstr("tools: stands in the cachedContent already"));
  EXPECT_EQ(*cached_content_id(*parse_json_value(R"({"cachedContent":"cachedContents/x1"})")),
            "x1");
  EXPECT_EQ(*cached_content_id(*parse_json_value("{}")), "");
  EXPECT_TRUE(
      parse_gemini_cache(*parse_json_value(R"({"systemInstruction":"Rules."})"), options_of_test())
          .ok());
}

// ---- tools ----

TEST(GeminiTools, SchemasBecomeJsonSchemas) {
  const auto schema = *parse_json_value(
      R"({"type":"OBJECT","nullable":true,"example":1,"propertyOrdering":["b","a"],
          "properties":{"a":{"type":"STRING","format":"enum","enum":["X"]},
            "type":{"type":"ARRAY","items":{"type":"INTEGER"},"minItems":"1","max_items":3},
            "b":{"any_of":[{"type":"NUMBER"},{"type":"TYPE_UNSPECIFIED","title":null}]}}})");
  EXPECT_EQ(to_json_text(json_schema_of(schema)),
            R"({"type":"object","nullable":true,"propertyOrdering":["b","a"],)"
            R"("properties":{"a":{"type":"string","enum":["X"]},)"
            R"("type":{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3},)"
            R"("b":{"anyOf":[{"type":"number"},{}]}}})");
}

std::string with_tools(const std::string& declarations, const std::string& config = "{}") {
  return R"({"contents":[{"parts":[{"text":"Hi"}]}],"tools":[{"functionDeclarations":[)" +
         declarations + R"(]}],"toolConfig":{"functionCallingConfig":)" + config + "}}";
}

TEST(GeminiTools, BothKindsOfSchemaDeclareTheSameTool) {
  const auto request = must_parse(with_tools(
      R"({"name":"f","description":"d","parameters":{"type":"OBJECT","properties":{"a":{"type":
          "STRING"}}},"behavior":"BLOCKING"},
         {"name":"g","parameters_json_schema":{"type":"object",
          "properties":{"a":{"type":"string"}}}},
         {"name":"h","parameters":{"type":"OBJECT","properties":{}}})"));
  const auto& tools = request.chat.conversation.tools;
  ASSERT_EQ(tools.size(), 3u);
  EXPECT_EQ(to_json_text(tools[0].declaration),
            R"({"name":"f","description":"d","parameters":{"type":"object","properties":)"
            R"({"a":{"type":"string"}}}})");
  EXPECT_EQ(to_json_text(tools[1].declaration),
            R"({"name":"g","parameters":{"type":"object","properties":{"a":{"type":"string"}}}})");
  EXPECT_EQ(to_json_text(tools[2].declaration), R"({"name":"h"})");
  EXPECT_EQ(request.chat.conversation.tool_choice.mode, ToolChoice::Mode::Auto);
}

TEST(GeminiTools, ModesBecomeChoices) {
  using Mode = ToolChoice::Mode;
  const std::string two = R"({"name":"f"},{"name":"g"})";
  const auto choice = [&](const std::string& config) {
    return must_parse(with_tools(two, config)).chat.conversation;
  };
  EXPECT_EQ(choice(R"({"mode":"any"})").tool_choice.mode, Mode::Required);
  EXPECT_EQ(choice(R"({"mode":"NONE"})").tool_choice.mode, Mode::None);
  EXPECT_EQ(choice(R"({"mode":"MODE_UNSPECIFIED"})").tool_choice.mode, Mode::Auto);
  const auto any = choice(R"({"mode":"ANY","allowedFunctionNames":["g"]})");
  EXPECT_THAT(any.tool_choice.names, ElementsAre("g"));
  const auto validated = choice(R"({"mode":"VALIDATED","allowed_function_names":["f"]})");
  EXPECT_EQ(validated.tool_choice.mode, Mode::Auto);
  EXPECT_THAT(validated.tool_choice.names, ElementsAre("f"));
  EXPECT_TRUE(validated.tools[0].strict);
  EXPECT_FALSE(any.tools[0].strict);
}

TEST(GeminiTools, ServerToolsAreReportedWhereTheyAreIgnored) {
  auto options = options_of_test();
  options.ignore_server_tools = true;
  const auto request = must_parse(
      R"({"contents":[{"parts":[{"text":"Hi"}]}],"tools":[{"googleSearch":{}}]})", options);
  EXPECT_TRUE(request.chat.conversation.tools.empty());
  EXPECT_THAT(request.warnings, ElementsAre("tools[0].googleSearch: ignored"));
}

// ---- generationConfig ----

std::string with_config(const std::string& config) {
  return R"({"contents":[{"parts":[{"text":"Hi"}]}],"generationConfig":{)" + config + "}}";
}

TEST(GeminiConfig, ReadsEveryField) {
  const auto request = must_parse(with_config(
      R"("temperature":0,"top_p":0.5,"topK":40.0,"candidateCount":2,"maxOutputTokens":"100",
         "stopSequences":["END"],"presencePenalty":1,"frequencyPenalty":-1.5,"seed":7,
         "responseLogprobs":true,"logprobs":3,"mediaResolution":"media_resolution_high",
         "responseModalities":["TEXT"],"speechConfig":{},"audioTimestamp":true)"));
  const auto& sampling = request.chat.sampling;
  EXPECT_EQ(sampling.temperature, 0.0f);
  EXPECT_EQ(sampling.top_p, 0.5f);
  EXPECT_EQ(sampling.top_k, 40);
  EXPECT_EQ(request.chat.n_candidates, 2);
  EXPECT_EQ(sampling.max_tokens, 100);
  EXPECT_THAT(sampling.stop, ElementsAre("END"));
  EXPECT_EQ(sampling.presence_penalty, 1.0f);
  EXPECT_EQ(sampling.frequency_penalty, -1.5f);
  EXPECT_EQ(sampling.seed, 7u);
  EXPECT_EQ(sampling.n_logprobs, 3);
  EXPECT_TRUE(request.has_logprobs);
  const auto unset = must_parse(with_config(""));
  EXPECT_EQ(unset.chat.sampling.temperature, std::nullopt);
  EXPECT_EQ(unset.chat.sampling.n_logprobs, -1);
  EXPECT_EQ(unset.chat.sampling.max_tokens, -1);
}

TEST(GeminiConfig, ThinkingIsASwitchALevelOrABudget) {
  using Level = Thinking::Level;
  const auto thinking = [&](const std::string& config, bool by_default = false) {
    auto options = options_of_test();
    options.thinks_by_default = by_default;
    return must_parse(with_config(R"("thinkingConfig":)" + config), options)
        .chat.conversation.thinking;
  };
  EXPECT_FALSE(thinking("{}").on);
  EXPECT_TRUE(thinking("{}", true).on);
  EXPECT_FALSE(thinking(R"({"thinkingBudget":0})", true).on);
  EXPECT_FALSE(thinking(R"({"thinkingLevel":"MINIMAL","includeThoughts":true})").on);
  EXPECT_EQ(thinking(R"({"thinking_level":"low"})").level, Level::Low);
  EXPECT_EQ(thinking(R"({"thinkingLevel":"LOW","thinkingBudget":99})").budget_tokens, 99);
  EXPECT_TRUE(thinking(R"({"thinkingBudget":-1})").on);
  EXPECT_TRUE(thinking(R"({"includeThoughts":true})").on);
  EXPECT_TRUE(
      must_parse(with_config(R"("thinkingConfig":{"include_thoughts":true})")).include_thoughts);
}

TEST(GeminiConfig, FormatsOfTheAnswer) {
  using Kind = ResponseFormat::Kind;
  const auto format = [&](const std::string& config) {
    return must_parse(with_config(config)).chat.conversation.response_format;
  };
  EXPECT_EQ(format(R"("responseMimeType":"text/plain")").kind, Kind::Text);
  EXPECT_EQ(format(R"("responseMimeType":"application/json")").kind, Kind::Json);
  const auto schema = format(R"("responseSchema":{"type":"STRING"})");
  EXPECT_EQ(schema.kind, Kind::JsonSchema);
  EXPECT_EQ(to_json_text(schema.schema), R"({"type":"string"})");
  const auto json_schema = format(R"("_responseJsonSchema":{"type":"object","x":1})");
  EXPECT_EQ(to_json_text(json_schema.schema), R"({"type":"object","x":1})");
  const auto one_of = format(R"("responseMimeType":"text/x.enum","responseSchema":{"type":"STRING",
                "enum":["a.b","c d"]})");
  EXPECT_EQ(one_of.kind, Kind::Regex);
  EXPECT_EQ(one_of.source, R"((a\.b|c d))");
}

// ---- what is refused ----

struct Bad {
  std::string json, message, field;
};

class BadGeminiRequest : public testing::TestWithParam<Bad> {};

TEST_P(BadGeminiRequest, IsRefusedWithItsPath) {
  const auto request = parsed(GetParam().json);
  ASSERT_FALSE(request.ok()) << GetParam().json;
  EXPECT_THAT(request.error().message, HasSubstr(GetParam().message));
  ASSERT_TRUE(request.error().detail);
  EXPECT_EQ(request.error().detail->field, GetParam().field);
}

const std::string kPart = "contents[0].parts[0]";
Bad part(const std::string& json, const std::string& message, const std::string& field) {
  return {contents(R"({"parts":[)" + json + "]}"), message, kPart + field};
}
Bad config(const std::string& json, const std::string& message, const std::string& field) {
  return {with_config(json), message, "generationConfig." + field};
}

INSTANTIATE_TEST_SUITE_P(
    Contents, BadGeminiRequest,
    testing::Values(
        Bad{"[]", "request body: expected an object", ""},
        Bad{"{}", "contents[0] has no text or media", "contents[0]"},
        Bad{R"({"contents":[]})", "contents[0] has no text or media", "contents[0]"},
        Bad{R"({"contents":[{"parts":[{"text":" "}]}]})", "contents[0] has no", "contents[0]"},
        Bad{R"({"contents":[],"systemInstruction":"Rules."})", "contents[0] has no", "contents[0]"},
        Bad{R"({"contents":7})", "contents: expected a list", "contents"},
        Bad{R"({"contents":[7]})", "contents[0]: expected an object", "contents[0]"},
        Bad{R"({"contents":[{"role":"robot","parts":[{"text":"x"}]}]})",
            "\"robot\" (expected user or model)", "contents[0].role"},
        Bad{R"({"contents":[{"parts":7}]})", "expected a list", "contents[0].parts"},
        Bad{R"({"model":"models/other","contents":[{"parts":[{"text":"x"}]}]})",
            "the path says \"gemma-4-e4b-it\"", "model"},
        Bad{R"({"continuationToken":"x","contents":[]})", "never gives one", "continuationToken"},
        part("7", "expected an object", ""), part(R"({"text":7})", "expected a string", ".text"),
        part(R"({"text":"x","inlineData":{}})", "holds both text and inlineData", ""),
        part(R"({"inlineData":{"data":"aGk="}})", "mimeType: missing", ".inlineData.mimeType"),
        part(R"({"inlineData":{"mimeType":"image/png","data":"a"}})", "one character is missing",
             ".inlineData.data"),
        part(R"({"inlineData":{"mimeType":"image/png","data":"aGk="}})", "no image that we know",
             ".inlineData"),
        part(R"({"inlineData":{"mimeType":"application/pdf","data":"aGk="}})", "PDF is not read",
             ".inlineData"),
        part(R"({"inlineData":{"mimeType":"text/plain","data":"/w=="}})", "not UTF-8",
             ".inlineData"),
        part(R"({"fileData":{"fileUri":"gs://b/x.png"}})", "not fetched", ".fileData.fileUri"),
        part(R"({"fileData":{"fileUri":"https://youtu.be/x"}})", "not fetched",
             ".fileData.fileUri"),
        part(R"({"text":"x","functionCall":null,"thought":"yes"})", "expected true or false",
             ".thought"),
        part(R"({"inlineData":{"mimeType":"video/mp4","data":"aGk="},"videoMetadata":{"fps":25}})",
             "25 is out of range", ".videoMetadata.fps"),
        part(R"({"inlineData":{"mimeType":"video/mp4","data":"aGk="},
                 "videoMetadata":{"startOffset":"1.5"}})",
             "expected seconds such as 1.5s", ".videoMetadata.startOffset"),
        part(R"({"inlineData":{"mimeType":"image/png","data":"aGk="},
                 "mediaResolution":{"level":"HUGE"}})",
             "expected MEDIA_RESOLUTION_LOW", ".mediaResolution.level"),
        part(R"({"functionCall":{"name":"f"}})", "only contents of role model", ".functionCall"),
        part(R"({"functionResponse":{"name":"f","response":{}}})", "without a functionCall",
             ".functionResponse")));

INSTANTIATE_TEST_SUITE_P(
    Config, BadGeminiRequest,
    testing::Values(
        config(R"("temperature":2.5)", "2.5 is out of range", "temperature"),
        config(R"("topP":"much")", "expected a number", "topP"),
        config(R"("topK":-1)", "-1 is out of range", "topK"),
        config(R"("candidateCount":9)", "9 is out of range", "candidateCount"),
        config(R"("maxOutputTokens":0)", "0 is out of range", "maxOutputTokens"),
        config(R"("max_output_tokens":0.5)", "expected an integer", "max_output_tokens"),
        config(R"("stopSequences":"x","seed":1.5)", "expected an integer", "seed"),
        config(R"("stopSequences":[1])", "expected a string", "stopSequences[0]"),
        config(R"("presencePenalty":3)", "3 is out of range", "presencePenalty"),
        config(R"("logprobs":21)", "21 is out of range", "logprobs"),
        config(R"("thinkingConfig":{"thinkingLevel":"DEEP"})", "expected MINIMAL",
               "thinkingConfig.thinkingLevel"),
        config(R"("thinkingConfig":{"thinkingBudget":-2})", "out of range",
               "thinkingConfig.thinkingBudget"),
        config(R"("responseModalities":["TEXT","AUDIO"])", "answers in TEXT", "responseModalities"),
        config(R"("speechConfig":{"voiceConfig":{}})", "text only", "speechConfig"),
        config(R"("mediaResolution":"TINY")", "expected MEDIA_RESOLUTION_LOW", "mediaResolution"),
        config(R"("responseMimeType":"text/html")", "expected text/plain", "responseMimeType"),
        config(R"("responseMimeType":"text/plain","responseSchema":{})", "needs application/json",
               "responseMimeType"),
        config(R"("responseSchema":{},"responseJsonSchema":{})", "beside responseSchema",
               "responseJsonSchema"),
        config(R"("responseSchema":"x")", "expected an object", "responseSchema"),
        config(R"("responseMimeType":"text/x.enum")", "needs a schema", "responseMimeType"),
        config(R"("responseMimeType":"text/x.enum","responseSchema":{"enum":[1]})",
               "expected strings", "responseSchema"),
        Bad{R"({"contents":[{"parts":[{"text":"x"}]}],"generationConfig":[]})",
            "expected an object", "generationConfig"}));

INSTANTIATE_TEST_SUITE_P(
    Tools, BadGeminiRequest,
    testing::Values(
        Bad{with_tools(R"({"name":"1f"})"), "no name of a tool",
            "tools[0].functionDeclarations[0].name"},
        Bad{with_tools(R"({"name":"f"},{"name":"f"})"), "declared twice", "tools"},
        Bad{with_tools(R"({"name":"f","parameters":{},"parametersJsonSchema":{}})"),
            "holds both parameters and parametersJsonSchema", "tools[0].functionDeclarations[0]"},
        Bad{with_tools(R"({"name":"f","parameters":"x"})"), "expected an object",
            "tools[0].functionDeclarations[0].parameters"},
        Bad{with_tools(R"({"name":"f"})", R"({"mode":"SOME"})"), "expected AUTO",
            "toolConfig.functionCallingConfig.mode"},
        Bad{with_tools("", R"({"mode":"ANY"})"), "ANY without functionDeclarations",
            "toolConfig.functionCallingConfig.mode"},
        Bad{with_tools(R"({"name":"f"})", R"({"mode":"ANY","allowedFunctionNames":["g"]})"),
            "\"g\": no function of this name",
            "toolConfig.functionCallingConfig.allowedFunctionNames"},
        Bad{R"({"contents":[{"parts":[{"text":"Hi"}]}],"tools":[{"googleSearch":{}}]})",
            "runs no such tool", "tools[0].googleSearch"},
        Bad{R"({"contents":[{"parts":[{"text":"Hi"}]}],"tools":[{"code_execution":{}}]})",
            "runs no such tool", "tools[0].code_execution"}));

TEST(GeminiRequest, AnUnknownFileIsNotFound) {
  const auto request = parsed(contents(R"({"parts":[{"fileData":{"fileUri":"files/none"}}]})"));
  ASSERT_FALSE(request.ok());
  EXPECT_EQ(request.error().code, Code::NotFound);
  EXPECT_EQ(request.error().message,
            "contents[0].parts[0].fileData.fileUri: file files/none not found");
}

TEST(GeminiRequest, NamesInSnakeCaseAndUnknownOnesAreFine) {
  const auto request = must_parse(
      R"({"model":"models/Gemma-4-E4B-it","contents":[{"parts":[{"text":"Hi"}],"x":1}],
          "generation_config":{"max_output_tokens":5,"stop_sequences":null,"zzz":[]},
          "safety_settings":[{"category":"X","threshold":"Y"}],"labels":{},"tool_config":null})");
  EXPECT_EQ(request.chat.sampling.max_tokens, 5);
}

TEST(GeminiCount, TakesContentsOrAWholeRequest) {
  const auto options = options_of_test();
  const auto bare = *parse_json_value(contents(R"({"parts":[{"text":"Hi"}]})"));
  EXPECT_TRUE(parse_gemini_count(bare, options).ok());
  const auto whole = *parse_json_value(
      R"({"generateContentRequest":{"model":"models/gemma-4-e4b-it","contents":[{"parts":[
          {"text":"Hi"}]}],"systemInstruction":{"parts":[{"text":"Rules."}]}}})");
  const auto request = parse_gemini_count(whole, options);
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->chat.conversation.messages.size(), 2u);
  const auto bad = parse_gemini_count(
      *parse_json_value(R"({"generateContentRequest":{"contents":[{"role":"robot"}]}})"), options);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().detail->field, "generateContentRequest.contents[0].role");
  EXPECT_FALSE(parse_gemini_count(JsonValue::array(), options).ok());
}

}  // namespace
}  // namespace fourfold
