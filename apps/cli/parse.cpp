#include "cli/parse.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json_value.h"
#include "chat/output_json.h"
#include "chat/output_parser.h"
#include "cli/flags.h"
#include "cli/input.h"
#include "cli/model_flags.h"

namespace fourfold {
namespace {

struct ParseFlags {
  std::string model;
  std::optional<std::string> ids;      // "100,45518,107"
  std::optional<std::string> request;  // a file
  bool open_thought = false;
  bool lines = false;
};

struct ParseRequest {
  std::vector<TokenId> ids;
  bool open_thought = false;
};

Result<TokenId> parse_id(std::string_view text, const Tokenizer& tokenizer) {
  const std::int64_t last = tokenizer.vocab_size() - 1;
  return static_cast<TokenId>(TRY_IN("ids", parse_integer(text, {.least = 0, .most = last})));
}

Result<std::vector<TokenId>> split_ids(std::string_view text, const Tokenizer& tokenizer) {
  std::vector<TokenId> ids;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    ids.push_back(TRY(parse_id(text.substr(0, comma), tokenizer)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return ids;
}

// {"ids": […], "open": false}
Result<ParseRequest> read_request(std::string_view text, const Tokenizer& tokenizer) {
  const auto json = TRY(parse_json_value(text));
  const JsonValue* ids = json.find("ids");
  if (!ids || !ids->is_array()) return invalid_argument("ids: expected a list of token ids");
  ParseRequest request;
  for (const auto& id : ids->items) {
    if (!id.is_number()) return invalid_argument("ids: expected a list of token ids");
    request.ids.push_back(TRY(parse_id(id.text, tokenizer)));
  }
  const JsonValue* open = json.find("open");
  if (open && !open->is_bool()) return invalid_argument("open: expected true or false");
  request.open_thought = open && open->boolean;
  return request;
}

JsonValue parse_output(const ParseRequest& request, const Tokenizer& tokenizer) {
  OutputParser parser(tokenizer, {.thought_is_open = request.open_thought});
  std::vector<ChatEvent> events;
  const auto add = [&](std::vector<ChatEvent> more) {
    std::move(more.begin(), more.end(), std::back_inserter(events));
  };
  for (const TokenId id : request.ids) add(parser.push(id));
  add(parser.finish(ChatFinish::Length));

  ChatOutput output;
  for (const auto& event : events) output.add(event);
  JsonValue json = output_json(output);
  json.set("events", events_json(events));
  return json;
}

Result<int> parse_lines(const Tokenizer& tokenizer, bool open_thought, Context& context) {
  while (const auto line = read_stdin_line()) {
    auto request = read_request(*line, tokenizer);
    if (request.ok()) {
      request->open_thought |= open_thought;
      context.print_json_value(parse_output(*request, tokenizer));
    } else {
      context.print_json(error_json(request.error()));
    }
    if (!context.out().is_open()) break;
  }
  return kExitDone;
}

Result<int> parse(const ParseFlags& flags, Context& context) {
  const int n_sources = flags.ids.has_value() + flags.request.has_value() + flags.lines;
  if (n_sources != 1) {
    return context.usage_error("expected one of --ids, --request and --lines");
  }
  const auto path = TRY(resolve_model(flags.model));
  const auto tokenizer = TRY(Tokenizer::open(path));
  for (const auto& warning : tokenizer.warnings()) context.note(warning);
  if (flags.lines) return parse_lines(tokenizer, flags.open_thought, context);

  ParseRequest request;
  if (flags.ids) {
    request.ids = TRY(split_ids(*flags.ids, tokenizer));
  } else {
    const auto text = TRY(read_text(*flags.request, "a request", context));
    request = TRY_IN(*flags.request, read_request(text, tokenizer));
  }
  request.open_thought |= flags.open_thought;
  context.print_json_value(parse_output(request, tokenizer));
  return kExitDone;
}

}  // namespace

void register_parse(CLI::App& program, Context& context) {
  auto flags = std::make_shared<ParseFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "parse",
                .summary = "generated token ids to thoughts, answer and tool calls, as JSON",
                .example = "fourfold parse gemma.gguf --ids 100,45518,107,9259,101,9259,106 --json",
                .action = [&context, flags] { return parse(*flags, context); }});
  add_argument(command, {.names = "MODEL", .help = "model, tokenizer-only GGUF or tokenizer.json"},
               flags->model);
  add_value_flag(command, {"--ids", "LIST", "the ids, separated by commas"}, take_text(flags->ids));
  add_value_flag(command, {"--request", "FILE", "{\"ids\": […], \"open\": false} (- reads stdin)"},
                 take_text(flags->request));
  add_switch(command,
             {.names = "--open-thought", .help = "the prompt ended inside a thought (off)"},
             flags->open_thought);
  add_switch(command,
             {.names = "--lines", .help = "a request a line on standard input, answered by a line"},
             flags->lines);
}

}  // namespace fourfold
