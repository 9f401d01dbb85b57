// Opens a model and turns token ids into logits, tokens and text. Start here.
//
//   auto engine = TRY(Engine::open("gemma.gguf", {}));
//   auto session = engine->new_session();
//   const auto result = TRY(session->generate({.prompt = ids, .max_tokens = 64}, print_token));
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/resources.h"
#include "base/result.h"
#include "engine/media_encoder.h"
#include "formats/model_config.h"
#include "kernels/kv_view.h"
#include "model/text/decoder.h"
#include "runtime/kv_plan.h"
#include "runtime/position_key.h"
#include "runtime/runner.h"
#include "runtime/sampler.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

// Copies of the weights in the layout that the kernels read fastest, made in the background.
enum class Pack {
  Off,
  Auto,    // where they are larger than caches and leave the machine enough memory
  Always,  // however small: for tests
};

struct EngineOptions {
  int n_threads = 0;               // 0: the CPU budget
  std::int64_t context = 0;        // tokens; 0: the model's maximum, or the largest that fits
  std::uint64_t memory_bytes = 0;  // 0: the memory budget
  Pack pack = Pack::Auto;
  std::optional<KvType> kv_ring;  // default bf16; f32 with `exact`
  std::optional<KvType> kv_global;
  bool fold_kv = true;  // the folded K=V form where the body has it
  int chunk = 0;        // rows of a prefill step; 0: the engine's choice
  bool exact = false;   // f32 activations on dequantised weights
  bool bf16_embedding_scale = false;
  bool open_future_window = false;
  std::string force_isa;  // FOURFOLD_FORCE_ISA
  // Projector file of pictures and sound; "": look beside the model, "none": text only.
  std::string mmproj;
  int audio_keys = 0;  // MediaEncoderOptions
};

struct Timings {
  double load_ms = 0.0;
  double first_token_ms = 0.0;
  double prefill_ms = 0.0;
  double decode_ms = 0.0;
  std::int64_t prefill_tokens = 0;
  std::int64_t decode_tokens = 0;

  double prefill_tok_s() const;
  double decode_tok_s() const;
};

struct GenerateRequest {
  std::vector<TokenId> prompt;  // whole conversation; what the session holds already is not rerun
  std::vector<SoftSpan> soft;   // of the prompt, ascending; rows with their values
  SampleOptions sampling;
  std::int64_t max_tokens = -1;        // −1: as many as the context holds
  std::vector<TokenId> stop_ids;       // end the answer; not part of the text
  std::vector<std::string> stop_text;  // end the answer where one begins; not part of the text
  bool hide_control = true;            // control pieces add nothing to the text
  TokenMask* mask = nullptr;           // what may come next; told of every token
  // Rows done and in all of the prefill; false stops.
  std::function<bool(std::int64_t done, std::int64_t total)> progress;
};

// A token that was generated, and the text that is certain now.
struct TokenEvent {
  SampledToken token;
  std::string text;  // may be empty: an unfinished character, or the beginning of a stop text
};

enum class Finish { Stop, Length, Cancelled };
std::string_view name(Finish finish);  // "stop", "length", "cancelled"

struct GenerateResult {
  std::vector<TokenId> ids;          // generated, stop token excluded
  std::vector<SampledToken> tokens;  // the same with log-probabilities
  std::string text;
  Finish finish = Finish::Stop;
  TokenId stop_id = kNoToken;  // the stop token that ended it, if one did
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  // of the prompt, taken from the session
  Timings timings;
};

class Engine;

// One sequence: its cache and the ids that it holds. Used by one thread at a time.
class Session {
 public:
  // Called for every token; false stops the answer (what was said stays in the session).
  using OnToken = std::function<bool(const TokenEvent& event)>;

  // ResourceExhausted with both numbers when the prompt does not fit the context. The prefix that
  // the session holds already is reused, token by token equal.
  Result<GenerateResult> generate(const GenerateRequest& request, const OnToken& on_token);

