#include "cli/model_flags.h"

#include <algorithm>
#include <filesystem>

#include "base/resources.h"
#include "base/utf8.h"
#include "cli/flags.h"
#include "cli/folders.h"
#include "cli/progress.h"

namespace fourfold {
namespace {

Flag shared(const char* names, const char* value, const char* help) {
  return {.names = names, .value = value, .help = help, .group = kSharedGroup};
}

Result<KvType> parse_kv_type(std::string_view text) {
  const auto type = kv_type_from_name(text);
  if (!type) return invalid_argument("{} (expected f32, bf16, f16 or q8_0)", printable(text));
  return *type;
}

Status take_logit_bias(const std::string& text, std::vector<LogitBias>& biases) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) {
    return invalid_argument("{} (expected ID=X)", printable(text));
  }
  constexpr std::int64_t kMostId = std::numeric_limits<TokenId>::max();
  const auto id = TRY(parse_integer(std::string_view(text).substr(0, equals), {0, kMostId}));
  const auto bias = TRY(parse_number(std::string_view(text).substr(equals + 1)));
  biases.push_back({.id = static_cast<TokenId>(id), .bias = static_cast<float>(bias)});
  return {};
}

}  // namespace

Result<KvTypes> parse_kv_types(std::string_view text) {
  const auto comma = text.find(',');
  const KvType ring = TRY(parse_kv_type(text.substr(0, comma)));
  if (comma == std::string_view::npos) return KvTypes{ring, ring};
  return KvTypes{ring, TRY(parse_kv_type(text.substr(comma + 1)))};
}

void add_engine_flags(CLI::App& command, EngineFlags& flags, bool with_model) {
  EngineOptions& options = flags.options;
  if (with_model) {
    add_argument(command, {.names = "MODEL", .help = "GGUF file, safetensors folder, or name"},
                 flags.model);
  }
  constexpr std::int64_t kMostThreads = 4096;
  constexpr std::int64_t kMostRows = 1 << 16;
  add_value_flag(command, shared("-t,--threads", "N", "threads (the CPU budget)"),
                 take_integer(options.n_threads, {1, kMostThreads}));
  add_value_flag(command, shared("-c,--context", "N", "tokens (the model's maximum, or what fits)"),
                 take_integer(options.context, {.least = 1}));
  add_value_flag(command, shared("--memory", "SIZE", "12G, 800M: stay below it (what is free)"),
                 [&options](const std::string& text) -> Status {
                   options.memory_bytes = TRY(parse_size(text));
                   return {};
                 });
  add_value_flag(command, shared("--kv", "TYPE", "f32, bf16, f16, q8_0, or RING,GLOBAL (bf16)"),
                 [&options](const std::string& text) -> Status {
                   const KvTypes types = TRY(parse_kv_types(text));
                   options.kv_ring = types.ring;
                   options.kv_global = types.global;
                   return {};
                 });
  add_value_flag(command, shared("--chunk", "N", "rows of a prefill step (own choice)"),
                 take_integer(options.chunk, {1, kMostRows}));
  add_switch(command, shared("--exact", "", "f32 activations on dequantised weights (off)"),
             options.exact);
  add_switch(command, shared("--portable", "", "same bits on every instruction set (always so)"),
             flags.portable);
  add_value_flag(
      command,
      shared("--pack", "WHEN", "auto, or off: weights stay as they lie in the file (auto)"),
      [&options](const std::string& text) -> Status {
        options.pack = text == "off" ? Pack::Off : Pack::Auto;
        if (text == "auto" || text == "off") return {};
        return invalid_argument("{} (expected auto or off)", printable(text));
      });
}

void add_mmproj_flag(CLI::App& command, EngineFlags& flags) {
  add_value_flag(
      command, shared("--mmproj", "FILE", "eyes and ears: a projector, or none (one beside MODEL)"),
      [&flags](const std::string& text) -> Status {
        std::error_code ignored;
        if (text != "none" && !std::filesystem::exists(text, ignored)) {
          return not_found("{} (expected a file, or none)", printable(text));
        }
        flags.options.mmproj = text;
        return {};
      });
  // Sources disagree between 12 and 13 (audio.md 5.2).
  add_value_flag(command,
                 shared("--audio-keys", "N", "frames of sound that a frame sees: 12 or 13 (12)"),
                 take_integer(flags.options.audio_keys, {12, 13}));
}

