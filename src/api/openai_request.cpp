#include "api/openai_request.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "api/media_settings.h"
#include "api/messages.h"
#include "api/ollama_request.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr int kMostCandidates = 8;
constexpr int kMostLogprobs = 20;
constexpr std::size_t kMostPrompts = 64;

// The answer is text, whatever else may be asked for.
Status refuse_other_answers(const Field& body) {
  const auto modalities = TRY(body["modalities"].strings());
  for (const auto& modality : modalities) {
    if (modality != "text") {
      return body["modalities"].error(printable(modality) + " (expected text)",
                                      "unsupported_value");
    }
  }
  if (!body["audio"].absent()) {
    return body["audio"].error("answers are text only", "unsupported_value");
  }
  return {};
}

// logprobs: true with top_logprobs, which is 0 to 20.
Result<int> read_chat_logprobs(const Field& body) {
  const bool asked = TRY(body["logprobs"].boolean_or(false));
  const auto top = TRY(body["top_logprobs"].optional_integer(0, kMostLogprobs));
  if (top && *top > 0 && !asked) {
    return body["top_logprobs"].error("needs \"logprobs\": true");
  }
  return asked ? static_cast<int>(top.value_or(0)) : -1;
}

Status read_tools(const Field& body, OpenAiChatRequest& out) {
  Conversation& conversation = out.chat.conversation;
  const bool is_legacy = body["tools"].absent() && !body["functions"].absent();
  auto declared =
      TRY(is_legacy ? read_legacy_functions(body["functions"]) : read_openai_tools(body["tools"]));
  conversation.tool_choice =
      TRY(is_legacy ? read_legacy_function_call(body["function_call"], declared)
                    : read_openai_tool_choice(body["tool_choice"], declared, out.warnings));
  if (!is_legacy) {
    conversation.tool_choice.parallel = TRY(body["parallel_tool_calls"].boolean_or(true));
  }
  conversation.tools = std::move(declared.tools);
  out.style.is_legacy = is_legacy;
  out.style.tool_names = std::move(declared.names);
  std::move(declared.warnings.begin(), declared.warnings.end(), std::back_inserter(out.warnings));
  return {};
}

Status read_messages(const Field& body, const OpenAiOptions& options, OpenAiChatRequest& out) {
  Conversation& conversation = out.chat.conversation;
  auto history = TRY(read_openai_messages(body["messages"], options.help));
  conversation.messages = std::move(history.messages);
  std::move(history.warnings.begin(), history.warnings.end(), std::back_inserter(out.warnings));

  const bool ends_with_model =
      !conversation.messages.empty() && conversation.messages.back().role == Role::Model;
  const bool has_prompt = TRY(body["add_generation_prompt"].boolean_or(true));
  const bool goes_on = TRY(body["continue_final_message"].boolean_or(false));
  conversation.continue_last = ends_with_model && (goes_on || !has_prompt);
  if (goes_on && !ends_with_model) {
    return body["continue_final_message"].error("the last message is not the assistant's");
  }
  conversation.keep_thoughts =
      TRY(body["chat_template_kwargs"]["preserve_thinking"].boolean_or(false));
  return settle_messages(conversation, {.billing_prefixes = options.billing_prefixes,
                                        .broken_calls = std::move(history.broken_calls),
                                        .refuse_broken_calls = options.refuse_broken_calls});
}

Result<bool> read_include_usage(const Field& body) {
  return body["stream_options"]["include_usage"].boolean_or(false);
}

}  // namespace

Result<std::string> read_model_name(const Field& body) {
  auto model = TRY(body["model"].string());
  if (model.empty()) return body["model"].error("must not be empty");
  return model;
}

Result<std::optional<std::chrono::milliseconds>> read_keep_alive(const Field& body) {
  using KeepAlive = std::optional<std::chrono::milliseconds>;
  if (body["keep_alive"].absent()) return KeepAlive();
  auto value = parse_keep_alive(body["keep_alive"].json());
  if (!value) return body["keep_alive"].error(value.error().message);
  return KeepAlive(*value);
}

Result<OpenAiChatRequest> parse_openai_chat(const JsonValue& json, const OpenAiOptions& options) {
  const Field body(&json, "");
  TRY(body.require_object());
  OpenAiChatRequest out;
  out.model = TRY(read_model_name(body));
  TRY(refuse_other_answers(body));
  TRY(read_tools(body, out));
  TRY(read_messages(body, options, out));
  const auto media = TRY(read_media_kwargs(body["mm_processor_kwargs"]));
  add_media_defaults(out.chat.conversation.messages, {}, media);

  ChatRequest& chat = out.chat;
  chat.sampling = TRY(read_openai_sampling(body, out.warnings));
  chat.sampling.max_tokens =
      TRY(read_token_limit(body, {"max_completion_tokens", "max_tokens", "n_predict"}));
  chat.sampling.n_logprobs = TRY(read_chat_logprobs(body));
  chat.n_candidates =
      static_cast<int>(TRY(body["n"].optional_integer(1, kMostCandidates)).value_or(1));
  chat.conversation.response_format = TRY(read_any_format(body, body["response_format"]));
  const auto thinking = TRY(read_openai_thinking(body, options.think_default));
  chat.conversation.thinking = thinking.thinking;

  out.stream = TRY(body["stream"].boolean_or(false));
  out.style.include_usage = TRY(read_include_usage(body));
  out.style.shows_thoughts = thinking.is_shown;
  out.style.has_logprobs = chat.sampling.n_logprobs >= 0;
  out.priority = TRY(read_priority(body));
  out.keep_alive = TRY(read_keep_alive(body));
  return out;
}

