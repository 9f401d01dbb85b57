// What a model file is, told from its headers: no weight is read but norms and scales.
//
//   const Inspection report = TRY(inspect("gemma-4-E2B-it.gguf", {}));
//   if (!report.complete()) …  // report.weights names what is missing or of the wrong shape
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chat/template_revision.h"
#include "formats/checkpoint.h"
#include "formats/model_config.h"
#include "model/text/weights.h"
#include "runtime/kv_plan.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

struct InspectOptions {
  KvOptions kv;             // what the K/V figures are for
  bool check_data = false;  // reads every tensor: are all scales and values finite?
};

enum class FileKind { Model, Tokenizer, Projector, Adapter, Drafter };
std::string_view name(FileKind kind);  // "model", "tokenizer", …

// Tensors of one type in the whole file.
struct TypeCensus {
  DType type = DType::F32;
  std::int64_t n_tensors = 0;
  std::int64_t n_elements = 0;
  std::uint64_t size_bytes = 0;
};

// Parameters of a text body by its shapes (text-model.md 1.5).
struct BodyParameters {
  std::int64_t used = 0;             // dead K/V of shared layers not counted
  std::int64_t embedding = 0;        // also the head
  std::int64_t per_layer_table = 0;  // of which a token reads one row
  std::int64_t idle_experts = 0;     // those that a token does not use

  std::int64_t active() const { return used - per_layer_table - idle_experts; }
  std::int64_t effective() const { return active() - embedding; }
};
BodyParameters body_parameters(const TextConfig& config);

struct ParameterCounts {
  std::int64_t total = 0;      // what the file holds; of a model: of its text body
  std::int64_t active = 0;     // read per token, without the per-layer table
  std::int64_t effective = 0;  // … and without the token embedding
};

// Memory of one sequence, for the chosen types.
struct KvFigures {
  struct At {
    std::int64_t context = 0;
    std::int64_t size_bytes = 0;
  };
  std::int64_t bytes_per_token = 0;  // once the rings are full
  std::int64_t ring_bytes = 0;       // of the full rings
  std::vector<At> at;                // 8192 and 32768 as far as the body reaches, and its maximum
};
KvFigures kv_figures(const KvPlan& plan, std::int64_t max_context);

// As TextModel::foldable_pairs for every layer, from the configuration alone.
std::vector<int> foldable_pairs(const TextConfig& config);

struct TokenizerFacts {
  std::string model;  // as the file names it: "gemma4", "llama", "BPE"
  int n_pieces = 0;
  int n_merges = 0;
  TokenId bos = kNoToken;
  TokenId eos = kNoToken;
  std::vector<TokenId> stop;
};

struct Modality {
  bool available = false;
  std::vector<std::string> missing;
};

struct Inspection {
  FileKind kind = FileKind::Model;
  std::vector<Checkpoint::File> files;
  std::string format;        // "gguf", "safetensors", "tokenizer.json"
  std::string architecture;  // as the file names it
  std::string body;          // "e2b", …, empty = no known one
  std::vector<TensorInfo> tensors;
  std::vector<TypeCensus> types;  // largest first
  std::optional<TokenizerFacts> tokenizer;
  std::optional<TemplateFacts> chat_template;
  std::vector<std::string> warnings;
  std::vector<std::string> bad_data;  // of `check_data`: one line for each tensor concerned

  // Of models alone; `weights` is empty for everything else.
  std::optional<ModelConfig> config;
  std::optional<ParameterCounts> parameters;  // of files with tensors; only `total` outside models
  std::optional<KvFigures> kv;
  Modality image, audio, video;
  WeightReport weights;

  bool complete() const { return weights.complete() && bad_data.empty(); }
};

// A GGUF file or split set, a safetensors folder, an adapter folder or a tokenizer.json. Errors:
// what is no file of ours or cannot be read. A model that lacks tensors is a result.
Result<Inspection> inspect(const std::string& path, const InspectOptions& options);

}  // namespace fourfold
