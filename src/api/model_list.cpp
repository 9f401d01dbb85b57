#include "api/model_list.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "api/identifiers.h"
#include "api/json_number.h"
#include "base/utf8.h"

namespace fourfold {
namespace {

constexpr std::size_t kDefaultPage = 50;
constexpr std::size_t kLargestPage = 1000;

JsonValue text(std::string_view value) { return JsonValue::of(std::string(value)); }

std::optional<std::size_t> parse_size(std::string_view digits) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool is_number = error == std::errc() && end == digits.data() + digits.size();
  return is_number ? std::optional(value) : std::nullopt;
}

std::string display_name(const ListedModel& model) {
  return model.display_name.empty() ? model.id : model.display_name;
}

std::string description(const ListedModel& model) {
  std::string out = model.chat ? "Chat model" : "Text model without chat training";
  if (model.thinking) out += ", thinks on request";
  if (model.tools) out += ", calls tools";
  if (model.vision) out += model.video ? ", sees pictures and films" : ", sees pictures";
  if (model.audio) out += ", hears";
  return out;
}

// What a prompt may hold, media last.
JsonValue input_modalities(const ListedModel& model, bool in_capitals) {
  auto list = JsonValue::array({text(in_capitals ? "TEXT" : "text")});
  const auto add = [&](bool has, std::string_view capitals, std::string_view plain) {
    if (has) list.items.push_back(text(in_capitals ? capitals : plain));
  };
  add(model.vision, "IMAGE", "image");
  add(model.video, "VIDEO", "video");
  add(model.audio, "AUDIO", "audio");
  return list;
}

// What OpenAI and Anthropic call a model.
JsonValue listed(const ListedModel& model) {
  return JsonValue::object(
      {{"id", text(model.id)},
       {"object", text("model")},
       {"type", text("model")},
       {"created", json_number(model.modified_s)},
       {"created_at", text(rfc3339(model.modified_s))},
       {"owned_by", text("google")},
       {"display_name", text(display_name(model))},
       {"name", text("models/" + model.id)},
       {"context_length", json_number(model.context)},
       {"max_model_len", json_number(model.context)},
       {"architecture",
        JsonValue::object({{"input_modalities", input_modalities(model, false)},
                           {"output_modalities", JsonValue::array({text("text")})}})},
       {"meta", JsonValue::object({{"n_params", json_number(model.n_parameters)},
                                   {"n_ctx_train", json_number(model.max_context)}})}});
}

}  // namespace

JsonValue gemini_model(const ListedModel& model) {
  auto methods = JsonValue::array();
  for (const auto* method :
       {"generateContent", "streamGenerateContent", "countTokens", "createCachedContent"}) {
    if (model.chat) methods.items.push_back(text(method));
  }
  const bool is_gemma_4 = model.family.ends_with('4');
  return JsonValue::object({{"name", text("models/" + model.id)},
                            {"baseModelId", text(model.id)},
                            {"version", text(is_gemma_4 ? "4" : "1")},
                            {"displayName", text(display_name(model))},
                            {"description", text(description(model))},
                            {"inputTokenLimit", json_number(model.context)},
                            {"outputTokenLimit", json_number(model.context)},
                            {"supportedGenerationMethods", std::move(methods)},
                            {"thinking", JsonValue::of(model.thinking)},
                            {"inputModalities", input_modalities(model, true)},
                            {"temperature", JsonValue::number("1.0")},
                            {"maxTemperature", JsonValue::number("2.0")},
                            {"topP", JsonValue::number("0.95")},
                            {"topK", json_number(64)}});
}

JsonValue merged_model(const ListedModel& model) {
  auto merged = listed(model);
  for (auto& [key, value] : gemini_model(model).members) merged.set(key, std::move(value));
  return merged;
}

Result<PageRequest> parse_page(std::string_view size, std::string_view token) {
  PageRequest page;
  page.token = std::string(token);
  if (size.empty()) return page;
  const auto number = parse_size(size);
  if (!number) {
    return invalid_argument("pageSize: {} (expected a number)", printable(size))
        .with({.reason = "", .field = "pageSize"});
  }
  page.size = std::min(*number, kLargestPage);
  return page;
}

Result<Page> page_of(std::size_t n_items, const PageRequest& request, std::size_t default_size) {
  const auto begin =
      request.token.empty() ? std::optional<std::size_t>(0) : parse_size(request.token);
  if (!begin || *begin > n_items) {
    return invalid_argument("pageToken: {} is none of ours", printable(request.token))
        .with({.reason = "", .field = "pageToken"});
  }
  const std::size_t size = request.size == 0 ? default_size : request.size;
  Page page;
  page.begin = *begin;
  page.end = std::min(n_items, *begin + size);
  if (page.end < n_items) page.next_token = std::to_string(page.end);
  return page;
}

Result<JsonValue> gemini_model_list(const std::vector<ListedModel>& models,
                                    const PageRequest& request) {
  const auto page = TRY(page_of(models.size(), request, kDefaultPage));
  auto list = JsonValue::array();
  for (std::size_t i = page.begin; i < page.end; ++i) list.items.push_back(gemini_model(models[i]));
  auto body = JsonValue::object({{"models", std::move(list)}});
  if (!page.next_token.empty()) body.set("nextPageToken", text(page.next_token));
  return body;
}

Result<JsonValue> merged_model_list(const std::vector<ListedModel>& models,
                                    const PageRequest& page) {
  auto data = JsonValue::array();
  for (const auto& model : models) data.items.push_back(listed(model));
  const auto id_or_null = [&](bool first) {
    if (models.empty()) return JsonValue::null();
    return text(first ? models.front().id : models.back().id);
  };
  auto body = JsonValue::object({{"object", text("list")}, {"data", std::move(data)}});
  auto gemini = TRY(gemini_model_list(models, page));
  for (auto& [key, value] : gemini.members) body.set(key, std::move(value));
  body.set("first_id", id_or_null(true));
  body.set("last_id", id_or_null(false));
  body.set("has_more", JsonValue::of(false));
  return body;
}

}  // namespace fourfold
