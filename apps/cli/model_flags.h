// The flags that all commands running a model share (threads, memory, KV cache, sampling), their
// environment forms and settings, and the engine that they describe.
//
//   add_engine_flags(command, flags->engine);
//   …
//   const auto engine = TRY(open_engine(flags->engine, context));
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "engine/engine.h"
#include "engine/sampling_choice.h"

namespace fourfold {

struct EngineFlags {
  std::string model;  // as given: a path, or a name in the model folders
  EngineOptions options;
  bool portable = false;  // asked for; all kernels give the same bits on every CPU anyway
};

// MODEL, -t, -c, --memory, --kv, --chunk, --exact, --portable, --pack. `with_model` false: the
// command names its model itself.
void add_engine_flags(CLI::App& command, EngineFlags& flags, bool with_model = true);

// --mmproj, of commands that look and listen.
void add_mmproj_flag(CLI::App& command, EngineFlags& flags);

// Opens it with a progress bar on standard error; prints the engine's notes there.
Result<std::unique_ptr<Engine>> open_engine(const EngineFlags& flags, Context& context);

// "bf16", the type of rings and global layers alike, or "RING,GLOBAL".
struct KvTypes {
  KvType ring = KvType::BF16;
  KvType global = KvType::BF16;
};
Result<KvTypes> parse_kv_types(std::string_view text);

// The file or folder that MODEL stands for: itself, else a name in the model folders.
Result<std::string> resolve_model(const std::string& model);

// -n, --temp, --top-k, --top-p, --min-p, penalties, --logit-bias, -s, --stop, --logprobs.
void add_sampling_flags(CLI::App& command, SamplingChoice& flags);

}  // namespace fourfold
