#include "cli/debug.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/mapped_file.h"
#include "cli/arrays.h"
#include "cli/debug_encode.h"
#include "cli/debug_frames.h"
#include "cli/debug_mel.h"
#include "cli/debug_pixels.h"
#include "cli/flags.h"
#include "cli/model_flags.h"

namespace fourfold {
namespace {

struct LogitsFlags {
  EngineFlags engine;
  std::string ids;       // "2,105,…"
  std::string ids_file;  // a JSON list
  std::string embeds;    // a safetensors file
  std::string positions = "last";
  std::string out;
  std::int64_t n_greedy = 0;
  bool nll = false;
  bool taps = false;
  bool suppress = false;
  bool future_open = false;
};

Result<std::vector<std::int32_t>> parse_list(std::string_view flag, const std::string& text) {
  std::vector<std::int32_t> values;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const auto value =
        TRY_IN(flag, parse_integer(text.substr(begin, end - begin),
                                   {.least = 0, .most = std::numeric_limits<std::int32_t>::max()}));
    values.push_back(static_cast<std::int32_t>(value));
    begin = end + 1;
  }
  return values;
}

Result<std::vector<std::int32_t>> read_ids_file(const std::string& path) {
  const auto text = TRY(read_text_file(path));
  const auto json = TRY_IN(path, parse_json(text));
  if (!json.is_array()) return invalid_argument("{}: expected one JSON list of ids", path);
  std::vector<std::int32_t> ids;
  for (const auto& entry : json) {
    if (!entry.is_number_integer()) {
      return invalid_argument("{}: entry {}: expected an integer", path, ids.size());
    }
    const auto id = entry.get_ptr<const nlohmann::json::number_integer_t*>();
    if (!id || *id < 0 || *id > std::numeric_limits<std::int32_t>::max()) {
      return invalid_argument("{}: entry {}: not a token id", path, ids.size());
    }
    ids.push_back(static_cast<std::int32_t>(*id));
  }
  return ids;
}

// Ids, blocks and given rows of --embeds: either every row, or rows at positions.
Status read_embeds(const std::string& path, std::int64_t width, LogitsRequest& request) {
  const auto arrays = TRY(Arrays::open(path));
  request.ids = TRY(arrays.ints("ids"));
  const auto n_rows = request.ids.size();
  if (arrays.has("blocks")) {
    request.blocks = TRY(arrays.ints("blocks"));
    if (request.blocks.size() != n_rows) {
      return invalid_argument("{}: blocks has {} entries, ids has {}", path, request.blocks.size(),
                              n_rows);
    }
  }
  if (arrays.has("embeds")) {
    request.embeds = TRY(arrays.floats("embeds"));
    for (std::size_t r = 0; r < n_rows; ++r) {
      request.embed_rows.push_back(static_cast<std::int32_t>(r));
    }
  } else {
    request.embeds = TRY(arrays.floats("rows"));
    request.embed_rows = TRY(arrays.ints("positions"));
  }
  if (request.embeds.size() != request.embed_rows.size() * static_cast<std::size_t>(width)) {
    return invalid_argument("{}: {} values for {} rows, the model's width is {}", path,
                            request.embeds.size(), request.embed_rows.size(), width);
  }
  for (std::size_t i = 0; i < request.embed_rows.size(); ++i) {
    const std::int32_t row = request.embed_rows[i];
    const bool ascending = i == 0 || row > request.embed_rows[i - 1];
    if (row < 0 || static_cast<std::size_t>(row) >= n_rows || !ascending) {
      return invalid_argument("{}: positions[{}] is {}, expected ascending rows below {}", path, i,
                              row, n_rows);
    }
  }
  return {};
}

Result<std::vector<std::int32_t>> wanted_positions(const std::string& text, std::size_t n_rows) {
  std::vector<std::int32_t> positions;
  if (text == "last") {
    positions.push_back(static_cast<std::int32_t>(n_rows) - 1);
  } else if (text == "all") {
    for (std::size_t r = 0; r < n_rows; ++r) positions.push_back(static_cast<std::int32_t>(r));
  } else {
    positions = TRY(parse_list("--positions", text));
  }
  return positions;
}

Result<int> debug_logits(LogitsFlags flags, Context& context) {
  const int n_sources = !flags.ids.empty() + !flags.ids_file.empty() + !flags.embeds.empty();
  if (n_sources != 1) {
    return context.usage_error("expected exactly one of --ids, --ids-file and --embeds");
  }
  if (flags.out.empty()) return context.usage_error("--out: missing, expected a file to write");
  LogitsRequest request;
  request.nll = flags.nll;
  request.n_greedy = static_cast<int>(flags.n_greedy);
  if (!flags.ids.empty()) request.ids = TRY(parse_list("--ids", flags.ids));
  if (!flags.ids_file.empty()) request.ids = TRY(read_ids_file(flags.ids_file));

  flags.engine.options.open_future_window = flags.future_open;
  const auto engine = TRY(open_engine(flags.engine, context));
  const TextConfig& text = engine->config().text;
  if (!flags.embeds.empty()) {
    TRY(read_embeds(flags.embeds, text.width, request));
    request.excluded = {text.image_token_id, text.audio_token_id, text.video_token_id};
  }
  if (flags.suppress) {
    const auto& ids = engine->config().suppress_ids;
    request.excluded.insert(request.excluded.end(), ids.begin(), ids.end());
  }
  request.positions = TRY(wanted_positions(flags.positions, request.ids.size()));

  ArrayWriter arrays;
  const Tap tap = [&](std::string_view what, int layer, const MatView& value) {
    arrays.add_tap(what, layer, value);
  };
  if (flags.taps) request.tap = &tap;
  auto report = TRY(engine->logits(request));
  const auto n_positions = static_cast<std::int64_t>(request.positions.size());
  arrays.add("logits", {n_positions, text.vocab_size}, std::move(report.logits));
  arrays.add("positions", {n_positions}, std::move(request.positions));
  if (flags.n_greedy > 0) arrays.add("greedy", {flags.n_greedy}, std::move(report.greedy));
  if (flags.nll) {
    const auto n = static_cast<std::int64_t>(report.nll.size());
    arrays.add("nll", {n}, std::move(report.nll));
  }
  TRY(arrays.write(flags.out));
  return kExitDone;
}

}  // namespace