  const std::vector<TokenId>& ids() const { return ids_; }
  // Leading positions of a prompt that need not run: media before that point need no encoding.
  std::int64_t reusable(std::span<const TokenId> prompt, std::span<const SoftSpan> soft) const;

 private:
  friend class Engine;
  explicit Session(Engine& engine);
  Status keep_prefix(std::int64_t n);

  Engine& engine_;
  KvCache cache_;
  std::vector<TokenId> ids_;
  std::vector<PositionKey> keys_;  // of ids_
  std::vector<float> logits_;      // [V]
};

// Logits and inner values for comparison with references (`fourfold debug logits`).
struct LogitsRequest {
  std::vector<TokenId> ids;
  std::vector<float> embeds;             // [embed_rows.size(), D] layer 0 input of these rows
  std::vector<std::int32_t> embed_rows;  // ascending
  std::vector<std::int32_t> blocks;      // [T] visual block ids, or empty
  std::vector<std::int32_t> positions;   // rows whose logits are wanted, ascending
  bool nll = false;                      // of each next token
  int n_greedy = 0;                      // further ids by argmax
  std::vector<TokenId> excluded;         // never chosen by `n_greedy`
  const Tap* tap = nullptr;              // all rows count as wanted
};

struct LogitsReport {
  std::vector<float> logits;  // [positions, V] after the soft cap, before suppression
  std::vector<TokenId> greedy;
  std::vector<float> nll;  // [T − 1] nats
};

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const std::string& model_path, EngineOptions options);
  ~Engine();

  const ModelConfig& config() const { return config_; }
  // FailedPrecondition when the checkpoint brings no usable tokenizer (`debug` works without).
  Result<const Tokenizer*> tokenizer() const;
  const Checkpoint& checkpoint() const { return *checkpoint_; }
  const KvPlan& kv_plan() const { return *plan_; }
  std::int64_t context() const { return context_; }
  // What the memory budget leaves for K/V beside weights and buffers.
  std::uint64_t kv_budget_bytes() const { return kv_budget_bytes_; }
  const std::shared_ptr<const KvPlan>& shared_kv_plan() const { return plan_; }
  // Its eyes and ears; what it has not is said by the capabilities.
  MediaEncoder& media() const { return *media_; }
  const SamplerRules& sampler_rules() const { return sampler_rules_; }
  int n_threads() const;
  std::string_view isa() const;
  const EngineOptions& options() const { return options_; }
  // What a user should know: threads and why, a context smaller than the model's and why, …
  const std::vector<std::string>& notes() const { return notes_; }
  double load_ms() const { return load_ms_; }
  // Waits until the weights are packed, or as many as there will be; true when all are.
  bool finish_packing() const;

  std::unique_ptr<Session> new_session();
  Result<LogitsReport> logits(const LogitsRequest& request);

  // For eval and tests: rows of caches of one's own.
  KvCache new_cache() const { return KvCache(plan_); }
  Decoder& decoder() { return *decoder_; }
  Ops& ops() { return *ops_; }
  int chunk() const { return plan_->chunk; }
  Status feed(std::span<const FeedInput> inputs, const FeedOptions& options,
              const HiddenSink& sink);

 private:
  friend class Session;
  Engine() = default;
  Status choose_context();
  void start_packing();

  EngineOptions options_;
  ModelConfig config_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::shared_ptr<const TextModel> model_;
  std::shared_ptr<const KvPlan> plan_;
  std::optional<Tokenizer> tokenizer_;
  std::string tokenizer_error_;
  SamplerRules sampler_rules_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Ops> ops_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<MediaEncoder> media_;
  std::int64_t context_ = 0;
  std::uint64_t kv_budget_bytes_ = 0;
  std::vector<std::string> notes_;
  double load_ms_ = 0.0;
};

}  // namespace fourfold
