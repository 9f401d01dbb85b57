// Health, metrics and what llama.cpp's server tells of itself (http-apis.md 6).
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "api/field.h"
#include "api/openai_request.h"
#include "engine/media_seen.h"
#include "formats/chat_template.h"
#include "server/call.h"
#include "server/chat_flow.h"
#include "server/http/http_server.h"
#include "server/metrics.h"
#include "server/models.h"
#include "server/openai_call.h"
#include "tokenizer/detokenizer.h"

namespace fourfold {
namespace {

JsonValue of(std::int64_t value) { return JsonValue::number(fmt::format("{}", value)); }

Error unavailable(std::string message, std::string reason, double retry_after_s) {
  return Error{Code::Unavailable, std::move(message)}.with(
      {.reason = std::move(reason), .retry_after_s = retry_after_s});
}

JsonValue status_ok() {
  JsonValue json = JsonValue::object();
  json.set("status", JsonValue::of("ok"));
  return json;
}

// --- Health ---

Status check_health(const ServerState& server) {
  if (!server.models.is_ready()) return unavailable("Loading model", "model_loading", 2.0);
  if (server.http.is_draining()) return unavailable("The server is shutting down", "", 0.0);
  return {};
}

Status health(Call& call) {
  TRY(check_health(call.server()));
  call.reply(200, status_ok());
  return {};
}

Status live(Call& call) {
  call.reply(200, status_ok());
  return {};
}

Status ready(Call& call) {
  const ServerState& server = call.server();
  TRY(check_health(server));
  for (const auto& model : server.models.loaded()) {
    if (model.stats.n_waiting >= server.settings.max_queue) {
      return unavailable("the queue is full", "queue_full", 5.0);
    }
  }
  call.reply(200, status_ok());
  return {};
}

Status metrics(Call& call) {
  const ServerState& server = call.server();
  call.reply(200, "text/plain; version=0.0.4; charset=utf-8",
             server.metrics.text(server.models.loaded(), server.http.counts(),
                                 server.settings.metrics_aliases));
  return {};
}

// --- Models ---

// The model that is meant: as the request names it, else the first.
Result<ModelFacts> find_model(Call& call, const std::string& name) {
  const Models& models = call.server().models;
  if (name.empty()) {
    const auto all = models.list();
    if (all.empty()) return not_found("no model is offered").with({.reason = "model_not_found"});
    return all.front();
  }
  if (auto facts = models.find(name)) return *std::move(facts);
  return not_found("model '{}' not found", name).with({.reason = "model_not_found"});
}

Result<ModelFacts> model_of_body(Call& call, const JsonValue& body) {
  const Field fields(&body, "");
  return find_model(call, TRY(fields["model"].optional_string()).value_or(""));
}

// Default values as every dialect has them, and those of a model that was made.
JsonValue sampling_json(const SamplingChoice& choice) {
  JsonValue json = JsonValue::object();
  const auto put = [&](std::string_view key, auto value) {
    json.set(key, JsonValue::number(fmt::format("{}", value)));
  };
  put("temperature", choice.temperature.value_or(1.0f));
  put("top_k", choice.top_k.value_or(64));
  put("top_p", choice.top_p.value_or(0.95f));
  put("min_p", choice.min_p.value_or(0.0f));
  put("repeat_penalty", choice.repeat_penalty.value_or(1.0f));
  put("presence_penalty", choice.presence_penalty.value_or(0.0f));
  put("frequency_penalty", choice.frequency_penalty.value_or(0.0f));
  return json;
}

std::string shown_path(const ModelFacts& facts, bool whole) {
  return whole ? facts.path : std::filesystem::path(facts.path).filename().string();
}

// True if whoever asks may see what concerns the machine.
bool is_admin(const Call& call) { return !call.key() || call.key()->scopes.contains(Scope::Admin); }

JsonValue template_caps_json(const ChatCapabilities& capabilities) {
  JsonValue json = JsonValue::object();
  json.set("supports_tools", JsonValue::of(capabilities.tools));
  json.set("supports_tool_calls", JsonValue::of(capabilities.tools));
  json.set("supports_parallel_tool_calls", JsonValue::of(capabilities.tools));
  json.set("supports_system_role", JsonValue::of(capabilities.chat));
  json.set("supports_preserve_reasoning", JsonValue::of(capabilities.thinking));
  return json;
}

Status props(Call& call) {
  const ModelFacts facts = TRY(find_model(call, call.query("model")));
  const Checkpoint checkpoint = TRY(Checkpoint::open(facts.path));
  const ServerSettings& settings = call.server().settings;
  const auto loaded = call.server().models.loaded();
  const bool is_loaded = std::ranges::any_of(
      loaded, [&](const LoadedModel& model) { return model.facts.path == facts.path; });

  JsonValue defaults = JsonValue::object();
  defaults.set("params", sampling_json(facts.parameters));
  defaults.set("n_ctx", of(facts.context));
  JsonValue modalities = JsonValue::object();
  modalities.set("vision", JsonValue::of(facts.capabilities.vision));
  modalities.set("audio", JsonValue::of(facts.capabilities.audio));
  modalities.set("video", JsonValue::of(facts.capabilities.video));
  JsonValue speculative = JsonValue::object();
  speculative.set("drafter", JsonValue::null());
  speculative.set("depth", of(0));
  speculative.set("acceptance", JsonValue::null());
  speculative.set("off", JsonValue::of("this build has no drafter"));

  JsonValue json = JsonValue::object();
  json.set("default_generation_settings", std::move(defaults));
  json.set("total_slots", of(settings.max_parallel));
  json.set("model_path", JsonValue::of(shown_path(facts, settings.show_paths && is_admin(call))));
  json.set("model_alias", JsonValue::of(facts.id));
  json.set("chat_template", JsonValue::of(find_chat_template(checkpoint)));
  json.set("chat_template_caps", template_caps_json(facts.capabilities));
  json.set("modalities", std::move(modalities));
  json.set("bos_token", JsonValue::of("<bos>"));
  json.set("eos_token", JsonValue::of("<eos>"));
  json.set("build_info", JsonValue::of("fourfold-" FOURFOLD_VERSION));
  json.set("is_sleeping", JsonValue::of(!is_loaded));
  json.set("speculative", std::move(speculative));
  call.reply(200, json);
  return {};
}

// --- Slots ---

JsonValue slot_json(int id, const LoadedModel& model) {
  JsonValue json = JsonValue::object();
  json.set("id", of(id));
  json.set("id_task", of(-1));
  json.set("model", JsonValue::of(model.facts.id));
  json.set("n_ctx", of(model.facts.context));
  json.set("is_processing", JsonValue::of(id < model.stats.n_running));
  json.set("params", sampling_json(model.facts.parameters));
  json.set("next_token", JsonValue::array());
  return json;
}

// Sequences have no fixed places here: as many as run are at work, the others are free.
Status slots(Call& call) {
  const int n_slots = call.server().settings.max_parallel;
  bool is_one_free = false;
  JsonValue list = JsonValue::array();
  for (const auto& model : call.server().models.loaded()) {
    is_one_free |= model.stats.n_running < n_slots;
    for (int id = 0; id < n_slots; ++id) list.items.push_back(slot_json(id, model));
  }
  if (!call.query("fail_on_no_slot").empty() && !is_one_free) {
    return unavailable("no slot available", "queue_full", 1.0);
  }
  call.reply(200, list);
  return {};
}

// --- Text and tokens ---

JsonValue ids_json(const std::vector<TokenId>& ids) {
  JsonValue list = JsonValue::array();
  for (const TokenId id : ids) list.items.push_back(of(id));
  return list;
}

// A piece whose bytes are no text alone is told by its bytes.
JsonValue piece_json(const Tokenizer& tokenizer, TokenId id) {
  const std::string_view bytes = tokenizer.bytes(id);
  if (decode(tokenizer, std::vector<TokenId>{id}) == bytes)
    return JsonValue::of(std::string(bytes));
  JsonValue list = JsonValue::array();
  for (const char c : bytes) list.items.push_back(of(static_cast<unsigned char>(c)));
  return list;
}

JsonValue pieces_json(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  JsonValue list = JsonValue::array();
  for (const TokenId id : ids) {
    JsonValue token = JsonValue::object();
    token.set("id", of(id));
    token.set("piece", piece_json(tokenizer, id));
    list.items.push_back(std::move(token));
  }
  return list;
}

Status tokenize(Call& call) {
  const JsonValue body = TRY(call.json_body());
  const Field fields(&body, "");
  const auto content = TRY(fields["content"].string());
  const bool add_special = TRY(fields["add_special"].boolean_or(false));
  const bool parse_special = TRY(fields["parse_special"].boolean_or(true));
  const bool with_pieces = TRY(fields["with_pieces"].boolean_or(false));
  const ModelFacts facts = TRY(model_of_body(call, body));
  const auto lease = TRY(call.server().models.acquire(facts.id, {.gone = call.gone()}));
  const Tokenizer& tokenizer = lease.service().tokenizer();
  auto ids = tokenizer.encode(content, parse_special ? Trust::Trusted : Trust::Untrusted);
  if (add_special) ids = tokenizer.with_bos(std::move(ids));
  JsonValue json = JsonValue::object();
  json.set("tokens", with_pieces ? pieces_json(tokenizer, ids) : ids_json(ids));
  call.reply(200, json);
  return {};
}

Status detokenize(Call& call) {
  const JsonValue body = TRY(call.json_body());
  const Field fields(&body, "");
  const ModelFacts facts = TRY(model_of_body(call, body));
  const auto lease = TRY(call.server().models.acquire(facts.id, {.gone = call.gone()}));
  const Tokenizer& tokenizer = lease.service().tokenizer();
  std::vector<TokenId> ids;
  for (const Field& token : TRY(fields["tokens"].list())) {
    ids.push_back(static_cast<TokenId>(TRY(token.integer(0, tokenizer.vocab_size() - 1))));
  }
  JsonValue json = JsonValue::object();
  json.set("content", JsonValue::of(decode(tokenizer, ids)));
  call.reply(200, json);
  return {};
}

// What the media become, and where their rows stand in the tokens.
JsonValue media_plan_json(const PreparedChat& prepared) {
  JsonValue blocks = JsonValue::array();
  for (const SoftSpan& span : prepared.prompt.soft) {
    JsonValue block = JsonValue::object();
    block.set("first", of(span.first));
    block.set("n", of(span.rows->n_rows));
    block.set("sees_itself", JsonValue::of(span.rows->is_visual));
    blocks.items.push_back(std::move(block));
  }
  JsonValue plan = JsonValue::object();
  plan.set("items", media_json(prepared.media));
  plan.set("blocks", std::move(blocks));
  return plan;
}

// An OpenAI chat request up to its prompt.
Status apply_template(Call& call) {
  JsonValue body = TRY(call.json_body());
  const ModelFacts facts = TRY(model_of_body(call, body));
  if (body.is_object()) body.set("model", JsonValue::of(facts.id));
  auto request = TRY(parse_openai_chat(body, openai_options(call)));
  ChatCall chat{.model = request.model,
                .chat = std::move(request.chat),
                .warnings = std::move(request.warnings)};
  const auto counted = TRY(count_prompt(call, std::move(chat)));
  JsonValue json = JsonValue::object();
  json.set("prompt", JsonValue::of(counted.prepared.prompt.text));
  json.set("tokens", ids_json(counted.prepared.prompt.ids));
  json.set("media", media_plan_json(counted.prepared));
  call.reply(200, json);
  return {};
}

// --- Adapters: this build has none ---

Status list_adapters(Call& call) {
  call.reply(200, JsonValue::array());
  return {};
}

Status set_adapters(Call& call) {
  const JsonValue body = TRY(call.json_body());
  const Field list(&body, "adapters");
  if (!TRY(list.list()).empty()) return not_found("adapters: none are loaded");
  call.reply(200, JsonValue::array());
  return {};
}

Status refuse_not_offered(Call& call) {
  if (call.dialect() == Dialect::Ollama) {
    return unimplemented("not supported").with({.reason = "not_offered"});
  }
  const std::string& target = call.request().head.target;
  return unimplemented("{} is not offered by this server", target.substr(0, target.find('?')))
      .with({.reason = "not_offered"});
}

}  // namespace

void add_operation_routes(Handlers& handlers) {
  handlers.add("ops.health", health);
  handlers.add("ops.live", live);
  handlers.add("ops.ready", ready);
  handlers.add("ops.metrics", metrics);
  handlers.add("ops.props", props);
  handlers.add("ops.slots", slots);
  handlers.add("ops.tokenize", tokenize);
  handlers.add("ops.detokenize", detokenize);
  handlers.add("ops.apply_template", apply_template);
  handlers.add("ops.lora.get", list_adapters);
  handlers.add("ops.lora.set", set_adapters);
  handlers.add("not_offered", refuse_not_offered);
}

}  // namespace fourfold
