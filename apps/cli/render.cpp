#include "cli/render.h"

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/utf8.h"
#include "chat/model_kind.h"
#include "chat/render.h"
#include "chat/request_json.h"
#include "chat/template_revision.h"
#include "cli/flags.h"
#include "cli/input.h"
#include "cli/model_flags.h"

namespace fourfold {
namespace {

using nlohmann::ordered_json;

struct RenderFlags {
  std::string model;
  std::string request;
  std::optional<Variant> variant;
  std::string revision = "r4";
  bool as_template = false;
  bool lines = false;
};

Status take_variant(const std::string& text, std::optional<Variant>& variant) {
  if (text != "small" && text != "large") {
    return invalid_argument("{} (expected small or large)", printable(text));
  }
  variant = text == "small" ? Variant::Small : Variant::Large;
  return {};
}

Status take_revision(const std::string& text, std::string& revision) {
  if (text.size() != 2 || text[0] != 'r' || text[1] < '0' || text[1] > '4') {
    return invalid_argument("{} (expected r4)", printable(text));
  }
  revision = text;
  return {};
}

// The file's body, where it has one: null for a file that holds only a tokenizer.
Result<std::optional<ModelConfig>> body_of(const Checkpoint& checkpoint) {
  if (checkpoint.tensors().empty()) return std::optional<ModelConfig>();
  return std::optional(TRY(load_model_config(checkpoint)));
}

// Warns of what the file itself would do otherwise.
void note_peculiarities(const Checkpoint& checkpoint, const ModelConfig& body,
                        const Tokenizer& tokenizer, Context& context) {
  if (tokenizer.family() == Family::Gemma3) {
    if (!is_chat_model(checkpoint, body, tokenizer)) {
      context.note("this is a pretrained model, which was not taught to chat");
    }
  } else if (const auto warning = template_warning(checkpoint)) {
    context.note(*warning);
  }
}

// A folder or file with weights says which variant it wants; others need --variant.
Result<Variant> find_variant(const RenderFlags& flags, const std::string& path,
                             const Tokenizer& tokenizer, Context& context) {
  std::optional<Variant> variant = flags.variant;
  if (std::filesystem::path(path).extension() != ".json") {
    const auto checkpoint = TRY(Checkpoint::open(path));
    if (const auto body = TRY(body_of(checkpoint))) {
      note_peculiarities(checkpoint, *body, tokenizer, context);
      if (!variant) variant = variant_of(*body);
    }
  }
  if (variant) return *variant;
  if (tokenizer.family() == Family::Gemma3) return Variant::Small;  // it has one form
  return invalid_argument("--variant: required, because {} holds no body (small or large)", path);
}

ordered_json prompt_json(const Prompt& prompt) {
  auto untrusted = ordered_json::array();
  for (const auto& range : prompt.untrusted) untrusted.push_back({range.begin, range.end});
  return {{"prompt", prompt.text}, {"ids", prompt.ids}, {"untrusted", untrusted}};
}

class RequestRenderer {
 public:
  RequestRenderer(const Tokenizer& tokenizer, RenderOptions options)
      : tokenizer_(tokenizer), options_(options) {}

  Result<Prompt> operator()(std::string_view request) const {
    const auto conversation = TRY(parse_request(request, {.as_template = options_.as_template}));
    return render(tokenizer_, conversation, options_);
  }

 private:
  const Tokenizer& tokenizer_;
  RenderOptions options_;
};

int render_lines(const RequestRenderer& rendered, Context& context) {
  while (const auto line = read_stdin_line()) {
    const auto prompt = rendered(*line);
    context.print_json(prompt.ok() ? prompt_json(*prompt) : error_json(prompt.error()));
    if (!context.out().is_open()) break;
  }
  return kExitDone;
}

Result<int> render_request(const RenderFlags& flags, const RequestRenderer& rendered,
                           Context& context) {
  const auto request = TRY(read_text(flags.request, "a request", context));
  const auto prompt = TRY_IN(flags.request, rendered(request));
  if (context.json) {
    context.print_json(prompt_json(prompt));
  } else {
    context.out().write(prompt.text);
  }
  return kExitDone;
}

Result<int> render_command(const RenderFlags& flags, Context& context) {
  if (flags.lines == !flags.request.empty()) {
    return context.usage_error("render: either --request or --lines is needed");
  }
  if (flags.revision != "r4") {
    return unimplemented("--revision: {} is not supported (r4)", flags.revision);
  }
  const auto path = TRY(resolve_model(flags.model));
  const auto tokenizer = TRY(Tokenizer::open(path));
  for (const auto& warning : tokenizer.warnings()) context.note(warning);
  const RequestRenderer rendered(tokenizer,
                                 {.variant = TRY(find_variant(flags, path, tokenizer, context)),
                                  .as_template = flags.as_template});
  if (flags.lines) return render_lines(rendered, context);
  return render_request(flags, rendered, context);
}

}  // namespace

void register_render(CLI::App& program, Context& context) {
  auto flags = std::make_shared<RenderFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "render",
                .summary = "a chat request to the prompt's text and ids",
                .example = "fourfold render gemma.gguf --request request.json --json",
                .action = [&context, flags] { return render_command(*flags, context); }});
  add_argument(command, {.names = "MODEL", .help = "model, tokenizer-only GGUF or tokenizer.json"},
               flags->model);
  add_value_flag(
      command, {.names = "--request", .value = "FILE", .help = "the request (- = standard input)"},
      [flags](const std::string& text) -> Status {
        flags->request = text;
        return {};
      });
  add_switch(command,
             {.names = "--lines", .help = "a request a line of standard input instead (off)"},
             flags->lines);
  add_value_flag(
      command,
      {.names = "--variant", .value = "SIZE", .help = "small or large (the one of the body)"},
      [flags](const std::string& text) { return take_variant(text, flags->variant); });
  add_value_flag(command,
                 {.names = "--revision", .value = "R", .help = "of the official template (r4)"},
                 [flags](const std::string& text) { return take_revision(text, flags->revision); });
  add_switch(command,
             {.names = "--as-template",
              .help = "the template's own text, nothing refused or mended (off)"},
             flags->as_template);
}

}  // namespace fourfold
