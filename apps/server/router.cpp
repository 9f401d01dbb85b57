#include "server/router.h"

#include <algorithm>
#include <array>

namespace fourfold {
namespace {

// Where a path may stand. A version is v1beta, v1 or v1alpha; /v1beta/openai/ counts as v1.
enum class Where {
  Root,       // without a version
  Anywhere,   // behind any version, or without one
  V1OrNone,   // behind v1, or without a version
  Beta,       // behind v1beta or v1alpha
  Uploads,    // behind /upload/VERSION/
  UploadUrl,  // the same, of a session that has begun
};

struct Row {
  std::string_view method;
  Where where = Where::Anywhere;
  // One {parameter} at most: a segment of the path, with ... all that is left. What follows it is
  // the end of the path, so a method is what stands behind the last colon.
  std::string_view path;
  RouteInfo route;
};

constexpr Row get(Where where, std::string_view path, std::string_view name, Dialect dialect,
                  Scope scope = Scope::Generate) {
  return {"GET", where, path, {name, dialect, scope, BodyKind::None}};
}
constexpr Row post(Where where, std::string_view path, std::string_view name, Dialect dialect,
                   Scope scope = Scope::Generate, BodyKind body = BodyKind::Json) {
  return {"POST", where, path, {name, dialect, scope, body}};
}
// Some clients send a body with it.
constexpr Row del(Where where, std::string_view path, std::string_view name, Dialect dialect,
                  Scope scope) {
  return {"DELETE", where, path, {name, dialect, scope, BodyKind::Json}};
}
constexpr Row other(std::string_view method, Where where, std::string_view path,
                    std::string_view name, Dialect dialect, Scope scope, BodyKind body) {
  return {method, where, path, {name, dialect, scope, body}};
}
constexpr Row not_offered(Where where, std::string_view path, Dialect dialect) {
  return post(where, path, "not_offered", dialect);
}

constexpr auto kGemini = Dialect::Gemini;
constexpr auto kOpenAI = Dialect::OpenAI;
constexpr auto kResponses = Dialect::Responses;
constexpr auto kOllama = Dialect::Ollama;
constexpr auto kAnthropic = Dialect::Anthropic;
constexpr auto kOperations = Dialect::Operations;

// The first row that fits counts.
constexpr auto kRows = std::to_array<Row>({
    // Gemini: models.
    post(Where::Anywhere, "models/{model...}:generateContent", "gemini.generateContent", kGemini),
    post(Where::Anywhere, "models/{model...}:streamGenerateContent", "gemini.streamGenerateContent",
         kGemini),
    post(Where::Anywhere, "models/{model...}:countTokens", "gemini.countTokens", kGemini),
    post(Where::Anywhere, "models/{model...}:embedContent", "gemini.embedContent", kGemini),
    post(Where::Anywhere, "models/{model...}:batchEmbedContents", "gemini.batchEmbedContents",
         kGemini),
    post(Where::Anywhere, "tunedModels/{tuned...}:generateContent", "gemini.generateContent",
         kGemini),
    post(Where::Anywhere, "tunedModels/{tuned...}:streamGenerateContent",
         "gemini.streamGenerateContent", kGemini),
    post(Where::Anywhere, "tunedModels/{tuned...}:countTokens", "gemini.countTokens", kGemini),
    not_offered(Where::Anywhere, "models/{model...}:batchGenerateContent", kGemini),
    not_offered(Where::Anywhere, "models/{model...}:asyncBatchEmbedContent", kGemini),
    not_offered(Where::Anywhere, "models/{model...}:predict", kGemini),
    not_offered(Where::Anywhere, "models/{model...}:predictLongRunning", kGemini),
    not_offered(Where::Anywhere, "models/{model...}:computeTokens", kGemini),
    not_offered(Where::Anywhere, "models/{model...}:generateAnswer", kGemini),
    get(Where::Beta, "models", "gemini.models", kGemini),
    get(Where::Beta, "models/{model...}", "gemini.model", kGemini),
    get(Where::Anywhere, "tunedModels", "gemini.tunedModels", kGemini),
    get(Where::Anywhere, "tunedModels/{id...}", "gemini.tunedModel", kGemini),
    not_offered(Where::Anywhere, "tunedModels", kGemini),

    // Gemini: files. A session's address is its own key.
    post(Where::UploadUrl, "files", "gemini.files.upload_session", kGemini, Scope::Public,
         BodyKind::Upload),
    other("PUT", Where::UploadUrl, "files", "gemini.files.upload_session", kGemini, Scope::Public,
          BodyKind::Upload),
    post(Where::Uploads, "files", "gemini.files.upload", kGemini, Scope::Files),
    post(Where::Uploads, "files/{session}", "gemini.files.upload_session", kGemini, Scope::Public,
         BodyKind::Upload),
    other("PUT", Where::Uploads, "files/{session}", "gemini.files.upload_session", kGemini,
          Scope::Public, BodyKind::Upload),
    get(Where::Anywhere, "files", "gemini.files.list", kGemini, Scope::Files),
    get(Where::Anywhere, "files/{id...}:download", "gemini.files.download", kGemini, Scope::Files),
    get(Where::Anywhere, "files/{id...}", "gemini.files.get", kGemini, Scope::Files),
    del(Where::Anywhere, "files/{id...}", "gemini.files.delete", kGemini, Scope::Files),

    // Gemini: the rest.
    post(Where::Anywhere, "cachedContents", "gemini.caches.create", kGemini, Scope::Files),
    get(Where::Anywhere, "cachedContents", "gemini.caches.list", kGemini, Scope::Files),
    get(Where::Anywhere, "cachedContents/{id}", "gemini.caches.get", kGemini, Scope::Files),
    other("PATCH", Where::Anywhere, "cachedContents/{id}", "gemini.caches.patch", kGemini,
          Scope::Files, BodyKind::Json),
    del(Where::Anywhere, "cachedContents/{id}", "gemini.caches.delete", kGemini, Scope::Files),
    post(Where::Anywhere, "interactions", "gemini.interactions.create", kGemini),
    get(Where::Anywhere, "interactions/{id}", "gemini.interactions.get", kGemini, Scope::Files),
    del(Where::Anywhere, "interactions/{id}", "gemini.interactions.delete", kGemini, Scope::Files),
    post(Where::Anywhere, "interactions/{id}/cancel", "gemini.interactions.cancel", kGemini),
    not_offered(Where::Beta, "batches", kGemini),
    not_offered(Where::Anywhere, "fileSearchStores", kGemini),
    not_offered(Where::Anywhere, "tuningJobs", kGemini),
    not_offered(Where::Anywhere, "auth_tokens", kGemini),

    // OpenAI.
    post(Where::Anywhere, "chat/completions", "openai.chat", kOpenAI),
    post(Where::Anywhere, "completions", "openai.completions", kOpenAI),
    post(Where::Anywhere, "embeddings", "openai.embeddings", kOpenAI),
    post(Where::Anywhere, "audio/transcriptions", "openai.transcriptions", kOpenAI, Scope::Generate,
         BodyKind::Upload),
    post(Where::Anywhere, "responses", "openai.responses.create", kResponses),
    post(Where::Anywhere, "responses/input_tokens", "openai.responses.input_tokens", kResponses),
    post(Where::Anywhere, "responses/compact", "openai.responses.compact", kResponses),
    post(Where::Anywhere, "responses/{id}/cancel", "openai.responses.cancel", kResponses),
    get(Where::Anywhere, "responses/{id}", "openai.responses.get", kResponses, Scope::Files),
    del(Where::Anywhere, "responses/{id}", "openai.responses.delete", kResponses, Scope::Files),
    not_offered(Where::Root, "models/load", kOperations),
    not_offered(Where::Root, "models/unload", kOperations),
    get(Where::V1OrNone, "models", "openai.models", kOpenAI),
    get(Where::V1OrNone, "models/{model...}", "openai.model", kOpenAI),
    not_offered(Where::V1OrNone, "audio/translations", kOpenAI),
    not_offered(Where::V1OrNone, "audio/speech", kOpenAI),
    not_offered(Where::V1OrNone, "images/{what...}", kOpenAI),
    not_offered(Where::V1OrNone, "files", kOpenAI),
    not_offered(Where::V1OrNone, "batches", kOpenAI),

    // Anthropic.
    post(Where::V1OrNone, "messages", "anthropic.messages", kAnthropic),
    post(Where::V1OrNone, "messages/count_tokens", "anthropic.count_tokens", kAnthropic),
    not_offered(Where::V1OrNone, "messages/batches", kAnthropic),

    // Ollama.
    get(Where::Root, "", "ollama.root", kOllama, Scope::Public),
    get(Where::Root, "api/version", "ollama.version", kOllama),
    get(Where::Root, "api/tags", "ollama.tags", kOllama),
    get(Where::Root, "api/ps", "ollama.ps", kOllama),
    get(Where::Root, "api/status", "ollama.status", kOllama),
    post(Where::Root, "api/show", "ollama.show", kOllama),
    post(Where::Root, "api/chat", "ollama.chat", kOllama),
    post(Where::Root, "api/generate", "ollama.generate", kOllama),
    post(Where::Root, "api/embed", "ollama.embed", kOllama),
    post(Where::Root, "api/embeddings", "ollama.embeddings", kOllama),
    post(Where::Root, "api/pull", "ollama.pull", kOllama, Scope::Models),
    post(Where::Root, "api/create", "ollama.create", kOllama, Scope::Models),
    post(Where::Root, "api/copy", "ollama.copy", kOllama, Scope::Models),
    del(Where::Root, "api/delete", "ollama.delete", kOllama, Scope::Models),
    other("HEAD", Where::Root, "api/blobs/{digest}", "ollama.blobs.head", kOllama, Scope::Models,
          BodyKind::None),
    post(Where::Root, "api/blobs/{digest}", "ollama.blobs.create", kOllama, Scope::Models,
         BodyKind::Upload),
    not_offered(Where::Root, "api/push", kOllama),
    not_offered(Where::Root, "api/me", kOllama),
    not_offered(Where::Root, "api/signout", kOllama),

    // Operations, and the page.
    get(Where::Anywhere, "health", "ops.health", kOperations, Scope::Public),
    get(Where::Root, "live", "ops.live", kOperations, Scope::Public),
    get(Where::Root, "ready", "ops.ready", kOperations, Scope::Public),
    get(Where::Root, "metrics", "ops.metrics", kOperations, Scope::Admin),
    get(Where::Root, "props", "ops.props", kOperations),
    get(Where::Root, "slots", "ops.slots", kOperations, Scope::Admin),
    not_offered(Where::Root, "slots/{id}", kOperations),
    post(Where::Root, "tokenize", "ops.tokenize", kOperations),
    post(Where::Root, "detokenize", "ops.detokenize", kOperations),
    post(Where::Root, "apply-template", "ops.apply_template", kOperations),
    get(Where::Root, "lora-adapters", "ops.lora.get", kOperations),
    post(Where::Root, "lora-adapters", "ops.lora.set", kOperations, Scope::Models),
    not_offered(Where::Root, "completion", kOperations),
    not_offered(Where::Root, "infill", kOperations),
    not_offered(Where::Root, "rerank", kOperations),
    get(Where::Root, "assets/{path...}", "page", kOperations, Scope::Public),
});

// --- The target ---

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// What is no escape stays as it is.
std::string percent_decoded(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    decoded += plus_is_space && text[i] == '+' ? ' ' : text[i];
  }
  return decoded;
}

std::multimap<std::string, std::string> parse_query(std::string_view text) {
  std::multimap<std::string, std::string> query;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    if (item.empty()) continue;
    const auto equals = item.find('=');
    const auto value = equals == item.npos ? std::string_view() : item.substr(equals + 1);
    query.emplace(percent_decoded(item.substr(0, equals), true), percent_decoded(value, true));
  }
  return query;
}

