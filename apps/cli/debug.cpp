#include "cli/debug.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/mapped_file.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "formats/safetensors.h"

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

// Arrays of a safetensors file by name.
class Arrays {
 public:
  static Result<Arrays> open(const std::string& path) {
    Arrays arrays;
    arrays.path_ = path;
    const auto file = TRY(MappedFile::open(path));
    for (auto& tensor : TRY(read_safetensors(file))) {
      const std::string name = tensor.name;
      arrays.tensors_.emplace(name, std::move(tensor));
    }
    return arrays;
  }

  bool has(const std::string& name) const { return tensors_.count(name) != 0; }

  template <class T>
  Result<std::vector<T>> read(const std::string& name, DType dtype) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return not_found("{}: no array {}", path_, name);
    if (found->second.dtype != dtype) {
      return invalid_argument("{}: {} is {}, expected {}", path_, name,
                              fourfold::name(found->second.dtype), fourfold::name(dtype));
    }
    std::vector<T> values(static_cast<std::size_t>(found->second.n_elements()));
    std::memcpy(values.data(), found->second.bytes().data(), found->second.size_bytes);
    return values;
  }

 private:
  std::string path_;
  std::map<std::string, TensorInfo> tensors_;
};

// Ids, blocks and given rows of --embeds: either every row, or rows at positions.
Status read_embeds(const std::string& path, std::int64_t width, LogitsRequest& request) {
  const auto arrays = TRY(Arrays::open(path));
  request.ids = TRY(arrays.read<std::int32_t>("ids", DType::I32));
  const auto n_rows = request.ids.size();
  if (arrays.has("blocks")) {
    request.blocks = TRY(arrays.read<std::int32_t>("blocks", DType::I32));
    if (request.blocks.size() != n_rows) {
      return invalid_argument("{}: blocks has {} entries, ids has {}", path, request.blocks.size(),
                              n_rows);
    }
  }
  if (arrays.has("embeds")) {
    request.embeds = TRY(arrays.read<float>("embeds", DType::F32));
    for (std::size_t r = 0; r < n_rows; ++r) {
      request.embed_rows.push_back(static_cast<std::int32_t>(r));
    }
  } else {
    request.embeds = TRY(arrays.read<float>("rows", DType::F32));
    request.embed_rows = TRY(arrays.read<std::int32_t>("positions", DType::I32));
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

// What goes to OUT; the tensors are views of the values kept here.
class Collector {
 public:
  void add(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> values) {
    floats_.push_back(std::move(values));
    add_view(name, DType::F32, std::move(shape), floats_.back());
  }
  void add(const std::string& name, std::vector<std::int64_t> shape,
           std::vector<std::int32_t> values) {
    ints_.push_back(std::move(values));
    add_view(name, DType::I32, std::move(shape), ints_.back());
  }

  // "layer", 3 → tap.layer3; "router.weights", 0 → tap.router0.weights.
  void add_tap(std::string_view what, int layer, const MatView& value) {
    std::string name = fmt::format("tap.{}", what);
    if (layer >= 0) {
      const auto dot = what.find('.');
      name = fmt::format("tap.{}{}{}", what.substr(0, dot), layer,
                         dot == std::string_view::npos ? "" : what.substr(dot));
    }
    auto& rows = taps_[name];
    for (std::int64_t r = 0; r < value.n_rows; ++r) {
      rows.insert(rows.end(), value.row(r), value.row(r) + value.n_cols);
    }
    tap_widths_[name] = value.n_cols;
  }

  Status write(const std::string& path) {
    for (auto& [name, values] : taps_) {  // chunks follow each other
      const std::int64_t width = tap_widths_[name];
      const auto n_rows = static_cast<std::int64_t>(values.size()) / width;
      if (name.ends_with(".experts")) {
        add(name, {n_rows, width}, std::vector<std::int32_t>(values.begin(), values.end()));
      } else {
        add(name, {n_rows, width}, std::move(values));
      }
    }
    return write_safetensors(path, tensors_);
  }

 private:
  template <class T>
  void add_view(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                const std::vector<T>& values) {
    tensors_.push_back({.name = name,
                        .dtype = dtype,
                        .shape = std::move(shape),
                        .bytes = std::as_bytes(std::span(values))});
  }

  std::list<std::vector<float>> floats_;
  std::list<std::vector<std::int32_t>> ints_;
  std::map<std::string, std::vector<float>> taps_;
  std::map<std::string, std::int64_t> tap_widths_;
  std::vector<TensorToWrite> tensors_;
};

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

  Collector collector;
  const Tap tap = [&](std::string_view what, int layer, const MatView& value) {
    collector.add_tap(what, layer, value);
  };
  if (flags.taps) request.tap = &tap;
  auto report = TRY(engine->logits(request));
  const auto n_positions = static_cast<std::int64_t>(request.positions.size());
  collector.add("logits", {n_positions, text.vocab_size}, std::move(report.logits));
  collector.add("positions", {n_positions}, std::move(request.positions));
  if (flags.n_greedy > 0) collector.add("greedy", {flags.n_greedy}, std::move(report.greedy));
  if (flags.nll) {
    const auto n = static_cast<std::int64_t>(report.nll.size());
    collector.add("nll", {n}, std::move(report.nll));
  }
  TRY(collector.write(flags.out));
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
  const auto text_flag = [&](const char* names, const char* value, const char* help,
                             std::string& target) {
    add_value_flag(command, {.names = names, .value = value, .help = help},
                   [&target](const std::string& text) -> Status {
                     target = text;
                     return {};
                   });
  };
  text_flag("--ids", "2,105,…", "token ids; no BOS is added", flags->ids);
  text_flag("--ids-file", "F.json", "one JSON list of token ids", flags->ids_file);
  text_flag("--embeds", "F.safetensors", "ids and ready rows of layer 0", flags->embeds);
  text_flag("--positions", "all|last|0,17,…", "rows whose logits are written (last)",
            flags->positions);
  text_flag("--out", "OUT.safetensors", "where the arrays go (required)", flags->out);
  add_value_flag(command, {.names = "--greedy", .value = "N", .help = "further ids by argmax (0)"},
                 take_integer(flags->n_greedy, {.least = 0, .most = 1 << 20}));
  add_switch(command, {.names = "--nll", .help = "nats of each next token (off)"}, flags->nll);
  add_switch(command, {.names = "--taps", .help = "inner values of all layers (off)"}, flags->taps);
  add_switch(command, {.names = "--suppress", .help = "--greedy avoids suppressed ids (off)"},
             flags->suppress);
  add_switch(command,
             {.names = "--window-future-open", .help = "pictures see beyond the window (off)"},
             flags->future_open);
}

}  // namespace fourfold
