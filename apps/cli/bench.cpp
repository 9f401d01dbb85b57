#include "cli/bench.h"

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "cli/flags.h"
#include "cli/folders.h"
#include "cli/model_flags.h"
#include "cli/progress.h"
#include "engine/bench.h"
#include "engine/synthetic_body.h"

namespace fourfold {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kMachine = "machine";  // in place of MODEL
constexpr const char* kDefaultQuant = "q4_0";

struct BenchFlags {
  EngineFlags engine;
  std::string body;   // empty: MODEL
  std::string quant;  // empty: the default
  BenchOptions options;
};

// --- JSON ---

ordered_json limits_json(const MachineLimits& limits) {
  return {{"read_gb_s", limits.read_gb_s},
          {"int8_gmac_s", limits.int8_gmac_s},
          {"bf16_gmac_s", limits.bf16_gmac_s},
          {"f32_gmac_s", limits.f32_gmac_s}};
}

ordered_json machine_json(const MachineReport& machine) {
  ordered_json json = limits_json(machine.all());
  json["per_thread"] = ordered_json::array();
  for (const MachineLimits& limits : machine.per_thread) {
    ordered_json entry = {{"threads", limits.n_threads}};
    entry.update(limits_json(limits));
    json["per_thread"].push_back(entry);
  }
  return json;
}

ordered_json row_json(const BenchRow& row) {
  ordered_json json = {{"kind", name(row.kind)},   {"n", row.n},
                       {"depth", row.depth},       {"batch", row.batch},
                       {"threads", row.threads},   {"all_positions", row.all_positions},
                       {"tok_s", row.tok_s},       {"median", row.median},
                       {"min", row.min},           {"max", row.max},
                       {"gb_s", row.gb_s},         {"gmac_s", row.gmac_s},
                       {"of_limit", row.of_limit}, {"cpu_over_wall", row.cpu_over_wall}};
  if (row.noisy()) json["noisy"] = true;
  if (!row.explanation.empty()) json["explanation"] = row.explanation;
  return json;
}

// `row` is its index in "rows".
ordered_json op_json(std::size_t row, const BenchOp& op) {
  const auto or_null = [](const std::string& text) {
    return text.empty() ? ordered_json() : ordered_json(text);
  };
  return {{"row", row},
          {"op", op.op},
          {"type", or_null(op.type)},
          {"calls", op.calls},
          {"ms", op.ms},
          {"share", op.share},
          {"gb_s", op.gb_s},
          {"gmac_s", op.gmac_s},
          {"limit", or_null(op.limit)},
          {"of_limit", op.limit.empty() ? ordered_json() : ordered_json(op.of_limit)}};
}

ordered_json ops_json(const std::vector<BenchRow>& rows) {
  ordered_json json = ordered_json::array();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const BenchOp& op : rows[i].ops) json.push_back(op_json(i, op));
  }
  return json;
}

ordered_json report_json(const BenchReport& report, const BenchFlags& flags) {
  const bool has_file = flags.body.empty();
  ordered_json json = {{"version", FOURFOLD_VERSION},
                       {"file", has_file ? ordered_json(flags.engine.model) : ordered_json()},
                       {"body", report.body.empty() ? ordered_json() : ordered_json(report.body)},
                       {"quant", report.quant},
                       {"isa", report.machine.isa},
                       {"portable", true},
                       {"kv", report.kv},
                       {"cpu", report.machine.cpu},
                       {"cpu_budget", report.machine.cpu_budget},
                       {"load_ms", report.load_ms},
                       {"packed", report.packed ? "built" : "off"},
                       {"peak_rss_bytes", report.peak_rss_bytes},
                       {"peak_anon_bytes", report.peak_anon_bytes},
                       {"machine", machine_json(report.machine)},
                       {"rows", ordered_json::array()}};
  for (const BenchRow& row : report.rows) json["rows"].push_back(row_json(row));
  if (flags.options.explain) json["ops"] = ops_json(report.rows);
  return json;
}

// --- text ---

std::string machine_text(const MachineReport& machine) {
  std::string text =
      fmt::format("{}, kernels {}\n", machine.cpu.empty() ? "CPU" : machine.cpu, machine.isa);
  text += "threads   read GB/s   GMAC/s: int8     bf16      f32\n";
  for (const MachineLimits& limits : machine.per_thread) {
    text +=
        fmt::format("{:7} {:11.1f} {:14.0f} {:8.0f} {:8.0f}\n", limits.n_threads, limits.read_gb_s,
                    limits.int8_gmac_s, limits.bf16_gmac_s, limits.f32_gmac_s);
  }
  return text;
}

