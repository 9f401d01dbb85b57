#include "api/gemini_request.h"

#include <algorithm>
#include <utility>

#include "api/gemini_schema.h"
#include "api/gemini_tools.h"
#include "api/media_settings.h"
#include "api/sampling.h"
#include "api/thinking.h"
#include "base/letter_case.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::size_t kMostStops = 16;
constexpr std::string_view kCachedContents = "cachedContents/";

Field field_of(const JsonValue* body, std::string path) {
  return {body, std::move(path), Spelling::CamelOrSnake};
}

// ---- generationConfig ----

Status read_sampling(const Field& config, GeminiRequest& out) {
  SamplingChoice& choice = out.chat.sampling;
  TRY(read_number(config["temperature"], 0.0, 2.0, choice.temperature));
  TRY(read_number(config["topP"], 0.0, 1.0, choice.top_p));
  TRY(read_integer(config["topK"], 0, 1'000'000, choice.top_k));
  TRY(read_max_tokens(config["maxOutputTokens"], choice.max_tokens));
  TRY(read_stop(config["stopSequences"], kMostStops, choice.stop));
  TRY(read_number(config["presencePenalty"], -2.0, 2.0, choice.presence_penalty));
  TRY(read_number(config["frequencyPenalty"], -2.0, 2.0, choice.frequency_penalty));
  TRY(read_seed(config["seed"], choice.seed));
  const auto n_candidates = TRY(config["candidateCount"].optional_integer(1, 8));
  out.chat.n_candidates = static_cast<int>(n_candidates.value_or(1));
  out.has_logprobs = TRY(config["responseLogprobs"].boolean_or(false));
  const auto n_logprobs = TRY(config["logprobs"].optional_integer(0, 20));
  if (out.has_logprobs) choice.n_logprobs = static_cast<int>(n_logprobs.value_or(0));
  return {};
}

// Budget and level together: the budget wins. Who asks to see thoughts wants some.
Status read_thinking(const Field& config, bool thinks_by_default, GeminiRequest& out) {
  if (!config.absent()) TRY(config.require_object());
  out.include_thoughts = TRY(config["includeThoughts"].boolean_or(false));
  const auto budget = TRY(config["thinkingBudget"].optional_integer(-1, INT32_MAX));
  const Field level_field = config["thinkingLevel"];
  const auto level = TRY(level_field.optional_string());
  Thinking& thinking = out.chat.conversation.thinking;
  thinking = thinking_if(thinks_by_default || out.include_thoughts);
  if (level && to_lower(*level) != "thinking_level_unspecified") {
    const auto known = thinking_of_level(*level);
    if (!known) {
      return level_field.error(
          fmt::format("{} (expected MINIMAL, LOW, MEDIUM or HIGH)", printable(*level)));
    }
    thinking = *known;
  }
  if (budget) thinking = thinking_of_budget(*budget);
  return {};
}

// One of these strings, bare.
Result<ResponseFormat> enum_format(const JsonValue& schema, const Field& where) {
  const JsonValue* values = schema.find("enum");
  std::string pattern;
  for (const auto& value : values ? values->items : std::vector<JsonValue>()) {
    if (!value.is_string()) return where.error("enum: expected strings");
    if (!pattern.empty()) pattern += '|';
    for (const char c : value.text) {
      constexpr std::string_view kSpecial = "\\^$.|?*+()[]{}/";
      if (kSpecial.find(c) != kSpecial.npos) pattern += '\\';
      pattern += c;
    }
  }
  if (pattern.empty()) return where.error("text/x.enum needs a schema with an enum of strings");
  return ResponseFormat{.kind = ResponseFormat::Kind::Regex, .source = "(" + pattern + ")"};
}

Result<ResponseFormat> read_format(const Field& config) {
  using Kind = ResponseFormat::Kind;
  const Field plain = config["responseSchema"];
  const Field json = config.first_of({"responseJsonSchema", "_responseJsonSchema"});
  if (!plain.absent() && !json.absent()) {
    return json.error("holds a schema beside responseSchema (expected one)");
  }
  const Field mime_field = config["responseMimeType"];
  const bool has_schema = !plain.absent() || !json.absent();
  const auto mime = to_lower(TRY(mime_field.optional_string()).value_or(""));
  const Field& where = json.absent() ? plain : json;
  const JsonValue schema = json.absent() ? json_schema_of(plain.json()) : json.json();
  if (mime == "text/x.enum") return enum_format(schema, where.absent() ? mime_field : where);
  const bool is_json = mime == "application/json" || (mime.empty() && has_schema);
  const bool is_text = mime == "text/plain" || mime.empty();
  if (!is_json && !is_text) {
    return mime_field.error(
        fmt::format("{} (expected text/plain, application/json or text/x.enum)", printable(mime)));
  }
  if (!is_json && has_schema) return mime_field.error("a schema needs application/json");
  if (!is_json) return ResponseFormat{};
  if (!has_schema) return ResponseFormat{.kind = Kind::Json};
  if (!schema.is_bool()) TRY(where.require_object());
  return ResponseFormat{.kind = Kind::JsonSchema, .schema = schema};
}

