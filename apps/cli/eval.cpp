#include "cli/eval.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/input.h"
#include "cli/model_flags.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "engine/eval.h"

namespace fourfold {
namespace {

using nlohmann::ordered_json;

struct EvalFlags {
  EngineFlags engine;
  std::string text_path;
  EvalOptions options;
};

constexpr std::uint64_t kMostTextBytes = std::uint64_t{1} << 30;

ordered_json report_json(const EvalReport& report, bool has_base) {
  ordered_json json = {{"tokens", report.n_tokens},
                       {"scored", report.n_scored},
                       {"mean_nll", report.mean_nll},
                       {"perplexity", report.perplexity},
                       {"perplexity_stderr", report.perplexity_stderr}};
  if (!has_base) return json;
  json["kld"] = nullptr;
  json["same_top"] = nullptr;
  json["delta_p_rms"] = nullptr;
  if (!report.base) return json;
  const KldStatistics& kld = report.base->kld;
  json["kld"] = {{"mean", kld.mean}, {"stderr", kld.standard_error},
                 {"max", kld.max},   {"p99_9", kld.p99_9},
                 {"p99", kld.p99},   {"median", kld.median}};
  json["same_top"] = report.base->same_top;
  json["delta_p_rms"] = report.base->delta_p_rms;
  return json;
}

std::string report_text(const EvalReport& report) {
  std::string text =
      fmt::format("tokens         {}, {} scored\n", report.n_tokens, report.n_scored);
  text += fmt::format("mean NLL       {:.6f} nats\n", report.mean_nll);
  text +=
      fmt::format("perplexity     {:.4f} ± {:.4f}\n", report.perplexity, report.perplexity_stderr);
  if (!report.base) return text;
  const KldStatistics& kld = report.base->kld;
  text += fmt::format("KL divergence  {:.6g} ± {:.2g} nats\n", kld.mean, kld.standard_error);
  text += fmt::format("               median {:.6g}, 99 % {:.6g}, 99.9 % {:.6g}, max {:.6g}\n",
                      kld.median, kld.p99, kld.p99_9, kld.max);
  text += fmt::format("same top token {:.3f} %\n", 100.0 * report.base->same_top);
  text += fmt::format("RMS of Δp      {:.3f} %\n", 100.0 * report.base->delta_p_rms);
  return text;
}

Result<EvalReport> evaluate_with_progress(Engine& engine, const std::string& text,
                                          EvalOptions options, const Context& context) {
  Progress progress("eval", context);
  options.progress = [&](std::int64_t done, std::int64_t total) {
    progress.update(done, total);
    return !is_interrupted();
  };
  return evaluate(engine, text, options);
}

Result<int> eval(const EvalFlags& flags, Context& context) {
  const bool has_base = !flags.options.base_path.empty();
  if (has_base && !flags.options.save_base_path.empty()) {
    return context.usage_error("--save-base, --base: only one of them at a time");
  }
  if (flags.text_path.empty() && !has_base) {
    return context.usage_error("--text: missing (expected a file, or - for standard input)");
  }
  std::string text;
  if (!flags.text_path.empty()) {
    text = TRY(read_text(flags.text_path, "a text", context, kMostTextBytes));
  }
  const auto engine = TRY(open_engine(flags.engine, context));
  // An unfinished base is removed on the way out.
  if (!flags.options.save_base_path.empty()) raise_flag_on_interrupt();
  auto result = evaluate_with_progress(*engine, text, flags.options, context);
  if (!result.ok() && result.error().code == Code::Cancelled) return kExitInterrupted;
  const EvalReport report = TRY(std::move(result));
  if (has_base && !report.base) {
    context.note(fmt::format("{} positions scored: no statistics of fewer than {}", report.n_scored,
                             kMinComparedPositions));
  }
  if (context.json) {
    context.print_json(report_json(report, has_base));
  } else {
    context.out().write(report_text(report));
  }
  return kExitDone;
}

// The file's path, as it is.
TakeValue take_path(std::string& target) {
  return [&target](const std::string& text) -> Status {
    target = text;
    return {};
  };
}

}  // namespace

void register_eval(CLI::App& program, Context& context) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "eval",
                .summary = "perplexity of a text, and KL divergence from another run's logits",
                .example = "fourfold eval gemma.gguf --text wiki.txt --base exact.kld",
                .action = [&context, flags] { return eval(*flags, context); }});
  add_engine_flags(command, flags->engine);
  EvalOptions& options = flags->options;
  constexpr std::int64_t kMostTokens = 1 << 24;
  add_value_flag(
      command,
      {.names = "--text", .value = "FILE", .help = "- is standard input (the base's tokens)"},
      take_path(flags->text_path));
  add_value_flag(
      command,
      {.names = "--window", .value = "N", .help = "tokens; the second half is scored (512)"},
      take_integer(options.window, {4, kMostTokens}));
  add_value_flag(command,
                 {.names = "--save-base", .value = "F", .help = "write the logits there (none)"},
                 take_path(options.save_base_path));
  add_value_flag(command,
                 {.names = "--base",
                  .value = "F",
                  .help = "compare with the logits that --save-base or llama.cpp wrote (none)"},
                 take_path(options.base_path));
}

}  // namespace fourfold
