#include "cli/convert.h"

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/new_file.h"
#include "base/resources.h"
#include "base/utf8.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "convert/conversion.h"
#include "engine/inspect.h"

namespace fourfold {
namespace {

struct ConvertFlags {
  std::string in, out;
  std::optional<DType> type;
  std::string name;
  bool force = false;
};

Status take_type(const std::string& text, std::optional<DType>& type) {
  type = conversion_type(text);
  if (type) return {};
  return invalid_argument("{} (expected f32, bf16, q8_0 or q4_0)", printable(text));
}

Status check_target(const ConvertFlags& flags) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (fs::is_directory(flags.out, ignored)) {
    return invalid_argument("{}: is a folder (expected the name of the new file)", flags.out);
  }
  if (fs::exists(flags.out, ignored) && !flags.force) {
    return Error{Code::AlreadyExists,
                 fmt::format("{}: exists already (--force replaces it)", flags.out)};
  }
  return {};
}

// What no program could run is not made into a new file.
Status check_source(const std::string& path) {
  const Inspection report = TRY(inspect(path, {}));
  if (report.kind != FileKind::Model) {
    return invalid_argument("{}: is a {} (expected a model)", path, name(report.kind));
  }
  if (report.complete()) return {};
  return failed_precondition("{}: {}", path, report.weights.summary());
}

Status write_file(const Conversion& conversion, const std::string& path, const Context& context) {
  remove_at_end(NewFile::temporary_path(path));
  NewFile file = TRY(NewFile::create(path));
  Progress progress("convert", context);
  TRY_IN(path, conversion.write(file.fd(), [&](std::uint64_t done, std::uint64_t total) {
    progress.update(static_cast<std::int64_t>(done), static_cast<std::int64_t>(total));
  }));
  return file.commit();
}

Result<int> convert_command(const ConvertFlags& flags, Context& context) {
  if (!flags.type) return context.usage_error("--type: missing (f32, bf16, q8_0 or q4_0)");
  TRY(check_target(flags));
  const std::string path = TRY(resolve_model(flags.in));
  TRY(check_source(path));
  const Checkpoint checkpoint = TRY(Checkpoint::open(path));
  const Conversion conversion =
      TRY(Conversion::plan(checkpoint, {.type = *flags.type, .name = flags.name}));
  for (const auto& warning : conversion.warnings()) context.note("warning: " + warning);
  TRY(write_file(conversion, flags.out, context));

  const GgufWriter& layout = conversion.layout();
  if (context.json) {
    context.print_json({{"path", flags.out},
                        {"type", name(*flags.type)},
                        {"tensors", layout.tensors().size()},
                        {"size_bytes", layout.size_bytes()},
                        {"warnings", conversion.warnings()}});
  } else {
    context.note(fmt::format("{}: {} tensors, {}", flags.out, layout.tensors().size(),
                             format_size(layout.size_bytes())));
  }
  return kExitDone;
}

}  // namespace

void register_convert(CLI::App& program, Context& context) {
  auto flags = std::make_shared<ConvertFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "convert",
                .summary = "write a model as a GGUF file of one type of weights",
                .example = "fourfold convert gemma-4-E2B-it gemma.gguf --type q8_0",
                .action = [&context, flags] { return convert_command(*flags, context); }});
  add_argument(command, {.names = "IN", .help = "safetensors folder, GGUF file, or name"},
               flags->in);
  add_argument(command, {.names = "OUT", .help = "the new file"}, flags->out);
  add_value_flag(command,
                 {.names = "--type",
                  .value = "TYPE",
                  .help = "f32, bf16, q8_0 or q4_0 (needed); q4_0 keeps embeddings as q8_0"},
                 [flags](const std::string& text) { return take_type(text, flags->type); });
  add_value_flag(command,
                 {.names = "--name",
                  .value = "TEXT",
                  .help = "name in the file (the file's own, else that of the folder)"},
                 [flags](const std::string& text) -> Status {
                   flags->name = text;
                   return {};
                 });
  add_switch(command, {.names = "--force", .help = "replace OUT if it exists (off)"}, flags->force);
}

}  // namespace fourfold