// Proxies send "http://host/path".
std::string_view without_origin(std::string_view target) {
  if (target.starts_with('/')) return target;
  const auto scheme = target.find("://");
  if (scheme == target.npos) return target;
  const auto path = target.find_first_of("/?", scheme + 3);
  return path == target.npos ? std::string_view("/") : target.substr(path);
}

std::string_view without_prefix(std::string_view path, std::string_view prefix) {
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (prefix.empty() || !path.starts_with(prefix)) return path;
  const auto rest = path.substr(prefix.size());
  return rest.empty() || rest.starts_with('/') ? rest : path;
}

// A path taken apart: what says which API is meant, and the rest.
struct Place {
  std::string_view version;  // the last one; empty: none
  bool is_upload = false;
  bool is_openai = false;  // behind /openai/
  std::string_view rest;   // without slashes at its ends
};

bool take_segment(std::string_view& path, std::string_view segment) {
  if (!path.starts_with(segment)) return false;
  const auto rest = path.substr(segment.size());
  if (!rest.empty() && !rest.starts_with('/')) return false;
  path = rest.empty() ? rest : rest.substr(1);
  return true;
}

void take_versions(std::string_view& path, Place& place) {
  constexpr std::string_view kVersions[] = {"v1beta", "v1alpha", "v1"};
  const auto take_one = [&] {
    return std::ranges::any_of(kVersions, [&](std::string_view version) {
      if (!take_segment(path, version)) return false;
      place.version = version;
      return true;
    });
  };
  while (take_one()) {
  }
}

