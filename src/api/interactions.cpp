#include "api/interactions.h"

#include <algorithm>
#include <utility>

#include "api/error_reply.h"
#include "api/gemini_schema.h"
#include "api/gemini_tools.h"
#include "api/identifiers.h"
#include "api/json_number.h"
#include "api/media.h"
#include "api/media_settings.h"
#include "api/messages.h"
#include "api/modalities.h"
#include "api/sampling.h"
#include "api/thinking.h"
#include "api/tool_declaration.h"
#include "base/letter_case.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

JsonValue text(std::string_view value) { return JsonValue::of(std::string(value)); }

JsonValue text_content(std::string_view value) {
  return JsonValue::object({{"type", text("text")}, {"text", text(value)}});
}

// ---- steps of a request ----

// A list of texts and media; any other list is what the tool gave.
bool is_content_list(const JsonValue& value) {
  const auto is_content = [](const JsonValue& item) {
    const JsonValue* type = item.find("type");
    if (!type || !type->is_string()) return false;
    const bool is_medium = type->text == "image" || type->text == "audio" || type->text == "video";
    return type->text == "text" ? item.find("text") != nullptr
                                : is_medium && (item.find("data") || item.find("uri"));
  };
  return value.is_array() && !value.items.empty() && std::ranges::all_of(value.items, is_content);
}

class StepReader {
 public:
  StepReader(const InteractionOptions& options, GeminiMessages& out)
      : options_(options), out_(out) {}

  Status read(const Field& step) {
    TRY(step.require_object());
    const auto type = TRY(step["type"].optional_string()).value_or("");
    if (type == "user_input") return read_contents(Role::User, step["content"]);
    if (type == "model_output") return read_contents(Role::Model, step["content"]);
    if (type == "thought") return read_thought(step);
    if (type == "function_call") return read_call(step);
    if (type == "function_result") return read_result(step);
    if (type.empty() && !step["role"].absent()) return read_turn(step);
    return read_content(Role::User, step);
  }

 private:
  Status read_turn(const Field& turn) {
    const auto role = to_lower(TRY(turn["role"].string()));
    const bool is_model = role == "model" || role == "assistant";
    if (!is_model && role != "user") return turn["role"].error("expected user or model");
    return read_contents(is_model ? Role::Model : Role::User, turn["content"]);
  }

  Status read_contents(Role role, const Field& contents) {
    if (contents.json().is_string()) return add_text(role, contents.json().text);
    const auto list = TRY(list_or_one(contents));
    for (const auto& content : list) {
      const bool is_step =
          role == Role::User && content["type"].json().text.starts_with("function");
      TRY(is_step ? read(content) : read_content(role, content));
    }
    return {};
  }

  Status read_content(Role role, const Field& content) {
    TRY(content.require_object());
    const auto type = TRY(content["type"].string());
    if (type == "text") return add_text(role, TRY(content["text"].optional_string()).value_or(""));
    const Part::Kind kind = kind_of_mime(type + "/");
    if (kind == Part::Kind::Unknown || kind == Part::Kind::Text) {
      out_.warnings.push_back(fmt::format("{}: ignored", content.path()));
      return {};
    }
    Message message;
    message.role = role;
    message.is_part_list = true;
    message.parts.push_back(TRY(read_medium(content, kind)));
    out_.messages.push_back(std::move(message));
    return {};
  }

  Result<Part> read_medium(const Field& content, Part::Kind kind) const {
    const Field data = content["data"];
    const auto budgets = TRY(read_resolution_level(content["resolution"]));
    const auto base64 = TRY(data.optional_string());
    auto part = TRY(base64 ? media_part_of_base64(*base64, data.path(), kind)
                           : part_of_file_uri(content["uri"], kind, options_.content));
    set_budget(part, budgets);
    return part;
  }

  Status add_text(Role role, std::string value) {
    out_.messages.push_back(Message::of(role, std::move(value)));
    return {};
  }

