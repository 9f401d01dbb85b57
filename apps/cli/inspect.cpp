#include "cli/inspect.h"

#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/resources.h"
#include "base/utf8.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/progress.h"
#include "engine/inspect.h"

namespace fourfold {
namespace {

using nlohmann::ordered_json;

struct InspectFlags {
  std::string path;
  InspectOptions options;
  bool tensors = false;
};

// What is wrong with a file that could be read, one line each.
std::vector<std::string> problems_of(const Inspection& report) {
  std::vector<std::string> lines;
  const auto add = [&](std::string_view what, const std::vector<std::string>& names) {
    for (const auto& name : names) lines.push_back(fmt::format("{} {}", what, name));
  };
  add("missing tensor", report.weights.missing);
  add("wrong tensor", report.weights.misshaped);
  add("unexpected tensor", report.weights.unexpected);
  add("bad data in", report.bad_data);
  return lines;
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

// --- JSON ---

ordered_json json_or_null(const std::string& text) {
  return text.empty() ? ordered_json() : ordered_json(text);
}

ordered_json files_json(const Inspection& report) {
  auto files = ordered_json::array();
  for (const auto& file : report.files) {
    files.push_back({{"path", file.path}, {"size_bytes", file.size_bytes}});
  }
  return files;
}

ordered_json parameters_json(const Inspection& report) {
  if (!report.parameters) return {};
  ordered_json json = {
      {"total", report.parameters->total}, {"active", nullptr}, {"effective", nullptr}};
  if (report.kind == FileKind::Model) {
    json["active"] = report.parameters->active;
    json["effective"] = report.parameters->effective;
  }
  return json;
}

ordered_json types_json(const Inspection& report) {
  auto types = ordered_json::array();
  for (const TypeCensus& census : report.types) {
    types.push_back({{"type", name(census.type)},
                     {"tensors", census.n_tensors},
                     {"elements", census.n_elements},
                     {"size_bytes", census.size_bytes}});
  }
  return types;
}

ordered_json kv_json(const Inspection& report) {
  if (!report.kv) return {};
  auto at = ordered_json::array();
  for (const auto& [context, size_bytes] : report.kv->at) {
    at.push_back({{"context", context}, {"size_bytes", size_bytes}});
  }
  return {{"bytes_per_token", report.kv->bytes_per_token},
          {"ring_bytes", report.kv->ring_bytes},
          {"at", at}};
}

ordered_json tokenizer_json(const Inspection& report) {
  if (!report.tokenizer) return {};
  const TokenizerFacts& facts = *report.tokenizer;
  return {{"model", facts.model}, {"pieces", facts.n_pieces}, {"merges", facts.n_merges},
          {"bos", facts.bos},     {"eos", facts.eos},         {"stop", facts.stop}};
}

ordered_json template_json(const Inspection& report) {
  if (!report.chat_template) return {};
  return {{"sha256", report.chat_template->sha256},
          {"revision", json_or_null(report.chat_template->revision)}};
}

// A float as its shortest decimals, not as those of the double beside it.
double shortest(float value) { return std::stod(fmt::format("{}", value)); }

ordered_json sampling_json(const Inspection& report) {
  if (!report.config) return ordered_json::object();
  const SamplingDefaults& sampling = report.config->sampling;
  return {{"temperature", shortest(sampling.temperature)},
          {"top_k", sampling.top_k},
          {"top_p", shortest(sampling.top_p)},
          {"from_file", sampling.from_file}};
}

ordered_json modality_json(const Modality& modality) {
  return {{"available", modality.available}, {"missing", modality.missing}};
}

ordered_json modalities_json(const Inspection& report) {
  if (report.kind != FileKind::Model) return {};
  return {{"image", modality_json(report.image)},
          {"audio", modality_json(report.audio)},
          {"video", modality_json(report.video)}};
}

ordered_json tensors_json(const Inspection& report) {
  auto tensors = ordered_json::array();
  for (const TensorInfo& tensor : report.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"type", name(tensor.dtype)},
                       {"shape", tensor.shape},
                       {"offset", tensor.offset}});
  }
  return tensors;
}