void register_debug(CLI::App& program, Context& context) {
  CLI::App& group =
      context.add_command(program, {.name = "debug",
                                    .summary = "inner values, for comparison with references",
                                    .example = "fourfold debug logits --help",
                                    .action = {}});
  auto flags = std::make_shared<LogitsFlags>();
  CLI::App& command = context.add_command(
      group,
      {.name = "logits",
       .summary = "writes logits, greedy ids and inner values of given ids",
       .example = "fourfold debug logits gemma.gguf --ids 2,9259 --exact --out l.safetensors",
       .action = [&context, flags] { return debug_logits(*flags, context); }});
  add_engine_flags(command, flags->engine);
  add_value_flag(command,
                 {.names = "--ids", .value = "2,105,…", .help = "token ids; no BOS is added"},
                 take_text(flags->ids));
  add_value_flag(command,
                 {.names = "--ids-file", .value = "F.json", .help = "one JSON list of token ids"},
                 take_text(flags->ids_file));
  add_value_flag(
      command,
      {.names = "--embeds", .value = "F.safetensors", .help = "ids and ready rows of layer 0"},
      take_text(flags->embeds));
  add_value_flag(command,
                 {.names = "--positions",
                  .value = "all|last|0,17,…",
                  .help = "rows whose logits are written (last)"},
                 take_text(flags->positions));
  add_value_flag(
      command,
      {.names = "--out", .value = "OUT.safetensors", .help = "where the arrays go (required)"},
      take_text(flags->out));
  add_value_flag(command, {.names = "--greedy", .value = "N", .help = "further ids by argmax (0)"},
                 take_integer(flags->n_greedy, {.least = 0, .most = 1 << 20}));
  add_switch(command, {.names = "--nll", .help = "nats of each next token (off)"}, flags->nll);
  add_switch(command, {.names = "--taps", .help = "inner values of all layers (off)"}, flags->taps);
  add_switch(command, {.names = "--suppress", .help = "--greedy avoids suppressed ids (off)"},
             flags->suppress);
  add_switch(command,
             {.names = "--window-future-open", .help = "pictures see beyond the window (off)"},
             flags->future_open);
  register_debug_encode(group, context);
  register_debug_frames(group, context);
  register_debug_mel(group, context);
  register_debug_pixels(group, context);
}

}  // namespace fourfold