// ---- completions ----

namespace {

Result<TokenId> read_token_id(const Field& field) {
  return static_cast<TokenId>(TRY(field.integer(0, std::numeric_limits<TokenId>::max())));
}

Result<RawRequest> prompt_of_ids(const Field& list) {
  RawRequest prompt;
  const auto ids = TRY(list.list());
  if (ids.empty()) return list.error("expected at least one token");
  for (const auto& id : ids) prompt.ids.push_back(TRY(read_token_id(id)));
  return prompt;
}

// Control strings count in the prompts of this endpoint, and only here.
RawRequest prompt_of_text(std::string text) { return {.text = std::move(text), .trusted = true}; }

// A text, a list of texts, the ids of one, or a list of such lists.
Result<std::vector<RawRequest>> read_prompts(const Field& prompt) {
  if (prompt.absent()) return prompt.error("missing (expected a string)");
  if (prompt.json().is_string()) return std::vector{prompt_of_text(prompt.json().text)};
  const auto items = TRY(prompt.list());
  if (items.empty()) return prompt.error("expected at least one prompt");
  if (items.front().json().is_number()) return std::vector{TRY(prompt_of_ids(prompt))};
  if (items.size() > kMostPrompts) {
    return prompt.error(fmt::format("at most {} prompts", kMostPrompts));
  }
  std::vector<RawRequest> out;
  for (const auto& item : items) {
    out.push_back(item.json().is_array() ? TRY(prompt_of_ids(item))
                                         : prompt_of_text(TRY(item.string())));
  }
  return out;
}

Status read_candidates(const Field& body, CompletionRequest& out, int& n_candidates) {
  out.style.n_shown =
      static_cast<int>(TRY(body["n"].optional_integer(1, kMostCandidates)).value_or(1));
  const auto best_of = TRY(body["best_of"].optional_integer(1, kMostCandidates));
  n_candidates = static_cast<int>(best_of.value_or(out.style.n_shown));
  if (n_candidates < out.style.n_shown) {
    return body["best_of"].error(
        fmt::format("{} (expected at least n, {})", n_candidates, out.style.n_shown));
  }
  if (out.stream && n_candidates > out.style.n_shown) {
    return body["best_of"].error("a stream cannot wait for the best");
  }
  return {};
}

// The number of alternatives; some clients send a switch.
Result<int> read_completion_logprobs(const Field& field) {
  if (field.absent()) return -1;
  if (field.json().is_bool()) return field.json().boolean ? 0 : -1;
  return static_cast<int>(TRY(field.integer(0, kMostLogprobs)));
}

}  // namespace

Result<CompletionRequest> parse_completion(const JsonValue& json) {
  const Field body(&json, "");
  TRY(body.require_object());
  CompletionRequest out;
  out.model = TRY(read_model_name(body));
  const auto suffix = TRY(body["suffix"].optional_string());
  if (suffix && !suffix->empty()) {
    return body["suffix"].error("this model is not trained to fill a gap", "unsupported_value");
  }
  out.prompts = TRY(read_prompts(body["prompt"]));
  out.stream = TRY(body["stream"].boolean_or(false));
  out.style.include_usage = TRY(read_include_usage(body));
  out.style.echo = TRY(body["echo"].boolean_or(false));
  out.style.n_logprobs = TRY(read_completion_logprobs(body["logprobs"]));
  int n_candidates = 1;
  TRY(read_candidates(body, out, n_candidates));

  auto sampling = TRY(read_openai_sampling(body, out.warnings));
  sampling.max_tokens =
      TRY(read_token_limit(body, {"max_tokens", "max_completion_tokens", "n_predict"}));
  if (sampling.max_tokens < 0) sampling.max_tokens = 16;  // as this endpoint always had it
  sampling.n_logprobs = out.style.n_logprobs;
  // The best candidate is the likeliest one.
  if (n_candidates > out.style.n_shown) sampling.n_logprobs = std::max(sampling.n_logprobs, 0);
  const auto form = TRY(read_any_format(body, body["response_format"]));
  if (form.kind != ResponseFormat::Kind::Text) {
    out.warnings.push_back("formats are not enforced in completions");
  }
  const bool hides_control = TRY(body["skip_special_tokens"].boolean_or(true));
  for (auto& prompt : out.prompts) {
    prompt.sampling = sampling;
    prompt.n_candidates = n_candidates;
    prompt.hide_control = hides_control;
  }
  if (out.style.echo && out.style.n_logprobs >= 0) {
    out.warnings.push_back("the prompt has no log probabilities");
  }
  out.priority = TRY(read_priority(body));
  out.keep_alive = TRY(read_keep_alive(body));
  return out;
}

}  // namespace fourfold