ordered_json report_json(const Inspection& report, const InspectFlags& flags) {
  ordered_json json = {
      {"kind", name(report.kind)},
      {"files", files_json(report)},
      {"format", report.format},
      {"architecture", json_or_null(report.architecture)},
      {"body", json_or_null(report.body)},
      {"parameters", parameters_json(report)},
      {"quant", types_json(report)},
      {"context", report.config ? ordered_json(report.config->text.max_context) : ordered_json()},
      {"kv", kv_json(report)},
      {"tokenizer", tokenizer_json(report)},
      {"template", template_json(report)},
      {"sampling", sampling_json(report)},
      {"modalities", modalities_json(report)},
      {"warnings", report.warnings},
      {"missing", report.weights.missing},
      {"misshaped", report.weights.misshaped},
      {"unexpected", report.weights.unexpected},
  };
  if (flags.options.check_data) json["bad_data"] = report.bad_data;
  if (flags.tensors) json["tensors"] = tensors_json(report);
  if (!report.complete()) {
    json["error"] = {
        {"code", code_name(report.weights.complete() ? Code::DataLoss : Code::FailedPrecondition)},
        {"message", fmt::format("{}: {}", flags.path, problems_of(report).front())}};
  }
  return json;
}

// --- For people ---

// Strings of a file may hold what a terminal would obey.
std::string shown(std::string_view text) {
  return is_utf8(text) && !has_control_character(text) ? std::string(text) : printable(text);
}

