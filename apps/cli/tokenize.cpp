#include "cli/tokenize.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/flags.h"
#include "cli/input.h"
#include "cli/model_flags.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {
namespace {

using nlohmann::ordered_json;

struct TokenizeFlags {
  std::string model;
  bool trusted = false;
  bool bos = false;
  bool pieces = false;
};

struct DetokenizeFlags {
  std::string model;
  std::vector<std::string> ids;
  bool hide_control = false;
};

Result<Tokenizer> open_tokenizer(const std::string& model, Context& context) {
  const auto path = TRY(resolve_model(model));
  auto tokenizer = TRY(Tokenizer::open(path));
  for (const auto& warning : tokenizer.warnings()) context.note(warning);
  return tokenizer;
}

ordered_json pieces_of(const std::vector<TokenId>& ids, const Tokenizer& tokenizer) {
  auto pieces = ordered_json::array();
  for (const TokenId id : ids) pieces.push_back(std::string(tokenizer.piece(id)));
  return pieces;
}

Result<int> tokenize(const TokenizeFlags& flags, Context& context) {
  const auto tokenizer = TRY(open_tokenizer(flags.model, context));
  const auto text = TRY(read_stdin("a text", context));
  auto ids = tokenizer.encode(text, flags.trusted ? Trust::Trusted : Trust::Untrusted);
  if (flags.bos) ids = tokenizer.with_bos(std::move(ids));

  ordered_json answer = {{"ids", ids}};
  if (flags.pieces) answer["pieces"] = pieces_of(ids, tokenizer);
  if (context.json) {
    context.print_json(answer);
  } else if (flags.pieces) {
    for (const TokenId id : ids) {
      context.out().write(fmt::format("{}\t{}\n", id, ordered_json(tokenizer.piece(id)).dump()));
    }
  } else {
    context.out().write(fmt::format("{}\n", fmt::join(ids, " ")));
  }
  return kExitDone;
}

// "1 2", "1,2" and "[1, 2]" alike.
Result<std::vector<TokenId>> parse_ids(std::string text, const Tokenizer& tokenizer) {
  const auto is_separator = [](char c) {
    return c == ',' || c == '[' || c == ']' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
  };
  std::vector<TokenId> ids;
  for (auto at = text.begin(); at != text.end();) {
    at = std::find_if_not(at, text.end(), is_separator);
    const auto end = std::find_if(at, text.end(), is_separator);
    if (at == end) break;
    const std::int64_t last = tokenizer.vocab_size() - 1;
    const auto id =
        TRY_IN("id", parse_integer(std::string_view(at, end), {.least = 0, .most = last}));
    ids.push_back(static_cast<TokenId>(id));
    at = end;
  }
  return ids;
}

// The bytes as they are, also where they are no UTF-8: tokenize and detokenize undo each other.
std::string bytes_of(const std::vector<TokenId>& ids, const Tokenizer& tokenizer,
                     bool hide_control) {
  std::string bytes;
  for (const TokenId id : ids) {
    if (!(hide_control && tokenizer.is_control(id))) bytes += tokenizer.bytes(id);
  }
  return bytes;
}

Result<int> detokenize(const DetokenizeFlags& flags, Context& context) {
  const auto tokenizer = TRY(open_tokenizer(flags.model, context));
  const std::string text = flags.ids.empty() ? TRY(read_stdin("token ids", context))
                                             : fmt::format("{}", fmt::join(flags.ids, " "));
  const auto ids = TRY(parse_ids(text, tokenizer));
  if (context.json) {
    context.print_json({{"text", decode(tokenizer, ids, {.hide_control = flags.hide_control})}});
  } else {
    context.out().write(bytes_of(ids, tokenizer, flags.hide_control));
  }
  return kExitDone;
}

constexpr const char* kModelHelp = "model, tokenizer-only GGUF or tokenizer.json";

}  // namespace

void register_tokenize(CLI::App& program, Context& context) {
  auto flags = std::make_shared<TokenizeFlags>();
  CLI::App& command = context.add_command(
      program, {.name = "tokenize",
                .summary = "text on standard input to token ids",
                .example = "echo -n 'Hello' | fourfold tokenize gemma.gguf --bos",
                .action = [&context, flags] { return tokenize(*flags, context); }});
  add_argument(command, {.names = "MODEL", .help = kModelHelp}, flags->model);
  add_switch(command,
             {.names = "--trusted", .help = "control spellings become control tokens (off)"},
             flags->trusted);
  add_switch(command, {.names = "--bos", .help = "begin with <bos> (off)"}, flags->bos);
  add_switch(command, {.names = "--pieces", .help = "also print the pieces, one a line (off)"},
             flags->pieces);

  auto back = std::make_shared<DetokenizeFlags>();
  CLI::App& back_command = context.add_command(
      program, {.name = "detokenize",
                .summary = "token ids to text",
                .example = "fourfold detokenize gemma.gguf 9259 236764 1902",
                .action = [&context, back] { return detokenize(*back, context); }});
  add_argument(back_command, {.names = "MODEL", .help = kModelHelp}, back->model);
  add_arguments(
      back_command,
      {.names = "ids", .help = "separated by spaces or commas, or a JSON list (standard input)"},
      back->ids);
  add_switch(back_command,
             {.names = "--hide-control", .help = "control tokens print nothing (off)"},
             back->hide_control);
}

}  // namespace fourfold