  // What it carries sealed is the thought itself.
  Status read_thought(const Field& step) {
    Message message;
    message.role = Role::Model;
    const JsonValue& signature = step["signature"].json();
    const Sealer* sealer = options_.content.sealer;
    auto thought = sealer && signature.is_string() ? sealer->open_sealed(signature.text)
                                                   : std::optional<std::string>();
    if (thought) {
      message.thought = std::move(*thought);
    } else {
      const auto summary = TRY(step["summary"].list());
      for (const auto& part : summary) {
        message.thought += TRY(part["text"].optional_string()).value_or("");
      }
    }
    out_.messages.push_back(std::move(message));
    return {};
  }

  Status read_call(const Field& step) {
    Message message;
    message.role = Role::Model;
    ToolCall call;
    call.id = TRY(step["id"].optional_string()).value_or("");
    call.name = TRY(step["name"].string());
    const Field arguments = step["arguments"];
    read_history_arguments(arguments.json(), arguments.path(), call, out_.broken_calls,
                           out_.warnings);
    message.calls.push_back(std::move(call));
    out_.messages.push_back(std::move(message));
    return {};
  }

  Status read_result(const Field& step) {
    Message message;
    message.role = Role::Tool;
    ToolResult result;
    result.call_id = TRY(step["call_id"].optional_string()).value_or("");
    result.name = TRY(step["name"].optional_string()).value_or("");
    const Field value = step["result"];
    result.value = value.absent() ? JsonValue::of("") : value.json();
    if (is_content_list(value.json())) TRY(read_result_contents(value, result));
    message.results.push_back(std::move(result));
    const bool follows_calls = !out_.messages.empty() && (!out_.messages.back().calls.empty() ||
                                                          out_.messages.back().role == Role::Tool);
    if (!follows_calls) return step.error("a result without a function_call before it");
    out_.messages.push_back(std::move(message));
    return {};
  }

  // Texts in a row, and media behind them.
  Status read_result_contents(const Field& contents, ToolResult& result) const {
    std::string said;
    for (const auto& content : TRY(contents.list())) {
      const auto type = TRY(content["type"].string());
      if (type == "text") {
        said += TRY(content["text"].optional_string()).value_or("");
      } else {
        result.media.push_back(TRY(read_medium(content, kind_of_mime(type + "/"))));
      }
    }
    result.value = JsonValue::of(std::move(said));
    return {};
  }

  const InteractionOptions& options_;
  GeminiMessages& out_;
};

// A text becomes the step that it stands for.
JsonValue input_steps(const JsonValue& input) {
  if (input.is_array()) return input;
  auto steps = JsonValue::array();
  if (input.is_string()) {
    steps.items.push_back(JsonValue::object(
        {{"type", text("user_input")}, {"content", JsonValue::array({text_content(input.text)})}}));
  } else if (!input.is_null()) {
    steps.items.push_back(input);
  }
  return steps;
}

Status read_messages(const Field& body, const InteractionOptions& options,
                     InteractionRequest& out) {
  GeminiMessages read;
  const Field system = body["system_instruction"];
  const auto instruction = TRY(read_system_instruction(system, options.content));
  if (!instruction.empty()) {
    Message message;
    message.role = Role::System;
    message.parts = instruction;
    read.messages.push_back(std::move(message));
  }
  StepReader reader(options, read);
  const Field history(options.history, "previous_interaction");
  const auto before = TRY(history.list());
  for (const auto& step : before) TRY(reader.read(step));
  const JsonValue input = input_steps(body["input"].json());
  const auto steps = TRY(Field(&input, "input").list());
  for (const auto& step : steps) TRY(reader.read(step));
  if (options.history) out.steps = *options.history;
  for (const auto& step : input.items) out.steps.items.push_back(step);
  out.chat.conversation.messages = std::move(read.messages);
  out.warnings = std::move(read.warnings);
  return settle_messages(out.chat.conversation,
                         {.merge_neighbours = true,
                          .needs_more_than_system = true,
                          .list_name = "input",
                          .billing_prefixes = options.billing_prefixes,
                          .broken_calls = std::move(read.broken_calls),
                          .refuse_broken_calls = options.refuse_broken_calls});
}

// ---- the rest of a request ----