Place take_apart(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  if (path.starts_with('/')) path.remove_prefix(1);
  Place place;
  take_versions(path, place);
  if (take_segment(path, "upload")) {
    place.is_upload = true;
    take_versions(path, place);
  } else if (take_segment(path, "openai")) {
    place.is_openai = true;
    take_versions(path, place);
    place.version = "v1";
  }
  place.rest = path;
  return place;
}

bool is_beta(const Place& place) { return place.version == "v1beta" || place.version == "v1alpha"; }

Dialect dialect_of(const Place& place) {
  if (place.is_openai) return kOpenAI;
  if (place.is_upload || is_beta(place) || place.rest.starts_with("ws/")) return kGemini;
  if (place.version.empty()) {
    if (place.rest == "api" || place.rest.starts_with("api/")) return kOllama;
  } else if (place.rest.starts_with("messages")) {
    return kAnthropic;
  }
  return kOpenAI;
}

// --- Rows ---

using Parameters = std::map<std::string, std::string>;

bool stands_at(const Row& row, const Place& place, bool has_session) {
  if (place.is_openai && row.route.dialect != kOpenAI && row.route.dialect != kResponses) {
    return false;
  }
  switch (row.where) {
    case Where::Root: return place.version.empty() && !place.is_upload;
    case Where::Anywhere: return !place.is_upload;
    case Where::V1OrNone: return !is_beta(place) && !place.is_upload;
    case Where::Beta: return is_beta(place) && !place.is_upload;
    case Where::Uploads: return place.is_upload;
    case Where::UploadUrl: return place.is_upload && has_session;
  }
  return false;
}

