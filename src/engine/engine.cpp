#include "engine/engine.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>

#include "chat/fit_prompt.h"
#include "chat/stop_text.h"
#include "kernels/dispatch.h"
#include "media/resize.h"
#include "runtime/kv_cache.h"
#include "runtime/soft_batch.h"
#include "tokenizer/detokenizer.h"

namespace fourfold {
namespace {

// Long enough to use each packed panel often, short enough for the buffers of a step to stay small.
constexpr int kDefaultChunk = 256;
// A context below this is of no use to anyone; rather say that the memory does not suffice.
constexpr std::int64_t kSmallestContext = 256;
// Weights below this stay in a cache, whatever their layout.
constexpr std::uint64_t kSmallestPacked = 64u << 20;
// Packing ends where less memory would be left than this.
constexpr std::uint64_t kLeftByPacking = 512u << 20;
// Soft tokens of the largest budget.
constexpr int kLargestBlock = kSoftTokenBudgets.back();

class Stopwatch {
 public:
  double ms() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

double rate(std::int64_t n, double ms) {
  return ms > 0.0 ? 1000.0 * static_cast<double>(n) / ms : 0.0;
}

// Bytes of the weights that every token may read: all but the per-layer table, whose rows are
// copied from the file one by one.
std::uint64_t resident_weight_bytes(const Checkpoint& checkpoint, const TextWeights& weights) {
  std::uint64_t total = 0;
  for (const TensorInfo& tensor : checkpoint.tensors()) total += tensor.size_bytes;
  return weights.per_layer_embedding ? total - weights.per_layer_embedding->size_bytes : total;
}

// Gives back what only loading needed: the metadata's pages (16 MB of vocabulary) and free heap.
void release_load_memory(const Checkpoint& checkpoint) {
  std::map<const MappedFile*, std::uint64_t> data_starts;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    const auto [entry, is_new] = data_starts.emplace(tensor.file.get(), tensor.offset);
    if (!is_new) entry->second = std::min(entry->second, tensor.offset);
  }
  for (const auto& [file, data_start] : data_starts) file->release_pages(0, data_start);
  malloc_trim(0);
}

// Upper estimate of the decoder's buffers for a step of n_rows rows.
std::uint64_t scratch_bytes(const TextConfig& config, int n_rows) {
  std::int64_t heads = 0, ffn = 0;
  for (const LayerConfig& layer : config.layers) {
    heads = std::max<std::int64_t>(heads, std::int64_t{config.n_heads} * layer.head_dim);
    ffn = std::max<std::int64_t>(ffn, layer.ffn_width);
  }
  const std::int64_t per_layer = std::int64_t{config.n_layers} * config.per_layer_width;
  const std::int64_t row = 10 * std::int64_t{config.width} + 3 * heads + 3 * ffn + 3 * per_layer;
  return static_cast<std::uint64_t>(n_rows * row + 2 * std::int64_t{config.vocab_size}) *
         sizeof(float);
}

SamplerRules make_sampler_rules(const ModelConfig& config, const Tokenizer& tokenizer) {
  SamplerRules rules{.suppressed_ids = config.suppress_ids};
  const auto& never = tokenizer.never_sampled();
  rules.suppressed_ids.insert(rules.suppressed_ids.end(), never.begin(), never.end());
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    if (tokenizer.is_control(id)) rules.control_ids.push_back(id);
  }
  return rules;
}

MemoryBudget memory_budget(const EngineOptions& options) {
  return options.memory_bytes > 0 ? MemoryBudget{options.memory_bytes, "asked for"}
                                  : read_memory_budget();
}

MediaEncoderOptions media_options(const EngineOptions& options, const TextConfig& config,
                                  int n_threads) {
  MediaEncoderOptions media;
  media.text_width = config.width;
  media.mmproj = options.mmproj;
  media.audio_keys = options.audio_keys;
  media.n_threads = n_threads;
  media.force_isa = options.force_isa;
  media.exact = options.exact;
  const std::uint64_t budget = memory_budget(options).size_bytes;
  media.memory_bytes = std::min(media.memory_bytes, budget / 4);
  media.cache_bytes = std::min(media.cache_bytes, budget / 8);
  return media;
}

TokenId largest(std::span<const float> logits, std::span<const TokenId> excluded) {
  TokenId best = kNoToken;
  for (TokenId id = 0; id < static_cast<TokenId>(logits.size()); ++id) {
    if (std::find(excluded.begin(), excluded.end(), id) != excluded.end()) continue;
    if (best == kNoToken ||
        logits[static_cast<std::size_t>(id)] > logits[static_cast<std::size_t>(best)]) {
      best = id;
    }
  }
  return best;
}

float negative_log_probability(std::span<const float> logits, TokenId id) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return static_cast<float>(std::log(sum) + max - logits[static_cast<std::size_t>(id)]);
}

}  // namespace