constexpr std::string_view kTableHead =
    "\n            n   depth  batch  threads     tok/s       min – max       GB/s  GMAC/s  of "
    "limit\n";

std::string row_text(const BenchRow& row) {
  return fmt::format(
      "{:7} {:5} {:7} {:6} {:8} {:9.2f} {:8.2f} – {:<8.2f} {:7.1f} {:7.1f} {:7.0f} %{}{}\n",
      name(row.kind), row.n, row.depth, row.batch, row.threads, row.median, row.min, row.max,
      row.gb_s, row.gmac_s, 100.0 * row.of_limit, row.all_positions ? "  all positions" : "",
      row.noisy() ? "  noisy" : "");
}

std::string op_text(const BenchOp& op) {
  const std::string what = op.type.empty() ? op.op : fmt::format("{} ({})", op.op, op.type);
  std::string text =
      fmt::format("  {:31} {:7} {:9.2f} {:6.1f} %", what, op.calls, op.ms, 100.0 * op.share);
  if (!op.limit.empty()) {
    text += fmt::format(" {:7.1f} {:7.1f} {:6.0f} % of the {}", op.gb_s, op.gmac_s,
                        100.0 * op.of_limit, op.limit);
  }
  return text + "\n";
}

// What the time of a row went to, of one repetition.
std::string ops_text(const BenchRow& row) {
  std::string text = fmt::format("\n{} {} at depth {}, batch {}, {} threads\n", name(row.kind),
                                 row.n, row.depth, row.batch, row.threads);
  text += "                                    calls        ms    share    GB/s  GMAC/s\n";
  for (const BenchOp& op : row.ops) text += op_text(op);
  return text + row.explanation + "\n";
}

std::string summary_text(const BenchReport& report) {
  return fmt::format(
      "\n{}{}{}, K/V {}, loaded in {:.0f} ms, peak memory {}, of which anonymous {}\n",
      report.body.empty() ? "" : report.body + " ", report.quant, report.packed ? ", packed" : "",
      report.kv, report.load_ms, format_size(report.peak_rss_bytes),
      format_size(report.peak_anon_bytes));
}

// --- the command ---

// What is wrong with the choice of a model; empty when nothing is.
std::string model_complaint(const BenchFlags& flags) {
  const bool has_model = !flags.engine.model.empty();
  if (has_model == !flags.body.empty()) {
    return has_model ? "MODEL, --body: only one of them at a time"
                     : "MODEL: missing (expected a model, --body NAME, or machine)";
  }
  if (has_model && !flags.quant.empty()) return "--quant: goes with --body only";
  return {};
}

Result<int> bench_machine(const BenchFlags& flags, Context& context) {
  const auto report = TRY(measure_machine(environment("FOURFOLD_FORCE_ISA"), flags.options.threads,
                                          flags.options.machine));
  if (context.json) {
    context.print_json(machine_json(report));
  } else {
    context.out().write(machine_text(report));
  }
  return kExitDone;
}

// `options.engine` is filled; the model lies at `path`.
Result<int> bench_model(const std::string& path, const BenchOptions& options,
                        const BenchFlags& flags, Context& context) {
  BenchProgress progress;
  if (!context.json) {
    progress.on_machine = [&](const MachineReport& machine) {
      context.out().write(machine_text(machine) + std::string(kTableHead));
    };
    progress.on_row = [&](const BenchRow& row) { context.out().write(row_text(row)); };
  }
  const BenchReport report = TRY(run_bench(path, options, progress));
  if (context.json) {
    context.print_json(report_json(report, flags));
  } else {
    for (const BenchRow& row : report.rows) {
      if (options.explain) context.out().write(ops_text(row));
    }
    context.out().write(summary_text(report));
  }
  return kExitDone;
}

Result<SyntheticBody> make_body(const BenchFlags& flags, const MemoryBudget& budget,
                                const Context& context) {
  const Progress progress("fill", context);
  return SyntheticBody::make(
      {.body = flags.body, .quant = flags.quant.empty() ? kDefaultQuant : flags.quant}, budget);
}

