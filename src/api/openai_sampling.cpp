#include "api/openai_sampling.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "api/sampling.h"
#include "api/thinking.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 40;
constexpr std::size_t kMostStops = 64;

// Samplers and limits of other servers that this one does not have, and the value that asks for
// nothing.
struct Missing {
  std::string_view name;
  double neutral;
};
constexpr auto kMissing = std::to_array<Missing>({
    {"typical_p", 1.0},
    {"xtc_probability", 0.0},
    {"dry_multiplier", 0.0},
    {"mirostat", 0.0},
    {"mirostat_mode", 0.0},
    {"top_n_sigma", -1.0},
    {"nsigma", 0.0},
    {"dynatemp_range", 0.0},
    {"tfs_z", 1.0},
    {"top_a", 0.0},
    {"smoothing_factor", 0.0},
    {"adaptive_target", -1.0},
    {"length_penalty", 1.0},
    {"min_tokens", 0.0},
});
// The same, for what is a list or a switch.
constexpr auto kMissingForms =
    std::to_array<std::string_view>({"ignore_eos", "stop_token_ids", "bad_words",
                                     "allowed_token_ids", "use_beam_search", "samplers", "lora"});

bool asks_for_nothing(const JsonValue& value) {
  return value.is_null() || (value.is_bool() && !value.boolean) ||
         (value.is_array() && value.items.empty());
}

void report_missing(const Field& body, std::vector<std::string>& warnings) {
  for (const auto& missing : kMissing) {
    const auto value = body[missing.name].optional_number(-1e300, 1e300);
    if (!value || (*value && **value != missing.neutral)) {
      warnings.push_back(fmt::format("{} is not offered", missing.name));
    }
  }
  for (const auto name : kMissingForms) {
    if (asks_for_nothing(body[name].json())) continue;
    warnings.push_back(name == "samplers" ? "the order of samplers is fixed"
                                          : fmt::format("{} is not offered", name));
  }
}

}  // namespace

Result<SamplingChoice> read_openai_sampling(const Field& body, std::vector<std::string>& warnings) {
  SamplingChoice out;
  TRY(read_number(body["temperature"], 0.0, 2.0, out.temperature));
  TRY(read_number(body["top_p"], 0.0, 1.0, out.top_p));
  TRY(read_number(body["min_p"], 0.0, 1.0, out.min_p));
  TRY(read_integer(body["top_k"], -1, std::numeric_limits<int>::max(), out.top_k));
  if (out.top_k) out.top_k = std::max(*out.top_k, 0);  // −1 is off, as 0 is
  TRY(read_number(body["presence_penalty"], -2.0, 2.0, out.presence_penalty));
  TRY(read_number(body["frequency_penalty"], -2.0, 2.0, out.frequency_penalty));
  const Field repeat = body.first_of({"repetition_penalty", "repeat_penalty"});
  TRY(read_number(repeat, 0.01, 100.0, out.repeat_penalty));
  TRY(read_integer(body["repeat_last_n"], -1, 1 << 30, out.repeat_last_n));
  TRY(read_logit_bias(body["logit_bias"], out.logit_bias));
  TRY(read_seed(body["seed"], out.seed));
  TRY(read_stop(body["stop"], kMostStops, out.stop));
  report_missing(body, warnings);
  return out;
}

Result<std::int64_t> read_token_limit(const Field& body,
                                      std::initializer_list<std::string_view> names) {
  std::int64_t limit = -1;
  for (const auto name : names) {
    const auto value = TRY(body[name].optional_integer(-1, kMostTokens));
    if (!value || *value == -1) continue;  // −1 is "no limit" elsewhere
    if (*value == 0) return body[name].error("0 (expected at least 1)");
    limit = limit < 0 ? *value : std::min(limit, *value);
  }
  return limit;
}

namespace {

Result<Thinking> thinking_of_effort(const Field& effort) {
  const auto word = TRY(effort.string());
  const auto thinking = thinking_of_level(word);
  if (thinking) return *thinking;
  return effort.error(printable(word) +
                      " (expected none, minimal, low, medium, high, xhigh or max)");
}

// Google's own layer puts its settings under extra_body.
Field google_thinking(const Field& body) {
  const Field inside = body["extra_body"]["google"]["thinking_config"];
  return inside.absent() ? body["google"]["thinking_config"] : inside;
}

Result<std::optional<std::int64_t>> read_thinking_budget(const Field& body) {
  for (const Field& field :
       {body["thinking_token_budget"], body["thinking_budget_tokens"],
        google_thinking(body)["thinking_budget"], body["reasoning"]["max_tokens"]}) {
    const auto budget = TRY(field.optional_integer(-1, kMostTokens));
    if (budget) return budget;
  }
  return std::optional<std::int64_t>();
}

Result<Thinking> read_thinking(const Field& body, bool think_default) {
  // The most exact word wins: a budget, a level, a switch.
  if (const auto budget = TRY(read_thinking_budget(body))) return thinking_of_budget(*budget);
  const Field nested = body["reasoning"]["effort"];
  const Field effort = nested.absent() ? body["reasoning_effort"] : nested;
  if (!effort.absent()) return thinking_of_effort(effort);
  for (const Field& field :
       {body["chat_template_kwargs"]["enable_thinking"], body["reasoning"]["enabled"]}) {
    const auto on = TRY(field.optional_boolean());
    if (on) return thinking_if(*on);
  }
  return thinking_if(think_default);
}

}  // namespace