double Timings::prefill_tok_s() const { return rate(prefill_tokens, prefill_ms); }
double Timings::decode_tok_s() const { return rate(decode_tokens, decode_ms); }

std::string_view name(Finish finish) {
  switch (finish) {
    case Finish::Stop: return "stop";
    case Finish::Length: return "length";
    case Finish::Cancelled: return "cancelled";
  }
  return "?";
}

Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::open(const std::string& model_path, EngineOptions options) {
  const Stopwatch watch;
  auto engine = std::unique_ptr<Engine>(new Engine);
  engine->options_ = options;
  const Kernels* kernels = TRY(choose_kernels(options.force_isa));
  engine->checkpoint_ = std::make_shared<const Checkpoint>(TRY(Checkpoint::open(model_path)));
  engine->config_ = TRY(load_model_config(*engine->checkpoint_));
  const bool reads_copies = kernels->q4_0.pack_interleaved != nullptr;  // the scalar table does not
  const bool pack = options.pack != Pack::Off && !options.exact && reads_copies;
  engine->model_ = TRY(TextModel::load(engine->checkpoint_, engine->config_.text, pack));
  for (const auto& list :
       {engine->checkpoint_->warnings(), engine->config_.warnings, engine->model_->notes()}) {
    engine->notes_.insert(engine->notes_.end(), list.begin(), list.end());
  }
  auto tokenizer = Tokenizer::load(*engine->checkpoint_);
  if (tokenizer.ok()) {
    engine->tokenizer_ = std::move(tokenizer).value();
    const auto& warnings = engine->tokenizer_->warnings();
    engine->notes_.insert(engine->notes_.end(), warnings.begin(), warnings.end());
    engine->sampler_rules_ = make_sampler_rules(engine->config_, *engine->tokenizer_);
  } else {
    engine->tokenizer_error_ = tokenizer.error().message;
  }

  release_load_memory(*engine->checkpoint_);

  const CpuBudget cpus = read_cpu_budget();
  const int n_threads = options.n_threads > 0 ? options.n_threads : cpus.n_threads;
  engine->notes_.push_back(options.n_threads > 0 ? fmt::format("{} threads: asked for", n_threads)
                                                 : cpus.reason);
  engine->pool_ = std::make_unique<ThreadPool>(n_threads, cpus.n_threads);
  engine->ops_ = std::make_unique<Ops>(*kernels, *engine->pool_, options.exact);

  const KvType default_type = options.exact ? KvType::F32 : KvType::BF16;
  KvOptions kv;
  kv.ring = options.kv_ring.value_or(default_type);
  kv.global = options.kv_global.value_or(default_type);
  kv.fold = options.fold_kv;
  kv.chunk = options.chunk > 0 ? options.chunk : kDefaultChunk;
  engine->plan_ = std::make_shared<const KvPlan>(make_kv_plan(*engine->model_, kv));
  engine->media_ = TRY(MediaEncoder::open(engine->checkpoint_,
                                          media_options(options, engine->config_.text, n_threads)));
  const auto& media_notes = engine->media_->notes();
  engine->notes_.insert(engine->notes_.end(), media_notes.begin(), media_notes.end());
  TRY(engine->choose_context());
  engine->decoder_ =
      std::make_unique<Decoder>(engine->model_, *engine->ops_,
                                DecoderOptions{.bf16_embedding_scale = options.bf16_embedding_scale,
                                               .open_future_window = options.open_future_window});
  engine->start_packing();
  engine->load_ms_ = watch.ms();
  return engine;
}

