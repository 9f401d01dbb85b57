#include "server/ollama_model_routes.h"

#include <string>
#include <utility>
#include <vector>

#include "api/field.h"
#include "api/json_number.h"
#include "api/ollama_models.h"
#include "api/ollama_request.h"
#include "formats/checkpoint.h"
#include "server/models.h"
#include "server/ollama_blobs.h"
#include "server/page_routes.h"

namespace fourfold {
namespace {

// ---- small endpoints ----

bool prefers_html(std::string_view accept) {
  const auto html = accept.find("text/html");
  const auto plain = accept.find("text/plain");
  return html != accept.npos && (plain == accept.npos || html < plain);
}

Status root(Call& call) {
  if (prefers_html(call.request().head.header("accept")) && send_page(call).ok()) return {};
  call.reply(200, "text/plain; charset=utf-8", "Ollama is running");
  return {};
}

Status version(Call& call) {
  const auto& level = call.server().settings.ollama_version;
  call.reply(200, JsonValue::object({{"version", JsonValue::of(level)}}));
  return {};
}

// Nothing here reaches a cloud.
Status status(Call& call) {
  auto cloud =
      JsonValue::object({{"disabled", JsonValue::of(true)}, {"source", JsonValue::of("config")}});
  call.reply(200, JsonValue::object({{"cloud", std::move(cloud)}}));
  return {};
}

// ---- lists ----

OllamaModel described(const ModelFacts& facts) {
  return {.name = facts.listed_name,
          .modified_s = facts.modified_s,
          .size_bytes = facts.size_bytes,
          .digest = facts.digest,
          .architecture = facts.architecture,
          .family = facts.family,
          .parameter_size = facts.parameter_size,
          .quantization = facts.quantization,
          .n_parameters = facts.n_parameters,
          .context = facts.context,
          .width = facts.width,
          .n_layers = facts.n_layers,
          .capabilities = facts.capabilities,
          .system = facts.system,
          .parameters = facts.parameters,
          .license = {}};
}

Status tags(Call& call) {
  std::vector<OllamaModel> models;
  for (const auto& facts : call.server().models.list()) models.push_back(described(facts));
  call.reply(200, ollama_tags(models));
  return {};
}

Status ps(Call& call) {
  std::vector<OllamaLoadedModel> models;
  for (const auto& loaded : call.server().models.loaded()) {
    models.push_back({.model = described(loaded.facts),
                      .expires_s = loaded.expires_s,
                      .resident_bytes = loaded.resident_bytes});
  }
  call.reply(200, ollama_ps(models));
  return {};
}

// Sizes as a GGUF file has them, innermost first.
Result<OllamaInsides> insides_of(const std::string& path) {
  OllamaInsides insides;
  const auto checkpoint = TRY(Checkpoint::open(path));
  for (const auto& tensor : checkpoint.tensors()) {
    insides.tensors.push_back({.name = tensor.name,
                               .type = std::string(name(tensor.dtype)),
                               .shape = {tensor.shape.rbegin(), tensor.shape.rend()}});
  }
  const auto tokenizer = TRY(Tokenizer::load(checkpoint));
  for (TokenId id = 0; tokenizer.is_valid(id); ++id) {
    insides.tokens.emplace_back(tokenizer.piece(id));
  }
  return insides;
}

Result<ModelFacts> find_model(Call& call, const JsonValue& body) {
  const auto model = TRY(ollama_model_name(body));
  auto facts = call.server().models.find(model);
  if (!facts) return model_not_found(model);
  return *std::move(facts);
}

Status show(Call& call) {
  const auto body = TRY(call.json_body());
  const auto facts = TRY(find_model(call, body));
  const bool is_verbose = TRY(Field(&body, "")["verbose"].boolean_or(false));
  OllamaModel model = described(facts);
  const SampleOptions sampling = sample_options(facts.parameters, SamplingDefaults());
  model.parameters.temperature = sampling.temperature;
  model.parameters.top_k = sampling.top_k;
  model.parameters.top_p = sampling.top_p;
  OllamaInsides insides;
  if (is_verbose) insides = TRY(insides_of(facts.path));
  call.reply(200, ollama_show(model, is_verbose ? &insides : nullptr));
  return {};
}

// ---- pull, create, copy, delete ----

JsonValue status_line(std::string text) {
  return JsonValue::object({{"status", JsonValue::of(std::move(text))}});
}

// The steps as lines, or the last one alone.
Status reply_steps(Call& call, const Field& body, const std::vector<JsonValue>& steps) {
  if (!TRY(body["stream"].boolean_or(true))) {
    call.reply(200, steps.back());
    return {};
  }
  call.begin("application/x-ndjson");
  for (const auto& step : steps) call.write(to_json_text(step) + "\n");
  call.end();
  return {};
}

// Nothing is downloaded: what is here already is pulled at once.
Status pull(Call& call) {
  const auto body = TRY(call.json_body());
  const auto name = TRY(ollama_model_name(body));
  const auto facts = call.server().models.find(name);
  if (!facts) return not_found("pull model manifest: file does not exist");
  auto progress = status_line("pulling " + facts->digest.substr(0, 12));
  progress.set("digest", JsonValue::of("sha256:" + facts->digest));
  progress.set("total", json_number(facts->size_bytes));
  progress.set("completed", json_number(facts->size_bytes));
  return reply_steps(
      call, Field(&body, ""),
      {status_line("pulling manifest"), std::move(progress), status_line("verifying sha256 digest"),
       status_line("writing manifest"), status_line("success")});
}

// What /api/create of Ollama does and this server does not.
Status refuse_other_sources(const Field& body) {
  for (const auto* field : {"adapters", "draft_files", "quantize", "draft_quantize"}) {
    const JsonValue& value = body[field].json();
    const bool asks = (value.is_string() && !value.text.empty()) ||
                      (value.is_object() && !value.members.empty()) ||
                      (value.is_array() && !value.items.empty());
    if (asks) return not_offered(fmt::format("{} in /api/create", field));
  }
  const auto form = TRY(body["template"].optional_string()).value_or("");
  if (form.empty() || form == kOllamaTemplate) return {};
  return body["template"].error("the prompt's text is fixed by the model (expected none)",
                                "unsupported_value");
}

// The path of the GGUF file that was sent as a blob.
Result<std::string> sent_file(Call& call, const Field& files) {
  TRY(files.require_object());
  const auto& members = files.json().members;
  const bool is_one = members.size() == 1 && members.front().key.ends_with(".gguf");
  if (!is_one) return not_offered("a model of anything but one GGUF file, in /api/create,");
  const Field digest = files[members.front().key];
  const OllamaBlobs blobs(call.server().settings.data_folder);
  const auto text = TRY(digest.string());
  auto path = TRY(blobs.find(text));
  if (!path) return digest.error("no such blob was sent");
  return *std::move(path);
}

// A model by its name; a path would be a file of the server's.
Result<std::string> source_model(Call& call, const Field& from) {
  auto name = TRY(from.string());
  if (name.starts_with('/')) return model_not_found(name);
  if (!call.server().models.find(name)) return model_not_found(name);
  return name;
}

Status create(Call& call) {
  const auto json = TRY(call.json_body());
  const Field body(&json, "");
  const auto name = TRY(ollama_model_name(json));
  TRY(refuse_other_sources(body));
  const bool is_sent = body["files"].json().is_object() && body["from"].absent();
  const auto from =
      TRY(is_sent ? sent_file(call, body["files"]) : source_model(call, body["from"]));
  ModelFacts settings;
  std::vector<std::string> warnings;
  MessageRules rules;
  settings.system = TRY(body["system"].optional_string()).value_or("");
  settings.parameters = TRY(parse_ollama_options(body["parameters"].json(), 0, warnings));
  settings.messages = TRY(parse_ollama_messages(json, rules, warnings));
  for (auto& warning : warnings) call.warn(std::move(warning));
  TRY(call.server().models.make(name, from, settings));
  return reply_steps(call, body,
                     {status_line("reading model metadata"), status_line("writing manifest"),
                      status_line("success")});
}

Status reply_nothing(Call& call, int status) {
  call.reply(status, "text/plain; charset=utf-8", "");
  return {};
}

Status copy(Call& call) {
  const auto json = TRY(call.json_body());
  const Field body(&json, "");
  const auto source = TRY(body["source"].string());
  const auto destination = TRY(body["destination"].string());
  TRY(call.server().models.copy(source, destination));
  return reply_nothing(call, 200);
}

Status remove(Call& call) {
  const auto body = TRY(call.json_body());
  const auto name = TRY(ollama_model_name(body));
  TRY(call.server().models.remove(name));
  return reply_nothing(call, 200);
}

// ---- blobs ----

Status find_blob(Call& call) {
  const OllamaBlobs blobs(call.server().settings.data_folder);
  const auto found = TRY(blobs.find(call.parameter("digest")));
  return reply_nothing(call, found ? 200 : 404);
}

Status create_blob(Call& call) {
  const OllamaBlobs blobs(call.server().settings.data_folder);
  const auto& digest = call.parameter("digest");
  if (TRY(blobs.find(digest))) return reply_nothing(call, 200);
  const Request& request = call.request();
  TRY(request.body_file.empty() ? blobs.put(digest, request.body)
                                : blobs.take_file(digest, request.body_file));
  return reply_nothing(call, 201);
}

}  // namespace

void add_ollama_model_routes(Handlers& handlers) {
  handlers.add("ollama.root", root);
  handlers.add("ollama.version", version);
  handlers.add("ollama.status", status);
  handlers.add("ollama.tags", tags);
  handlers.add("ollama.ps", ps);
  handlers.add("ollama.show", show);
  handlers.add("ollama.pull", pull);
  handlers.add("ollama.create", create);
  handlers.add("ollama.copy", copy);
  handlers.add("ollama.delete", remove);
  handlers.add("ollama.blobs.head", find_blob);
  handlers.add("ollama.blobs.create", create_blob);
}

}  // namespace fourfold