Result<ThinkingChoice> read_openai_thinking(const Field& body, bool think_default) {
  ThinkingChoice out;
  out.thinking = TRY(read_thinking(body, think_default));
  const bool includes = TRY(body["include_reasoning"].boolean_or(true));
  const bool excludes = TRY(body["reasoning"]["exclude"].boolean_or(false));
  const bool google = TRY(google_thinking(body)["include_thoughts"].boolean_or(true));
  const auto form = TRY(body["reasoning_format"].optional_string());
  out.is_shown = includes && !excludes && google && form != "none";
  return out;
}

Result<int> read_priority(const Field& body) {
  // In vLLM the smaller number goes first.
  if (const auto number = TRY(body["priority"].optional_integer(-kMostTokens, kMostTokens))) {
    return *number < 0 ? 1 : *number > 0 ? -1 : 0;
  }
  const auto tier = TRY(body["service_tier"].optional_string());
  return tier == "priority" ? 1 : tier == "flex" ? -1 : 0;
}

namespace {

Result<ResponseFormat> schema_format(const Field& schema) {
  if (schema.absent()) return schema.error("missing");
  if (!schema.json().is_object() && !schema.json().is_bool()) {
    return schema.error("expected a JSON schema");
  }
  return ResponseFormat{.kind = ResponseFormat::Kind::JsonSchema, .schema = schema.json()};
}

std::string regex_literal(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}/-").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

Result<ResponseFormat> choice_format(const Field& choices) {
  const auto texts = TRY(choices.strings());
  if (texts.empty()) return choices.error("expected at least one text");
  std::string pattern;
  for (const auto& text : texts) {
    pattern += (pattern.empty() ? "(?:" : "|") + regex_literal(text);
  }
  return ResponseFormat{.kind = ResponseFormat::Kind::Regex, .source = pattern + ")"};
}

// A schema may come as its JSON text.
Result<ResponseFormat> schema_or_text(const Field& schema) {
  if (!schema.json().is_string()) return schema_format(schema);
  auto parsed = parse_json_value(schema.json().text);
  if (!parsed) return schema.error(parsed.error().message);
  return schema_format(Field(&*parsed, schema.path()));
}

Result<ResponseFormat> structured_outputs(const Field& outputs) {
  if (!outputs["json"].absent()) return schema_or_text(outputs["json"]);
  if (!outputs["choice"].absent()) return choice_format(outputs["choice"]);
  if (!outputs["regex"].absent()) {
    return ResponseFormat{.kind = ResponseFormat::Kind::Regex,
                          .source = TRY(outputs["regex"].string())};
  }
  if (!outputs["grammar"].absent()) {
    return ResponseFormat{.kind = ResponseFormat::Kind::Grammar,
                          .source = TRY(outputs["grammar"].string())};
  }
  if (TRY(outputs["json_object"].boolean_or(false))) {
    return ResponseFormat{.kind = ResponseFormat::Kind::Json};
  }
  return ResponseFormat{};
}

}  // namespace

Result<ResponseFormat> read_openai_format(const Field& format) {
  if (format.absent()) return ResponseFormat{};
  TRY(format.require_object());
  const auto type = TRY(format["type"].string());
  if (type == "text") return ResponseFormat{};
  if (type == "json_object") {
    // llama.cpp's clients put a schema beside it.
    if (!format["schema"].absent()) return schema_format(format["schema"]);
    return ResponseFormat{.kind = ResponseFormat::Kind::Json};
  }
  if (type == "json_schema") {
    const Field nested = format["json_schema"];
    return schema_format(nested.absent() ? format["schema"] : nested["schema"]);
  }
  return format["type"].error(printable(type) + " (expected text, json_object or json_schema)");
}

Result<ResponseFormat> read_any_format(const Field& body, const Field& format) {
  auto out = TRY(read_openai_format(format));
  if (out.kind != ResponseFormat::Kind::Text) return out;
  if (!body["structured_outputs"].absent()) return structured_outputs(body["structured_outputs"]);
  if (!body["json_schema"].absent()) return schema_or_text(body["json_schema"]);
  const auto grammar = TRY(body["grammar"].optional_string());
  if (grammar && !grammar->empty()) {
    return ResponseFormat{.kind = ResponseFormat::Kind::Grammar, .source = *grammar};
  }
  return out;
}

}  // namespace fourfold