Status read_tools(const Field& body, const InteractionOptions& options, InteractionRequest& out) {
  auto& tools = out.chat.conversation.tools;
  const auto list = TRY(list_or_one(body["tools"]));
  for (const auto& tool : list) {
    const auto type = TRY(tool["type"].string());
    if (type != "function" && !options.ignore_server_tools) {
      return tool["type"].error(
          fmt::format("{} (this server runs no tools, expected function)", printable(type)),
          "unsupported_value");
    }
    if (type != "function") {
      out.warnings.push_back(fmt::format("{}: ignored", tool.path()));
      continue;
    }
    const auto name = TRY(read_tool_name(tool["name"], kGeminiToolNames));
    tools.push_back(TRY(make_tool({.name = name,
                                   .description = tool["description"],
                                   .parameters = tool["parameters"],
                                   .response = Field(nullptr, tool.path())})));
  }
  return check_tool_names_differ(tools, "tools");
}

Status read_tool_choice(const Field& choice, InteractionRequest& out) {
  if (choice.absent()) return {};
  const Field allowed = choice["allowed_tools"];
  const Field mode_field = choice.json().is_string() ? choice : allowed["mode"];
  const auto mode = to_lower(TRY(mode_field.optional_string()).value_or("auto"));
  ToolChoice& out_choice = out.chat.conversation.tool_choice;
  if (mode == "none") {
    out_choice.mode = ToolChoice::Mode::None;
  } else if (mode == "any") {
    if (out.chat.conversation.tools.empty()) return mode_field.error("any without tools");
    out_choice.mode = ToolChoice::Mode::Required;
  } else if (mode == "validated") {
    for (auto& tool : out.chat.conversation.tools) tool.strict = true;
  } else if (mode != "auto") {
    return mode_field.error(
        fmt::format("{} (expected auto, any, none or validated)", printable(mode)));
  }
  out_choice.names = TRY(allowed["tools"].strings());
  return {};
}

Status read_config(const Field& config, const InteractionOptions& options,
                   InteractionRequest& out) {
  SamplingChoice& choice = out.chat.sampling;
  TRY(read_number(config["temperature"], 0.0, 2.0, choice.temperature));
  TRY(read_number(config["top_p"], 0.0, 1.0, choice.top_p));
  TRY(read_max_tokens(config["max_output_tokens"], choice.max_tokens));
  TRY(read_stop(config["stop_sequences"], 16, choice.stop));
  TRY(read_seed(config["seed"], choice.seed));
  Thinking& thinking = out.chat.conversation.thinking;
  thinking = thinking_if(options.thinks_by_default);
  const Field level_field = config["thinking_level"];
  if (const auto level = TRY(level_field.optional_string())) {
    const auto known = thinking_of_level(*level);
    if (!known) return level_field.error("expected minimal, low, medium or high");
    thinking = *known;
  }
  const auto summaries = TRY(config["thinking_summaries"].optional_string());
  out.include_thoughts = !summaries || to_lower(*summaries) != "none";
  return read_tool_choice(config["tool_choice"], out);
}

Status read_response_format(const Field& given, InteractionRequest& out) {
  using Kind = ResponseFormat::Kind;
  const auto list = TRY(list_or_one(given));
  if (list.empty()) return {};
  const Field& format = list.front();
  const auto type = to_lower(TRY(format["type"].optional_string()).value_or("text"));
  if (type != "text") {
    return format["type"].error("this server answers in text only", "unsupported_value");
  }
  const Field schema = format["schema"];
  const auto mime = TRY(format["mime_type"].optional_string()).value_or("");
  ResponseFormat& out_format = out.chat.conversation.response_format;
  if (!schema.absent()) {
    TRY(schema.require_object());
    out_format.kind = Kind::JsonSchema;
    out_format.schema = json_schema_of(schema.json());
  } else if (mime == "application/json") {
    out_format.kind = Kind::Json;
  }
  return {};
}

}  // namespace