// The copies take the place of the file's pages, so they are in the weights that the budget knows;
// but the page cache can be taken from a process, and they cannot.
void Engine::start_packing() {
  InterleavedWeights* copies = model_->interleaved();
  if (!copies) return;
  const std::uint64_t size = copies->size_bytes();
  const std::uint64_t free = read_memory_budget().size_bytes;
  if (options_.pack == Pack::Auto && (size < kSmallestPacked || size > free / 5 * 4)) return;
  copies->start([](std::uint64_t bytes) {
    return read_memory_budget().size_bytes >= bytes + kLeftByPacking;
  });
}

bool Engine::finish_packing() const {
  return model_->interleaved() && model_->interleaved()->wait();
}

// The asked context, or the model's maximum, or the largest that the memory budget holds.
Status Engine::choose_context() {
  const std::int64_t model_max = config_.text.max_context;
  const MemoryBudget budget = memory_budget(options_);
  const std::uint64_t weights =
      resident_weight_bytes(*checkpoint_, model_->weights()) + media_->weight_bytes();
  // A picture whose rows see each other runs in one step.
  const int block = plan_->whole_blocks && media_->capabilities().vision ? kLargestBlock : 0;
  const std::uint64_t scratch = scratch_bytes(config_.text, std::max(plan_->chunk, block));
  kv_budget_bytes_ = budget.size_bytes - std::min(budget.size_bytes, weights + scratch);
  const auto needed = [&](std::int64_t context) {
    return weights + scratch + static_cast<std::uint64_t>(plan_->bytes(context, block));
  };
  if (options_.context > 0) {
    if (options_.context > model_max) {
      return invalid_argument("context of {} tokens: the model holds at most {}", options_.context,
                              model_max);
    }
    if (needed(options_.context) > budget.size_bytes) {
      return resource_exhausted(
          "context of {} tokens: needs {} (weights {}, K/V {}), the memory budget is {} ({})",
          options_.context, format_size(needed(options_.context)), format_size(weights),
          format_size(static_cast<std::uint64_t>(plan_->bytes(options_.context))),
          format_size(budget.size_bytes), budget.reason);
    }
    context_ = options_.context;
    return {};
  }
  context_ = model_max;
  if (needed(model_max) <= budget.size_bytes) return {};
  const std::int64_t smallest = std::min(kSmallestContext, model_max);
  if (needed(smallest) > budget.size_bytes) {
    return resource_exhausted(
        "{}: needs {} for a context of {} tokens (weights {}), the memory "
        "budget is {} ({})",
        checkpoint_->path(), format_size(needed(smallest)), smallest, format_size(weights),
        format_size(budget.size_bytes), budget.reason);
  }
  std::int64_t fits = smallest, too_large = model_max;
  while (too_large - fits > kKeyBlock) {
    const std::int64_t middle = fits + (too_large - fits) / 2;
    (needed(middle) <= budget.size_bytes ? fits : too_large) = middle;
  }
  context_ = std::max(smallest, fits / kKeyBlock * kKeyBlock);
  notes_.push_back(fmt::format("context {} tokens instead of the model's {}: memory budget {} ({})",
                               context_, model_max, format_size(budget.size_bytes), budget.reason));
  return {};
}

Result<const Tokenizer*> Engine::tokenizer() const {
  if (!tokenizer_) return failed_precondition("no usable tokenizer: {}", tokenizer_error_);
  return &*tokenizer_;
}

int Engine::n_threads() const { return pool_->n_threads(); }
std::string_view Engine::isa() const { return ops_->kernels().name; }

std::unique_ptr<Session> Engine::new_session() {
  return std::unique_ptr<Session>(new Session(*this));
}

Status Engine::feed(std::span<const FeedInput> inputs, const FeedOptions& options,
                    const HiddenSink& sink) {
  return fourfold::feed(*decoder_, inputs, options, sink);
}