std::string count_text(std::int64_t n) {
  if (n >= 1'000'000'000) return fmt::format("{:.2f} B", static_cast<double>(n) * 1e-9);
  if (n >= 1'000'000) return fmt::format("{:.1f} M", static_cast<double>(n) * 1e-6);
  return fmt::format("{}", n);
}

std::string size_text(std::int64_t n_bytes) {
  return format_size(static_cast<std::uint64_t>(n_bytes));
}

// Lines of "label  text", the texts below each other.
class Table {
 public:
  void add(std::string_view label, std::string_view text) {
    text_ += fmt::format("{:<14}{}\n", label, text);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void add_files(const Inspection& report, Table& table) {
  std::string_view label = name(report.kind);
  for (const auto& file : report.files) {
    table.add(label, fmt::format("{}, {}", shown(file.path), format_size(file.size_bytes)));
    label = "";
  }
}

void add_parameters(const Inspection& report, Table& table) {
  if (!report.parameters) return;
  const ParameterCounts& count = *report.parameters;
  if (report.kind != FileKind::Model) return table.add("parameters", count_text(count.total));
  table.add("parameters",
            fmt::format("{} in the text body, {} active, {} effective", count_text(count.total),
                        count_text(count.active), count_text(count.effective)));
}

void add_kv(const Inspection& report, const KvOptions& options, Table& table) {
  if (!report.kv) return;
  table.add("context", fmt::format("{} tokens", report.config->text.max_context));
  const std::string types = options.ring == options.global
                                ? std::string(name(options.ring))
                                : fmt::format("{}, {}", name(options.ring), name(options.global));
  table.add("K/V cache", fmt::format("{} per token and {} for sliding layers ({})",
                                     size_text(report.kv->bytes_per_token),
                                     size_text(report.kv->ring_bytes), types));
  std::vector<std::string> sizes;
  for (const auto& [context, size_bytes] : report.kv->at) {
    sizes.push_back(fmt::format("{} at {} tokens", size_text(size_bytes), context));
  }
  table.add("", join(sizes, ", "));
}

void add_tokenizer(const Inspection& report, Table& table) {
  if (!report.tokenizer) return;
  const TokenizerFacts& facts = *report.tokenizer;
  table.add("tokenizer", fmt::format("{}: {} pieces, {} merges, bos {}, eos {}, stop {}",
                                     shown(facts.model), facts.n_pieces, facts.n_merges, facts.bos,
                                     facts.eos, fmt::join(facts.stop, " ")));
}

void add_template(const Inspection& report, Table& table) {
  if (!report.chat_template) return;
  const auto& [sha256, revision] = *report.chat_template;
  table.add("template",
            fmt::format("{}, sha256 {}", revision.empty() ? "unknown revision" : revision, sha256));
}

void add_sampling(const Inspection& report, Table& table) {
  if (!report.config) return;
  const SamplingDefaults& sampling = report.config->sampling;
  table.add("sampling", fmt::format("temperature {}, top-k {}, top-p {}{}", sampling.temperature,
                                    sampling.top_k, sampling.top_p,
                                    sampling.from_file ? "" : " (not in the file)"));
}

void add_modality(std::string_view label, const Modality& modality, Table& table) {
  table.add(label,
            modality.available ? "available" : "not available: " + join(modality.missing, ", "));
}

void add_types(const Inspection& report, Table& table) {
  std::string_view label = "tensors";
  for (const TypeCensus& census : report.types) {
    table.add(label, fmt::format("{:<8}{:>6} {:>12} {:>12}", name(census.type), census.n_tensors,
                                 count_text(census.n_elements), format_size(census.size_bytes)));
    label = "";
  }
}

std::string report_text(const Inspection& report, const InspectFlags& flags) {
  Table table;
  add_files(report, table);
  if (!report.architecture.empty()) {
    const bool named = !report.body.empty() && report.body != report.architecture;
    table.add("architecture",
              shown(report.architecture) + (named ? fmt::format(" ({})", report.body) : ""));
  }
  add_parameters(report, table);
  add_types(report, table);
  add_kv(report, flags.options.kv, table);
  add_tokenizer(report, table);
  add_template(report, table);
  add_sampling(report, table);
  if (report.kind == FileKind::Model) {
    add_modality("image, video", report.image, table);
    add_modality("audio", report.audio, table);
  }
  std::string text = table.text();
  if (!flags.tensors) return text;
  for (const TensorInfo& tensor : report.tensors) {
    text += fmt::format("{:<8} {:>14} {:<44} [{}]\n", name(tensor.dtype), tensor.offset,
                        tensor.name, fmt::join(tensor.shape, ", "));
  }
  return text;
}

Result<int> inspect_command(const InspectFlags& flags, Context& context) {
  const std::string path = TRY(resolve_model(flags.path));
  const Inspection report = TRY([&] {
    const Progress progress(flags.options.check_data ? "check" : "read", context);
    return inspect(path, flags.options);
  }());
  if (context.json) {
    context.print_json(report_json(report, flags));
  } else {
    context.out().write(report_text(report, flags));
    for (const auto& warning : report.warnings) context.note("warning: " + shown(warning));
  }
  for (const auto& problem : problems_of(report)) {
    fmt::print(stderr, "fourfold: error: {}: {}\n", flags.path, problem);
  }
  return report.complete() ? kExitDone : kExitFailed;
}

}  // namespace

void register_inspect(CLI::App& program, Context& context) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "inspect",
                .summary = "what a model file holds, and what it needs",
                .example = "fourfold inspect gemma.gguf --json",
                .action = [&context, flags] { return inspect_command(*flags, context); }});
  add_argument(command,
               {.names = "FILE",
                .help = "GGUF file, safetensors folder, adapter, "
                        "tokenizer.json, or name"},
               flags->path);
  add_value_flag(command,
                 {.names = "--kv",
                  .value = "TYPE",
                  .help = "f32, bf16, f16, q8_0, or RING,GLOBAL: the cache counted (bf16)"},
                 [flags](const std::string& text) -> Status {
                   const KvTypes types = TRY(parse_kv_types(text));
                   flags->options.kv.ring = types.ring;
                   flags->options.kv.global = types.global;
                   return {};
                 });
  add_switch(command, {.names = "--tensors", .help = "list all tensors (off)"}, flags->tensors);
  add_switch(command, {.names = "--check", .help = "read all data: are all numbers finite? (off)"},
             flags->options.check_data);
}

}  // namespace fourfold
