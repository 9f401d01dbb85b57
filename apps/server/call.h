// One request on its way through the server: what it asked, who asked, and how it is answered.
//
//   void list_models(Call& call) {
//     call.reply(200, models_json(call.server().models.list()));
//   }
//   void add_gemini_routes(Handlers& handlers) { handlers.add("gemini.models", list_models); }
//
// A handler that returns an Error has it written in the dialect of its route.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/error_reply.h"
#include "base/json_value.h"
#include "base/result.h"
#include "server/http/exchange.h"
#include "server/keys.h"
#include "server/router.h"
#include "server/server_state.h"

namespace fourfold {

// What the log line, the audit line and the metrics say of a request when it has ended.
struct CallRecord {
  std::string model;  // canonical id
  std::int64_t prompt_tokens = 0, cached_tokens = 0, thought_tokens = 0, completion_tokens = 0;
  int n_tool_calls = 0;
  std::string finish;  // "stop", "length", "tool_calls", "abort", "error"
  double queue_ms = 0.0, prefill_ms = 0.0, decode_ms = 0.0, first_token_ms = 0.0;
  std::vector<double> token_gaps_ms;
  int status = 0;
  std::string error;  // for the log: why it failed
};

class Call {
 public:
  // All of these outlive the call.
  Call(Exchange& exchange, const RouteMatch& match, const Key* key, ServerState& server,
       std::string request_id);

  const Request& request() const { return exchange_.request(); }
  const RouteMatch& match() const { return match_; }
  Dialect dialect() const { return match_.route->dialect; }
  // A parameter of the path: "model".
  const std::string& parameter(const std::string& name) const;
  // The first value of this name in the query; empty if there is none.
  std::string query(const std::string& name) const;
  ServerState& server() { return server_; }
  const std::string& request_id() const { return request_id_; }
  // Key name, else address: the user of http-apis.md 6.5.
  std::string user() const;
  const Key* key() const { return key_; }
  std::stop_token gone() const { return exchange_.gone(); }

  // The body as JSON, whatever its Content-Type. InvalidArgument with the byte offset. An empty
  // body is an empty object where `may_be_empty`.
  Result<JsonValue> json_body(bool may_be_empty = false) const;

  // Named in the header x-warning, once in the log (http-apis.md 1.3). Before the reply begins.
  void warn(std::string text);
  const std::vector<std::string>& warnings() const { return warnings_; }
  // What was seen of the request's media, for the header x-media-seen. Before the reply begins.
  void set_media_seen(std::string text) { media_seen_ = std::move(text); }

  void reply(int status, const JsonValue& body, HeaderList headers = {});
  void reply(int status, std::string_view type, std::string body, HeaderList headers = {});
  void fail(const Error& error);
  bool has_begun() const { return has_begun_; }

  // A stream. The common headers are added.
  void begin(std::string_view type, HeaderList headers = {});
  bool write(std::string_view bytes) { return exchange_.write(bytes); }
  void end() { exchange_.end(); }
  // For clients of which only writing tells whether they have gone (http/exchange.h).
  bool may_have_gone() const { return exchange_.may_have_gone(); }
  void may_probe_with_spaces() { exchange_.may_probe_with_spaces(); }
  void may_begin_early(std::string_view type);
  bool has_begun_early() const { return exchange_.has_begun_early(); }

  CallRecord record;

 private:
  HeaderList common_headers(HeaderList headers) const;
  HeaderList stream_headers(std::string_view type, HeaderList headers) const;

  Exchange& exchange_;
  const RouteMatch& match_;
  const Key* key_;
  ServerState& server_;
  std::string request_id_;
  std::vector<std::string> warnings_;
  std::string media_seen_;
  bool has_begun_ = false;
};

// Handlers by the name of their route.
class Handlers {
 public:
  using Handler = std::function<Status(Call& call)>;

  void add(std::string route, Handler handler) { handlers_[std::move(route)] = std::move(handler); }
  const Handler* find(std::string_view route) const;

 private:
  std::map<std::string, Handler, std::less<>> handlers_;
};

// One file each.
void add_gemini_routes(Handlers& handlers);
void add_gemini_store_routes(Handlers& handlers);  // files, cachedContents
void add_interaction_routes(Handlers& handlers);
void add_openai_routes(Handlers& handlers);
void add_responses_routes(Handlers& handlers);
void add_ollama_routes(Handlers& handlers);
void add_anthropic_routes(Handlers& handlers);
void add_operation_routes(Handlers& handlers);
void add_page_routes(Handlers& handlers);

}  // namespace fourfold