Status check_modalities(const Field& config) {
  const auto modalities = TRY(config["responseModalities"].strings());
  for (const auto& modality : modalities) {
    const auto word = to_lower(modality);
    if (word == "text" || word == "modality_unspecified") continue;
    return config["responseModalities"].error(
        fmt::format("{} (this server answers in TEXT)", printable(modality)), "unsupported_value");
  }
  for (const auto name : {"speechConfig", "imageConfig"}) {
    const Field field = config[name];
    if (field.absent() || (field.json().is_object() && field.json().members.empty())) continue;
    return field.error("this server answers in text only", "unsupported_value");
  }
  return {};
}

Status read_generation_config(const Field& config, bool thinks_by_default, GeminiRequest& out) {
  if (!config.absent()) TRY(config.require_object());
  TRY(read_sampling(config, out));
  TRY(read_thinking(config["thinkingConfig"], thinks_by_default, out));
  TRY(check_modalities(config));
  out.chat.conversation.response_format = TRY(read_format(config));
  return {};
}

// ---- the request ----

std::string_view without_models(std::string_view name) {
  constexpr std::string_view kModels = "models/";
  return name.starts_with(kModels) ? name.substr(kModels.size()) : name;
}

Status check_model(const Field& model, std::string_view of_path) {
  const auto name = TRY(model.optional_string());
  if (!name || of_path.empty()) return {};
  if (to_lower(without_models(*name)) == to_lower(without_models(of_path))) return {};
  return model.error(fmt::format("{} (the path says {})", printable(*name), printable(of_path)));
}

// A cached content brings its own.
Status check_beside_cache(const Field& body) {
  for (const auto name : {"systemInstruction", "tools", "toolConfig"}) {
    const Field field = body[name];
    if (field.absent()) continue;
    return field.error("stands in the cachedContent already and cannot be set beside it");
  }
  return {};
}

struct Source {
  Field head;  // has the system text and the tools
  std::vector<Field> contents;
};

Status read_messages(const Source& source, const GeminiRequestOptions& options,
                     bool may_be_system_only, GeminiRequest& out) {
  auto& conversation = out.chat.conversation;
  GeminiMessages read;
  Message system;
  system.role = Role::System;
  system.parts = TRY(read_system_instruction(source.head["systemInstruction"], options.content));
  if (!system.parts.empty()) read.messages.push_back(std::move(system));
  for (const auto& contents : source.contents) {
    TRY(read_gemini_contents(contents, options.content, read));
  }
  conversation.messages = std::move(read.messages);
  std::move(read.warnings.begin(), read.warnings.end(), std::back_inserter(out.warnings));
  return settle_messages(conversation, {.merge_neighbours = true,
                                        .needs_more_than_system = !may_be_system_only,
                                        .list_name = "contents",
                                        .billing_prefixes = options.billing_prefixes,
                                        .broken_calls = std::move(read.broken_calls),
                                        .refuse_broken_calls = options.refuse_broken_calls});
}

Result<GeminiRequest> parse(const Field& body, const GeminiRequestOptions& options,
                            bool may_be_system_only = false) {
  TRY(body.require_object());
  TRY(check_model(body["model"], options.model));
  const Field token = body["continuationToken"];
  if (!token.absent()) return token.error("this server never gives one");
  GeminiRequest out;
  TRY(read_generation_config(body["generationConfig"], options.thinks_by_default, out));
  Source source{.head = body, .contents = {body["contents"]}};
  if (options.cached) {
    TRY(check_beside_cache(body));
    source.head = field_of(options.cached, "cachedContent");
    source.contents.insert(source.contents.begin(), source.head["contents"]);
  }
  auto tools = TRY(read_gemini_tools(source.head["tools"], source.head["toolConfig"],
                                     options.ignore_server_tools, out.warnings));
  out.chat.conversation.tools = std::move(tools.tools);
  out.chat.conversation.tool_choice = std::move(tools.choice);
  TRY(read_messages(source, options, may_be_system_only, out));
  const auto budgets = TRY(read_resolution_level(body["generationConfig"]["mediaResolution"]));
  add_media_defaults(out.chat.conversation.messages, budgets);
  return out;
}

// The request within a body of countTokens, or the body itself.
Field request_to_count(const JsonValue& body) {
  const Field field = field_of(&body, "");
  const Field request = field["generateContentRequest"];
  return request.absent() ? field : request;
}

}  // namespace

Result<GeminiRequest> parse_gemini_request(const JsonValue& body,
                                           const GeminiRequestOptions& options) {
  return parse(field_of(&body, ""), options);
}

Result<GeminiRequest> parse_gemini_count(const JsonValue& body,
                                         const GeminiRequestOptions& options) {
  TRY(field_of(&body, "").require_object());
  return parse(request_to_count(body), options);
}

Result<GeminiRequest> parse_gemini_cache(const JsonValue& body,
                                         const GeminiRequestOptions& options) {
  return parse(field_of(&body, ""), options, /*may_be_system_only=*/true);
}

Result<std::string> cached_content_id(const JsonValue& body) {
  const Field field = request_to_count(body)["cachedContent"];
  auto name = TRY(field.optional_string()).value_or("");
  if (name.starts_with(kCachedContents)) name.erase(0, kCachedContents.size());
  return name;
}

}  // namespace fourfold