// The parameters if the path is of this form.
std::optional<Parameters> match(std::string_view form, std::string_view path) {
  const auto open = form.find('{');
  if (open == form.npos) {
    if (form != path) return std::nullopt;
    return Parameters();
  }
  const auto close = form.find('}', open);
  auto name = form.substr(open + 1, close - open - 1);
  const bool takes_all = name.ends_with("...");
  if (takes_all) name.remove_suffix(3);
  const auto before = form.substr(0, open), after = form.substr(close + 1);
  if (path.size() <= before.size() + after.size()) return std::nullopt;
  if (!path.starts_with(before) || !path.ends_with(after)) return std::nullopt;
  const auto value = path.substr(before.size(), path.size() - before.size() - after.size());
  if (!takes_all && value.find('/') != value.npos) return std::nullopt;
  return Parameters{{std::string(name), std::string(value)}};
}

bool names_a_method(const Row& row) { return row.path.find("}:") != row.path.npos; }

// POST /models/gemma:somethingElse
bool calls_unknown_method(std::string_view method, const Place& place) {
  const bool is_model = place.rest.starts_with("models/") || place.rest.starts_with("tunedModels/");
  return method == "POST" && is_model && place.rest.find(':') != place.rest.npos;
}

void settle_parameters(const Place& place, Parameters& parameters) {
  if (const auto tuned = parameters.find("tuned"); tuned != parameters.end()) {
    parameters["model"] = "tunedModels/" + tuned->second;
    parameters.erase(tuned);
  }
  if (const auto id = parameters.find("id"); id != parameters.end()) {
    // Some clients ask for a file by its whole address.
    const auto last = id->second.rfind("/files/");
    if (last != std::string::npos) id->second.erase(0, last + 7);
  }
  parameters["version"] = place.version.empty() ? "v1beta" : std::string(place.version);
}

