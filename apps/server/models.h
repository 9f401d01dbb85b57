// The models that the server offers: known by name, loaded on demand within the memory budget,
// unloaded when idle (http-apis.md 6.5).
//
//   auto lease = TRY(models.acquire("gemma4:e4b", {.gone = call.gone()}));
//   lease.service().prepare(…);            // it stays loaded while the lease lives
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/chat_service.h"

namespace fourfold {

// What is true of a model whether it is loaded or not (from the file's header).
struct ModelFacts {
  std::string id;  // canonical: "gemma-4-e4b-it"; unique on this server
  std::vector<std::string>
      names;                 // all it answers to besides, "gemma4:e4b", "google/gemma-4-E4B-it"
  std::string listed_name;   // Ollama's: "gemma4:e4b"
  std::string display_name;  // "Gemma 4 E4B"
  std::string path;
  std::int64_t modified_s = 0;  // Unix time
  std::uint64_t size_bytes = 0;
  std::uint64_t least_bytes = 0;     // of memory: weights and 4k of context
  std::string digest;                // 64 hex digits that stand for the file's content
  std::string architecture, family;  // "gemma4"
  std::string parameter_size;        // "8.0B"
  std::uint64_t n_parameters = 0;
  std::string quantization;      // "Q4_K_M"
  std::int64_t context = 0;      // usable: configured, never above max_context
  std::int64_t max_context = 0;  // trained
  std::int64_t width = 0, n_layers = 0;
  ChatCapabilities capabilities;
  std::string system;             // of a model made by /api/create
  SamplingChoice parameters;      // likewise, under the request's own
  std::vector<Message> messages;  // likewise
};

class ModelLease {
 public:
  ModelLease(ModelLease&&) noexcept;
  ModelLease& operator=(ModelLease&&) noexcept;
  ~ModelLease();  // the last one starts the idle clock

  ChatService& service() const;
  const ModelFacts& facts() const;
  double load_ms() const;  // 0 if it was loaded already

  struct Impl;
  explicit ModelLease(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

// How long a model stays loaded after its last request; negative: for ever.
using KeepAlive = std::chrono::milliseconds;

struct AcquireOptions {
  std::optional<KeepAlive> keep_alive;  // absent: the server's default
  std::stop_token gone;                 // stops waiting for the load
};

struct LoadedModel {
  ModelFacts facts;
  std::optional<std::int64_t> expires_s;  // Unix time; absent: never
  std::uint64_t resident_bytes = 0;
  SchedulerStats stats;
};

struct ModelsOptions {
  struct Named {
    std::string name;  // empty: after the file
    std::string path;
  };
  std::vector<Named> models;         // of the command line; the first is the default
  std::vector<std::string> folders;  // every model in them
  std::vector<std::pair<std::string, std::string>> aliases;
  ChatServiceOptions service;
  SamplingChoice parameters;  // under those of requests and made models
  KeepAlive keep_alive{300'000};
  bool only_model_answers_to_all = false;  // unknown names mean the only model
  std::string made_models_file;            // where /api/create and /api/copy are remembered
  // Takes the place of ChatService::open, for tests.
  std::function<Result<std::unique_ptr<ChatService>>(const ModelFacts&, const ChatServiceOptions&)>
      open;
};

class Models {
 public:
  // Reads the headers of all files. What cannot be read is an error if the command line names it,
  // else it is left out with a note.
  static Result<std::unique_ptr<Models>> find_all(ModelsOptions options,
                                                  std::vector<std::string>& notes);
  ~Models();

  std::vector<ModelFacts> list() const;
  // By any of its names, in any letter case, with or without "models/" and ":latest".
  std::optional<ModelFacts> find(std::string_view name) const;

  // Loads it if need be. NotFound "model_not_found"; Unavailable "model_loading" or
  // "no_memory" with both figures; the error of loading as "model_load_failed".
  Result<ModelLease> acquire(std::string_view name, const AcquireOptions& options);
  // Unloads it as soon as it is idle.
  Status unload(std::string_view name);
  std::vector<LoadedModel> loaded() const;
  // The models of the command line are loaded, or failed to.
  bool is_ready() const;
  // Loads the models of the command line, one after the other; meanwhile acquire() refuses them.
  // The first error.
  Status load_first();

  // Ollama's /api/create, /api/copy, /api/delete: names with settings of their own over a file.
  // `from` is a name, or the absolute path of a file.
  Status make(std::string_view name, std::string_view from, const ModelFacts& settings);
  Status copy(std::string_view from, std::string_view to);
  Status remove(std::string_view name);

  struct Impl;

 private:
  explicit Models(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fourfold