Result<LogitsReport> Engine::logits(const LogitsRequest& request) {
  const auto n_rows = static_cast<std::int32_t>(request.ids.size());
  const std::int64_t V = config_.text.vocab_size;
  if (n_rows == 0) return invalid_argument("ids: empty, expected at least one token id");
  if (n_rows + request.n_greedy > context_) {
    return resource_exhausted("{} ids and {} more: the context holds {} tokens", n_rows,
                              request.n_greedy, context_);
  }
  for (const std::int32_t position : request.positions) {
    if (position < 0 || position >= n_rows) {
      return invalid_argument("position {}: outside the {} ids", position, n_rows);
    }
  }
  const bool all = request.nll || request.tap;
  std::vector<std::int32_t> wanted = request.positions;
  if (request.n_greedy > 0 && (wanted.empty() || wanted.back() != n_rows - 1)) {
    wanted.push_back(n_rows - 1);
  }
  if (all) {
    wanted.resize(static_cast<std::size_t>(n_rows));
    for (std::int32_t r = 0; r < n_rows; ++r) wanted[static_cast<std::size_t>(r)] = r;
  }

  LogitsReport report;
  report.logits.resize(request.positions.size() * static_cast<std::size_t>(V));
  if (request.nll) report.nll.resize(static_cast<std::size_t>(n_rows - 1));
  std::vector<float> row(static_cast<std::size_t>(V));
  KvCache cache = new_cache();
  const auto take = [&](int, std::int64_t first_wanted, MatView hidden) -> Status {
    for (std::int64_t i = 0; i < hidden.n_rows; ++i) {
      const std::int32_t position = wanted[static_cast<std::size_t>(first_wanted + i)];
      decoder_->logits(hidden.rows(i, 1), {row.data(), 1, V, V});
      const auto asked =
          std::lower_bound(request.positions.begin(), request.positions.end(), position);
      if (asked != request.positions.end() && *asked == position) {
        std::memcpy(report.logits.data() + (asked - request.positions.begin()) * V, row.data(),
                    row.size() * sizeof(float));
      }
      if (request.nll && position + 1 < n_rows) {
        const TokenId next = request.ids[static_cast<std::size_t>(position + 1)];
        report.nll[static_cast<std::size_t>(position)] = negative_log_probability(row, next);
      }
    }
    return {};
  };
  const FeedInput input{.cache = &cache,
                        .ids = request.ids,
                        .wanted = wanted,
                        .embeds = request.embeds.data(),
                        .embed_rows = request.embed_rows,
                        .blocks = request.blocks};
  TRY(feed({&input, 1}, {.chunk = plan_->chunk, .tap = request.tap, .progress = {}}, take));

  const std::int32_t only_row = 0;
  for (int i = 0; i < request.n_greedy; ++i) {
    const TokenId id = largest(row, request.excluded);
    report.greedy.push_back(id);
    if (i + 1 == request.n_greedy) break;
    const FeedInput next{.cache = &cache,
                         .ids = {&id, 1},
                         .wanted = {&only_row, 1},
                         .embeds = nullptr,
                         .embed_rows = {},
                         .blocks = {}};
    TRY(feed({&next, 1}, {.chunk = 1, .tap = nullptr, .progress = {}},
             [&](int, std::int64_t, MatView hidden) -> Status {
               decoder_->logits(hidden, {row.data(), 1, V, V});
               return {};
             }));
  }
  return report;
}

Session::Session(Engine& engine)
    : engine_(engine),
      cache_(engine.plan_),
      logits_(static_cast<std::size_t>(engine.config_.text.vocab_size)) {}

// The common prefix with what the cache holds, less one, because the last prompt token's logits are
// wanted.
std::int64_t Session::reusable(std::span<const TokenId> prompt,
                               std::span<const SoftSpan> soft) const {
  if (prompt.empty()) return 0;
  const auto keys = position_keys(prompt, soft);
  const auto keep = whole_blocks(keys, n_equal(keys_, std::span(keys).first(keys.size() - 1)));
  return keep < cache_.lowest_rewind() ? 0 : keep;
}

Status Session::keep_prefix(std::int64_t n) {
  TRY(cache_.rewind(n));
  ids_.resize(static_cast<std::size_t>(n));
  keys_.resize(static_cast<std::size_t>(n));
  return {};
}