NoRoute method_not_allowed(const Row& row, std::vector<std::string> allowed) {
  const auto has = [&](std::string_view method) {
    return std::ranges::find(allowed, method) != allowed.end();
  };
  if (has("GET") && !has("HEAD")) allowed.push_back("HEAD");
  return {.dialect = row.route.dialect, .allowed = std::move(allowed)};
}

bool takes(const Row& row, std::string_view method) {
  return row.method == method || (row.method == "GET" && method == "HEAD");
}

}  // namespace

std::string_view name(Scope scope) {
  switch (scope) {
    case Scope::Public: return "public";
    case Scope::Generate: return "generate";
    case Scope::Files: return "files";
    case Scope::Models: return "models";
    case Scope::Admin: return "admin";
  }
  return "?";
}

std::variant<RouteMatch, NoRoute> find_route(std::string_view method, std::string_view target,
                                             std::string_view prefix) {
  target = without_origin(target.substr(0, target.find('#')));
  const auto question = target.find('?');
  RouteMatch found;
  if (question != target.npos) found.query = parse_query(target.substr(question + 1));
  const std::string path =
      percent_decoded(without_prefix(target.substr(0, question), prefix), false);
  const Place place = take_apart(path);
  const bool has_session = found.query.contains("upload_id");

  const Row* known = nullptr;
  std::vector<std::string> allowed;
  for (const Row& row : kRows) {
    if (!stands_at(row, place, has_session)) continue;
    auto parameters = match(row.path, place.rest);
    if (!parameters) continue;
    if (takes(row, method)) {
      found.route = &row.route;
      found.parameters = std::move(*parameters);
      settle_parameters(place, found.parameters);
      return found;
    }
    if (!known) known = &row;
    if (std::ranges::find(allowed, row.method) == allowed.end()) allowed.emplace_back(row.method);
    // Otherwise it would pass for the name of a model.
    if (names_a_method(row)) break;
  }
  if (calls_unknown_method(method, place)) return NoRoute{.dialect = kGemini, .allowed = {}};
  if (!known) return NoRoute{.dialect = dialect_of(place), .allowed = {}};
  return method_not_allowed(*known, std::move(allowed));
}

const std::vector<RouteInfo>& all_routes() {
  static const std::vector<RouteInfo> routes = [] {
    std::vector<RouteInfo> list;
    for (const Row& row : kRows) list.push_back(row.route);
    return list;
  }();
  return routes;
}

}  // namespace fourfold
