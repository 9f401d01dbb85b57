// What all requests share. Everything in it may be used by many threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/error_reply.h"
#include "api/sealed_text.h"
#include "base/result.h"
#include "server/models.h"

namespace fourfold {

class Caches;           // gemini_caches.h
class Files;            // files.h
class HttpServer;       // http/http_server.h
class Keys;             // keys.h
class Metrics;          // metrics.h
class Redactor;         // redaction.h
class ServerLog;        // server_log.h
class StoredResponses;  // stored_responses.h
class Traces;           // traces.h

enum class MetricsAlias { LlamaCpp, Vllm };

struct ServerSettings {
  std::string host = "127.0.0.1";
  int port = 8080;
  std::string path_prefix;
  std::uint64_t most_body_bytes = 256ull << 20;
  std::uint64_t most_upload_bytes = 2ull << 30;
  std::uint64_t most_stored_bytes = 20ull << 30;  // of all files
  std::vector<std::string> origins;               // empty: the default list
  std::vector<std::string> hosts;                 // further names that Host may be
  std::vector<std::string> fetch_allowlist;       // "host:port"; empty: no URL is fetched
  std::vector<MetricsAlias> metrics_aliases;
  std::map<Dialect, bool> think_default;  // unset: http-apis.md 1.7
  std::vector<std::string> billing_prefixes = {"x-anthropic-billing-header:"};
  bool ignore_server_tools = false;                   // Gemini's googleSearch … instead of 400
  bool refuse_broken_calls = false;                   // in a history
  std::string reasoning_field = "reasoning_content";  // or "reasoning", "both", "none"
  std::string ollama_version = "0.12.6";              // the level that /api/version reports
  int most_stored_responses = 1000;
  int max_parallel = 64;    // sequences of a model at once
  int max_queue = 64;       // requests that wait
  std::string data_folder;  // empty: nothing is stored on disk
  bool show_paths = false;  // in /props
  int silence_s = 0;        // after which streams say that they live; 0: as their dialect has it
  bool traces = false;      // of every answer, not only where a request asks for one
};

struct ServerState {
  ServerSettings settings;
  Models& models;
  Keys& keys;
  Files& files;
  Caches& caches;
  StoredResponses& responses;
  Metrics& metrics;
  ServerLog& log;
  Redactor& redactor;
  const Sealer& sealer;
  HttpServer& http;
  Traces* traces = nullptr;  // null: none are kept
};

}  // namespace fourfold