Result<InteractionRequest> parse_interaction(const JsonValue& body,
                                             const InteractionOptions& options) {
  const Field field(&body, "", Spelling::CamelOrSnake);
  TRY(field.require_object());
  InteractionRequest out;
  out.model = TRY(field["model"].string());
  if (TRY(field["background"].boolean_or(false))) {
    return field["background"].error("interactions are answered at once", "unsupported_value");
  }
  out.stream = TRY(field["stream"].boolean_or(false));
  out.store = TRY(field["store"].boolean_or(true));
  TRY(read_tools(field, options, out));
  TRY(read_config(field["generation_config"], options, out));
  TRY(read_response_format(field["response_format"], out));
  auto warnings = std::move(out.warnings);
  TRY(read_messages(field, options, out));
  out.warnings.insert(out.warnings.begin(), warnings.begin(), warnings.end());
  return out;
}

Result<std::string> previous_interaction_id(const JsonValue& body) {
  const Field field(&body, "", Spelling::CamelOrSnake);
  const auto id = TRY(field["previous_interaction_id"].optional_string());
  return id.value_or("");
}

// ---- answers ----

namespace {

std::string framed(const JsonValue& event) {
  return fmt::format("data: {}\n\n", to_json_text(event));
}

JsonValue model_output(std::string_view said) {
  return JsonValue::object(
      {{"type", text("model_output")}, {"content", JsonValue::array({text_content(said)})}});
}

JsonValue function_call(const ToolCall& call) {
  return JsonValue::object({{"type", text("function_call")},
                            {"id", text(call.id.empty() ? random_lower_id("") : call.id)},
                            {"name", text(call.name)},
                            {"arguments", call.arguments}});
}

JsonValue usage_json(const AnswerFacts& facts, const OutputUsage& usage) {
  const std::int64_t n_output = usage.answer_tokens + usage.call_tokens;
  auto by_modality = JsonValue::array();
  const auto details = gemini_token_details(facts.prompt_tokens, facts.prompt_media);
  for (const auto& detail : details.items) {
    by_modality.items.push_back(
        JsonValue::object({{"modality", text(to_lower(detail.find("modality")->text))},
                           {"tokens", *detail.find("tokenCount")}}));
  }
  return JsonValue::object({{"total_input_tokens", json_number(facts.prompt_tokens)},
                            {"input_tokens_by_modality", std::move(by_modality)},
                            {"total_output_tokens", json_number(n_output)},
                            {"total_thought_tokens", json_number(usage.thought_tokens)},
                            {"total_cached_tokens", json_number(facts.cached_tokens)},
                            {"total_tokens", json_number(facts.prompt_tokens + usage.total())}});
}

}  // namespace

JsonValue InteractionFormatter::thought_step(const std::string& thought) const {
  auto step = JsonValue::object({{"type", text("thought")}});
  const auto sealed = options_.sealer ? options_.sealer->seal(thought) : std::nullopt;
  if (sealed) step.set("signature", text(*sealed));
  if (options_.include_thoughts) step.set("summary", JsonValue::array({text_content(thought)}));
  return step;
}

std::string InteractionFormatter::step_event(std::string_view type, std::string_view name,
                                             JsonValue value) {
  auto event = JsonValue::object({{"event_type", text(type)}, {"index", json_number(index_)}});
  if (!name.empty()) event.set(name, std::move(value));
  return framed(event);
}

std::string InteractionFormatter::open_step(Open kind, JsonValue step) {
  if (open_ == kind) return "";
  std::string out = close_step();
  open_ = kind;
  return out + step_event("step.start", "step", std::move(step));
}

std::string InteractionFormatter::close_step() {
  if (open_ == Open::None) return "";
  std::string out;
  JsonValue done;
  if (open_ == Open::Thought) {
    done = thought_step(std::exchange(thought_, {}));
    if (const JsonValue* signature = done.find("signature")) {
      out += step_event(
          "step.delta", "delta",
          JsonValue::object({{"type", text("thought_signature")}, {"signature", *signature}}));
    }
  } else {
    done = model_output(std::exchange(text_, {}));
  }
  out += step_event("step.stop", "", {});
  steps_.items.push_back(std::move(done));
  open_ = Open::None;
  ++index_;
  return out;
}