Result<std::unique_ptr<Engine>> open_engine(const EngineFlags& flags, Context& context) {
  const std::string path = TRY(resolve_model(flags.model));
  EngineOptions options = flags.options;
  options.force_isa = environment("FOURFOLD_FORCE_ISA");
  const Progress progress("load", context);
  auto engine = TRY(Engine::open(path, options));
  for (const auto& note : engine->notes()) context.note(note);
  return engine;
}

Result<std::string> resolve_model(const std::string& model) {
  std::error_code ignored;
  const auto exists = [&](const std::string& path) {
    return std::filesystem::exists(path, ignored);
  };
  if (exists(model)) return model;
  const bool is_name = model.find('/') == std::string::npos && !model.empty();
  const auto folders = is_name ? model_folders() : std::vector<std::string>();
  std::string searched;
  for (const auto& folder : folders) {
    for (const auto& path : {folder + "/" + model, folder + "/" + model + ".gguf"}) {
      if (exists(path)) return path;
    }
    searched += (searched.empty() ? "" : ", ") + folder;
  }
  if (searched.empty()) return not_found("{}: no such file or folder", model);
  return not_found("{}: no such file or folder, and no model of this name (in {})", model,
                   searched);
}

void add_sampling_flags(CLI::App& command, SamplingChoice& flags) {
  const auto repeatable = [](const char* names, const char* value, const char* help) {
    Flag flag = shared(names, value, help);
    flag.repeatable = true;
    return flag;
  };
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  constexpr std::int64_t kMostLogprobs = 100;
  add_value_flag(
      command,
      shared("-n,--max-tokens", "N", "of the answer (what the context leaves; raw text 128)"),
      take_integer(flags.max_tokens, {.least = 0}));
  add_value_flag(command, shared("--temp", "X", "temperature, 0 is greedy (the file's, else 1.0)"),
                 take_number(flags.temperature, {.least = 0.0}));
  add_value_flag(command,
                 shared("--top-k", "N", "likeliest tokens kept, 0 is off (the file's, else 64)"),
                 take_integer(flags.top_k, {0, kMost}));
  add_value_flag(command,
                 shared("--top-p", "X", "their share kept, 1 is off (the file's, else 0.95)"),
                 take_number(flags.top_p, {0.0, 1.0}));
  add_value_flag(command,
                 shared("--min-p", "X", "least probability, of the likeliest one's (0, off)"),
                 take_number(flags.min_p, {0.0, 1.0}));
  add_value_flag(command, shared("--repeat-penalty", "X", "divides logits of tokens seen (1, off)"),
                 take_number(flags.repeat_penalty, {.least = 0.0}));
  add_value_flag(command, shared("--repeat-last-n", "N", "tokens that penalties see, -1 all (64)"),
                 take_integer(flags.repeat_last_n, {-1, kMost}));
  add_value_flag(command, shared("--presence-penalty", "X", "taken off tokens seen (0, off)"),
                 take_number(flags.presence_penalty));
  add_value_flag(command,
                 shared("--frequency-penalty", "X", "the same, for each time seen (0, off)"),
                 take_number(flags.frequency_penalty));
  add_value_flag(
      command, repeatable("--logit-bias", "ID=X", "add X to a token's logit (none)"),
      [&flags](const std::string& text) { return take_logit_bias(text, flags.logit_bias); });
  add_value_flag(command, shared("-s,--seed", "N", "of the random numbers (a random one)"),
                 take_integer(flags.seed, {.least = 0}));
  add_value_flag(command, repeatable("--stop", "TEXT", "ends the answer where it appears (none)"),
                 [&flags](const std::string& text) -> Status {
                   flags.stop.push_back(text);
                   return {};
                 });
  add_value_flag(command, shared("--logprobs", "N", "likeliest tokens in the JSON (none)"),
                 take_integer(flags.n_logprobs, {0, kMostLogprobs}));
}

}  // namespace fourfold