Result<GenerateResult> Session::generate(const GenerateRequest& request, const OnToken& on_token) {
  const auto n_prompt = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t V = engine_.config_.text.vocab_size;
  if (n_prompt == 0) return invalid_argument("prompt: empty, expected at least one token");
  if (n_prompt >= engine_.context_) return prompt_too_long(n_prompt, engine_.context_);
  TRY(check_options(request.sampling, static_cast<int>(V)));
  TRY(check_soft(request.soft, n_prompt));
  const Tokenizer* tokenizer = TRY(engine_.tokenizer());
  Sampler sampler(request.sampling, engine_.sampler_rules_);

  GenerateResult result;
  result.prompt_tokens = n_prompt;
  result.cached_tokens = reusable(request.prompt, request.soft);
  TRY(keep_prefix(result.cached_tokens));
  TRY(check_values(request.soft, result.cached_tokens, engine_.config_.text.width));
  const auto prompt_keys = position_keys(request.prompt, request.soft);
  const Stopwatch prefill;
  const auto rest = std::span(request.prompt).subspan(ids_.size());
  SoftBatch soft;
  const auto run = [&](std::span<const TokenId> ids, const auto& progress) -> Status {
    const auto last = static_cast<std::int32_t>(ids.size() - 1);
    const auto first = static_cast<std::int64_t>(ids_.size());
    soft.gather(request.soft, first, static_cast<std::int64_t>(ids.size()),
                engine_.plan_->whole_blocks);
    const FeedInput input{.cache = &cache_,
                          .ids = ids,
                          .wanted = {&last, 1},
                          .embeds = soft.values(),
                          .embed_rows = soft.rows(),
                          .blocks = soft.blocks()};
    const auto status =
        engine_.feed({&input, 1}, {.chunk = engine_.chunk(), .tap = nullptr, .progress = progress},
                     [&](int, std::int64_t, MatView hidden) -> Status {
                       engine_.decoder_->logits(hidden, {logits_.data(), 1, V, V});
                       return {};
                     });
    // Whatever was fed lies in the cache, also when a later step failed or was stopped.
    const auto n_fed = static_cast<std::size_t>(cache_.length()) - ids_.size();
    for (std::size_t i = 0; i < n_fed; ++i) {
      const std::size_t at = ids_.size();
      keys_.push_back(at < prompt_keys.size() ? prompt_keys[at]
                                              : static_cast<std::uint32_t>(ids[i]));
      ids_.push_back(ids[i]);
    }
    return status;
  };
  const auto status = run(rest, request.progress);
  if (!status.ok()) {
    if (status.error().code != Code::Cancelled) return status.error();
    result.finish = Finish::Cancelled;
    return result;
  }
  result.timings.prefill_ms = prefill.ms();
  result.timings.prefill_tokens = static_cast<std::int64_t>(rest.size());

  std::vector<TokenId> history = request.prompt;
  Detokenizer detokenizer(*tokenizer, {.hide_control = request.hide_control});
  StopText stop_text(request.stop_text);
  const std::int64_t room = engine_.context_ - n_prompt;
  const std::int64_t max_tokens =
      request.max_tokens < 0 ? room : std::min(request.max_tokens, room);
  const Stopwatch decode;
  result.finish = Finish::Length;
  while (static_cast<std::int64_t>(result.ids.size()) < max_tokens) {
    SampledToken token = TRY(
        sampler.sample(logits_, history, static_cast<std::int64_t>(history.size()), request.mask));
    if (result.ids.empty()) result.timings.first_token_ms = prefill.ms();
    const bool stops = std::find(request.stop_ids.begin(), request.stop_ids.end(), token.id) !=
                       request.stop_ids.end();
    if (stops) {
      result.finish = Finish::Stop;
      result.stop_id = token.id;
      break;
    }
    if (request.mask) TRY(request.mask->commit(token.id));
    history.push_back(token.id);
    result.ids.push_back(token.id);
    result.tokens.push_back(token);
    TokenEvent event{.token = std::move(token), .text = {}};
    event.text = stop_text.push(detokenizer.push(history.back()));
    result.text += event.text;
    const bool go_on = !on_token || on_token(event);
    if (stop_text.is_met() || !go_on) {
      result.finish = stop_text.is_met() ? Finish::Stop : Finish::Cancelled;
      break;
    }
    if (static_cast<std::int64_t>(result.ids.size()) == max_tokens) break;
    TRY(run(std::span(history).last(1), std::function<bool(std::int64_t, std::int64_t)>()));
    ++result.timings.decode_tokens;
  }
  if (!stop_text.is_met()) {
    TokenEvent rest_of_text;
    rest_of_text.text = stop_text.push(detokenizer.finish());
    rest_of_text.text += stop_text.finish();
    result.text += rest_of_text.text;
    if (on_token && !rest_of_text.text.empty()) on_token(rest_of_text);
  }
  result.timings.decode_ms = decode.ms();
  return result;
}

}  // namespace fourfold