std::string InteractionFormatter::call_events(const ToolCall& call) {
  std::string out = close_step();
  has_call_ = true;
  auto step = function_call(call);
  auto start = step;
  start.set("arguments", JsonValue::object());
  out += step_event("step.start", "step", std::move(start));
  out += step_event("step.delta", "delta",
                    JsonValue::object({{"type", text("arguments_delta")},
                                       {"arguments", text(to_json_text(call.arguments))}}));
  out += step_event("step.stop", "", {});
  steps_.items.push_back(std::move(step));
  ++index_;
  return out;
}

JsonValue InteractionFormatter::finished(const AnswerFacts& facts) const {
  const bool is_cut = end_.finish == ChatFinish::Length || end_.finish == ChatFinish::Loop;
  const std::string_view status = is_cut      ? "incomplete"
                                  : has_call_ ? "requires_action"
                                              : "completed";
  const auto created = text(rfc3339(facts.created_s));
  auto interaction = JsonValue::object({{"id", text(options_.id)},
                                        {"object", text("interaction")},
                                        {"model", text(facts.requested_model)},
                                        {"status", text(status)},
                                        {"created", created},
                                        {"updated", created},
                                        {"steps", steps_},
                                        {"usage", usage_json(facts, end_.usage)}});
  if (options_.on_end) options_.on_end(interaction);
  return interaction;
}

std::string InteractionFormatter::begin(const AnswerFacts& facts) {
  const auto created = text(rfc3339(facts.created_s));
  return framed(
      JsonValue::object({{"event_type", text("interaction.created")},
                         {"interaction", JsonValue::object({{"id", text(options_.id)},
                                                            {"object", text("interaction")},
                                                            {"model", text(facts.requested_model)},
                                                            {"status", text("in_progress")},
                                                            {"created", created},
                                                            {"updated", created}})}}));
}

std::string InteractionFormatter::event(const ChatDelta& delta) {
  using Type = ChatEvent::Type;
  const std::string& said = delta.event.text;
  switch (delta.event.type) {
    case Type::Thought: {
      auto out = open_step(Open::Thought, JsonValue::object({{"type", text("thought")}}));
      thought_ += said;
      if (!options_.include_thoughts) return out;
      return out + step_event("step.delta", "delta",
                              JsonValue::object({{"type", text("thought_summary")},
                                                 {"content", text_content(said)}}));
    }
    case Type::Text: {
      auto out = open_step(Open::Text, JsonValue::object({{"type", text("model_output")},
                                                          {"content", JsonValue::array()}}));
      text_ += said;
      return out + step_event("step.delta", "delta", text_content(said));
    }
    case Type::Call: return call_events(delta.event.call);
    case Type::CallStarted:
    case Type::CallArguments:
    case Type::Malformed:
    case Type::Finish: break;
  }
  return "";
}

std::string InteractionFormatter::end(int, const CandidateEnd& end,
                                      const std::vector<DrawnToken>&) {
  end_ = end;
  return close_step();
}

std::string InteractionFormatter::finish(const AnswerFacts& facts) {
  return framed(JsonValue::object(
      {{"event_type", text("interaction.completed")}, {"interaction", finished(facts)}}));
}

std::string InteractionFormatter::error(const Error& error) {
  const auto body = parse_json_value(error_reply(Dialect::Gemini, error, "").body);
  const JsonValue* told = body ? body->find("error") : nullptr;
  const JsonValue* message = told ? told->find("message") : nullptr;
  return framed(JsonValue::object(
      {{"event_type", text("error")},
       {"error", JsonValue::object({{"code", text(to_lower(code_name(error.code)))},
                                    {"message", message ? *message : text("")}})}}));
}

std::string InteractionFormatter::whole(const AnswerFacts& facts,
                                        const std::vector<Candidate>& candidates) {
  using Kind = AnswerPiece::Kind;
  const Candidate& said = candidates.front();
  end_ = said.end;
  for (const auto& piece : said.pieces) {
    switch (piece.kind) {
      case Kind::Thought: steps_.items.push_back(thought_step(piece.text)); break;
      case Kind::Text: steps_.items.push_back(model_output(piece.text)); break;
      case Kind::Call:
        has_call_ = true;
        steps_.items.push_back(function_call(piece.call));
        break;
      case Kind::Malformed: break;
    }
  }
  return to_json_text(finished(facts));
}

}  // namespace fourfold