Result<int> bench(const BenchFlags& flags, Context& context) {
  const std::string complaint = model_complaint(flags);
  if (!complaint.empty()) return context.usage_error(complaint);
  if (flags.engine.model == kMachine) return bench_machine(flags, context);
  BenchOptions options = flags.options;
  options.engine = flags.engine.options;
  options.engine.force_isa = environment("FOURFOLD_FORCE_ISA");
  if (flags.body.empty()) {
    return bench_model(TRY(resolve_model(flags.engine.model)), options, flags, context);
  }
  const MemoryBudget budget = options.engine.memory_bytes > 0
                                  ? MemoryBudget{options.engine.memory_bytes, "asked for"}
                                  : read_memory_budget();
  const SyntheticBody body = TRY(make_body(flags, budget, context));
  // The weights are in memory already: the engine counts them against what was free before.
  options.engine.memory_bytes = budget.size_bytes;
  return bench_model(body.path(), options, flags, context);
}

// "512,2048".
TakeValue take_list(std::vector<int>& target, IntegerRange range) {
  return [&target, range](const std::string& text) -> Status {
    std::vector<int> values;
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      const auto value =
          TRY(parse_integer(std::string_view(text).substr(begin, end - begin), range));
      values.push_back(static_cast<int>(value));
      begin = end + 1;
    }
    target = std::move(values);
    return {};
  };
}

TakeValue take_name(std::string& target, const std::vector<std::string_view>& names) {
  return [&target, &names](const std::string& text) -> Status {
    if (std::find(names.begin(), names.end(), text) == names.end()) {
      return invalid_argument("{} (expected {})", printable(text), fmt::join(names, ", "));
    }
    target = text;
    return {};
  };
}

void add_list_flags(CLI::App& command, BenchOptions& options) {
  constexpr std::int64_t kMostTokens = 1 << 20;
  constexpr std::int64_t kMostSequences = 1024;
  constexpr std::int64_t kMostThreads = 4096;
  const auto list = [&](const char* names, const char* help, std::vector<int>& target,
                        IntegerRange range, const char* group = kOwnGroup) {
    add_value_flag(command, {.names = names, .value = "N,…", .help = help, .group = group},
                   take_list(target, range));
  };
  list("--pp", "prompt tokens, 0 is no such row (512,2048)", options.prefill, {0, kMostTokens});
  list("--tg", "generated tokens, 0 is no such row (128)", options.decode, {0, kMostTokens});
  list("--depth", "tokens that are in the cache before (0,4096,16384)", options.depths,
       {0, kMostTokens});
  list("--batch", "sequences at a time (1)", options.batches, {1, kMostSequences});
  // A list here, one number in other commands.
  command.remove_option(command.get_option("--threads"));
  list("-t,--threads", "threads, one row for each (the CPU budget)", options.threads,
       {1, kMostThreads}, kSharedGroup);
}

}  // namespace

void register_bench(CLI::App& program, Context& context) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "bench",
                .summary = "speed of a model, and of the machine",
                .example = "fourfold bench gemma.gguf --pp 512 --tg 128 --depth 0\n"
                           "  fourfold bench --body e2b --quant q4_0 --json\n"
                           "  fourfold bench machine",
                .action = [&context, flags] { return bench(*flags, context); }});
  add_argument(command,
               {.names = "MODEL", .help = "GGUF file, safetensors folder, name, or \"machine\""},
               flags->engine.model, /*required=*/false);
  add_engine_flags(command, flags->engine, /*with_model=*/false);
  add_list_flags(command, flags->options);
  add_value_flag(command,
                 {.names = "--body",
                  .value = "NAME",
                  .help = fmt::format("random weights in memory instead of MODEL: {}",
                                      fmt::join(synthetic_bodies(), ", "))},
                 take_name(flags->body, synthetic_bodies()));
  add_value_flag(command,
                 {.names = "--quant",
                  .value = "TYPE",
                  .help = fmt::format("of --body: {} ({})", fmt::join(synthetic_quants(), ", "),
                                      kDefaultQuant)},
                 take_name(flags->quant, synthetic_quants()));
  add_switch(command, {.names = "--all-positions", .help = "prefill without the skip (off)"},
             flags->options.all_positions);
  add_switch(command, {.names = "--explain", .help = "what the time goes to (off)"},
             flags->options.explain);
  constexpr std::int64_t kMostReps = 1000;
  add_value_flag(command,
                 {.names = "--reps", .value = "N", .help = "after one that does not count (5)"},
                 take_integer(flags->options.n_reps, {1, kMostReps}));
}

}  // namespace fourfold
