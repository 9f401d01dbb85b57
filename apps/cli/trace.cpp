#include "cli/trace.h"

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "cli/flags.h"
#include "cli/folders.h"
#include "cli/model_flags.h"
#include "engine/chat_service.h"
#include "engine/media_part.h"
#include "engine/trace.h"
#include "engine/trace_replay.h"
#include "server/model_facts.h"
#include "server/trace_file.h"
#include "server/traces.h"

namespace fourfold {
namespace {

using nlohmann::ordered_json;

struct TraceFlags {
  std::string id, other_id;
  std::string model;  // empty: the trace's own file
  EngineFlags engine;
};

// ---- where traces are ----

Result<std::string> traces_folder() {
  const std::string folder = data_folder();
  if (folder.empty()) return not_found("traces: no data folder (set FOURFOLD_DATA_DIR)");
  return folder + "/traces";
}

// A file, or what `trace list` shows.
Result<Trace> open_trace(const std::string& id) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(id, ignored)) return read_trace_file(id);
  const bool is_name = id.find('/') == id.npos;
  const auto path = fmt::format("{}/{}{}", TRY(traces_folder()), id, kTraceSuffix);
  if (is_name && std::filesystem::exists(path, ignored)) return read_trace_file(path);
  return not_found("{}: no such trace (fourfold trace list names them)", printable(id));
}

// Pieces are shown where the model's file is still there.
std::optional<Tokenizer> find_tokenizer(const Trace& trace) {
  auto tokenizer = Tokenizer::open(trace.path);
  return tokenizer.ok() ? std::optional(*std::move(tokenizer)) : std::nullopt;
}

std::string shown(TokenId id, const std::optional<Tokenizer>& tokenizer) {
  const bool has_piece = tokenizer && tokenizer->is_valid(id);
  return has_piece ? fmt::format("{} {}", id, printable(tokenizer->bytes(id)))
                   : fmt::format("{}", id);
}

std::string_view finish_of(const TraceCandidate& candidate) {
  return name(candidate.has_ended ? candidate.end.finish : ChatFinish::Cancelled);
}

// ---- list ----

ordered_json summary_json(const Trace& trace) {
  auto answers = ordered_json::array();
  for (const auto& candidate : trace.candidates) {
    answers.push_back({{"tokens", candidate.tokens.size()}, {"finish", finish_of(candidate)}});
  }
  return {{"id", trace.id},
          {"time", trace.time},
          {"model", trace.model},
          {"dialect", trace.dialect},
          {"route", trace.route},
          {"request_id", trace.request_id},
          {"prompt_tokens", trace.prompt.ids.size()},
          {"answers", answers}};
}

Result<int> list_traces(Context& context) {
  auto list = ordered_json::array();
  for (const auto& path : trace_files(TRY(traces_folder()))) {
    const auto trace = read_trace_file(path);
    if (!trace.ok()) {
      context.note(trace.error().message);
      continue;
    }
    list.push_back(summary_json(*trace));
    if (context.json) continue;
    const TraceCandidate& first = trace->candidates.front();
    context.out().write(fmt::format("{}  {}  {}  {} + {} tokens  {}\n", trace->id, trace->model,
                                    trace->route, trace->prompt.ids.size(), first.tokens.size(),
                                    finish_of(first)));
  }
  if (context.json) context.print_json(list);
  return kExitDone;
}

// ---- show ----

std::string token_line(std::size_t position, const DrawnToken& drawn,
                       const std::optional<Tokenizer>& tokenizer) {
  const auto& [token, channel] = drawn;
  const auto how = token.description.value_or(TokenDescription());
  std::string line =
      fmt::format("{:6}  {:7}  logprob {:8.4f}  entropy {:6.3f}  {}", position, name(channel),
                  token.logprob, how.entropy, shown(token.id, tokenizer));
  if (how.is_forced) line += "  forced";
  if (how.is_masked && !token.top_logprobs.empty()) {
    line += fmt::format("  instead of {}", shown(token.top_logprobs.front().id, tokenizer));
  }
  return line + "\n";
}

std::string medium_line(const TraceMedium& medium) {
  return fmt::format("{:8} {}, {} bytes{}, sha256 {}\n", kind_name(medium.part.kind),
                     medium.part.where, medium.size_bytes, medium.is_kept() ? "" : " (not kept)",
                     medium.sha256);
}

std::string film_line(const FilmTurn& turn) {
  return fmt::format("film     {}, window {} of {}: {} tokens, {} cached\n  notes: {}\n",
                     turn.where, turn.window + 1, turn.n_windows, turn.prompt_tokens,
                     turn.cached_tokens, turn.notes);
}

Result<int> show_trace(const TraceFlags& flags, Context& context) {
  const Trace trace = TRY(open_trace(flags.id));
  if (context.json) {
    context.out().write(trace_text(trace));
    return kExitDone;
  }
  const auto tokenizer = find_tokenizer(trace);
  const SampleOptions& sampling = trace.sampling;
  context.out().write(fmt::format(
      "{}  {}\nmodel    {}  {}\nbuild    {}  {}\nasked    {}  {}\nprompt   {} tokens, {} cached\n"
      "sampling temperature {}, top_k {}, top_p {}, seed {}\n",
      trace.id, trace.time, trace.model, trace.path, trace.build, trace.isa, trace.dialect,
      trace.route, trace.prompt.ids.size(), trace.cached_tokens, sampling.temperature,
      sampling.top_k, sampling.top_p, sampling.seed));
  for (const auto& medium : trace.media) context.out().write(medium_line(medium));
  for (const auto& turn : trace.films) context.out().write(film_line(turn));
  for (std::size_t i = 0; i < trace.candidates.size(); ++i) {
    const TraceCandidate& candidate = trace.candidates[i];
    context.out().write(fmt::format("answer {}: {} tokens, {}\n", i, candidate.tokens.size(),
                                    finish_of(candidate)));
    for (std::size_t at = 0; at < candidate.tokens.size(); ++at) {
      context.out().write(token_line(at, candidate.tokens[at], tokenizer));
    }
  }
  return kExitDone;
}

// ---- comparing ----

ordered_json side_json(const DrawnToken* token, const DrawnToken* other) {
  if (!token) return nullptr;
  ordered_json json = {{"id", token->token.id}, {"logprob", token->token.logprob}};
  if (!other) return json;
  const auto logprob = find_logprob(*token, other->token.id);
  json["logprob_of_the_other"] = logprob ? ordered_json(*logprob) : ordered_json();
  return json;
}

std::string side_text(const DrawnToken* token, const DrawnToken* other,
                      const std::optional<Tokenizer>& tokenizer) {
  if (!token) return "the end of the answer";
  std::string text =
      fmt::format("{} (logprob {:.4f}", shown(token->token.id, tokenizer), token->token.logprob);
  if (other) {
    const auto logprob = find_logprob(*token, other->token.id);
    const auto known = logprob ? fmt::format("{:.4f}", *logprob) : "not among the ten best";
    text += fmt::format("; the other: {}", known);
  }
  return text + ")";
}

int report_difference(const Trace& a, const Trace& b, std::string_view name_b, Context& context) {
  const auto difference = first_difference(a, b);
  const double distance = largest_logprob_distance(a, b);
  if (context.json) {
    ordered_json json = {{"equal", !difference}, {"largest_logprob_distance", distance}};
    if (difference) {
      json["candidate"] = difference->candidate;
      json["position"] = difference->position;
      json["a"] = side_json(difference->a, difference->b);
      json["b"] = side_json(difference->b, difference->a);
    }
    context.print_json(json);
  } else if (difference) {
    const auto tokenizer = find_tokenizer(a);
    context.out().write(fmt::format("answer {} differs at token {}\n  {}: {}\n  {}: {}\n",
                                    difference->candidate, difference->position, a.id,
                                    side_text(difference->a, difference->b, tokenizer), name_b,
                                    side_text(difference->b, difference->a, tokenizer)));
  } else {
    std::size_t n_tokens = 0;
    for (const auto& candidate : a.candidates) n_tokens += candidate.tokens.size();
    context.out().write(fmt::format("the same {} tokens, log probabilities at most {:.6g} apart\n",
                                    n_tokens, distance));
  }
  return difference ? kExitFailed : kExitDone;
}

Result<int> diff_traces(const TraceFlags& flags, Context& context) {
  const Trace a = TRY(open_trace(flags.id));
  const Trace b = TRY(open_trace(flags.other_id));
  if (position_keys(a.prompt.ids, a.prompt.soft) != position_keys(b.prompt.ids, b.prompt.soft)) {
    context.note("the prompts differ");
  }
  return report_difference(a, b, b.id, context);
}

// ---- replay ----

Status take_settings(const Trace& trace, EngineOptions& options) {
  if (trace.exact) options.exact = true;
  if (!options.kv_ring) options.kv_ring = kv_type_from_name(trace.kv_ring);
  if (!options.kv_global) options.kv_global = kv_type_from_name(trace.kv_global);
  if (options.context == 0) options.context = trace.context;
  return {};
}

// What may make another answer, before it does.
Status note_changes(const Trace& trace, const std::string& path, const Engine& engine,
                    bool portable, Context& context) {
  const auto note = [&](std::string_view what, std::string_view then, std::string_view now) {
    if (then != now) context.note(fmt::format("another {}: {}, then {}", what, now, then));
  };
  note("build", trace.build, FOURFOLD_VERSION);
  if (!portable) note("instruction set", trace.isa, engine.isa());
  const auto facts = TRY(read_model_facts(path, engine.options()));
  note("content of the model", trace.fingerprint, facts.digest);
  return {};
}

Result<int> replay_trace(const TraceFlags& flags, Context& context) {
  const Trace trace = TRY(open_trace(flags.id));
  const std::string path = flags.model.empty() ? trace.path : TRY(resolve_model(flags.model));
  ChatServiceOptions options;
  options.engine = flags.engine.options;
  options.engine.force_isa = environment("FOURFOLD_FORCE_ISA");
  TRY(take_settings(trace, options.engine));
  const auto service = TRY(ChatService::open(path, options));
  TRY(note_changes(trace, path, service->engine(), flags.engine.portable, context));
  const Trace again = TRY(replay(trace, *service));
  return report_difference(trace, again, "now", context);
}

}  // namespace

void register_trace(CLI::App& program, Context& context) {
  auto flags = std::make_shared<TraceFlags>();
  CLI::App& group =
      context.add_command(program, {.name = "trace",
                                    .summary = "answers that a server has kept, token by token",
                                    .example = "fourfold serve --traces\nfourfold trace list",
                                    .action = {}});
  context.add_command(group, {.name = "list",
                              .summary = "the traces of the data folder, oldest first",
                              .example = "fourfold trace list --json",
                              .action = [&context, flags] { return list_traces(context); }});
  CLI::App& show = context.add_command(
      group, {.name = "show",
              .summary = "every token with its probability, and what the constraint did",
              .example = "fourfold trace show 20261124T100000Z-ab12cd34",
              .action = [&context, flags] { return show_trace(*flags, context); }});
  add_argument(show, {.names = "ID", .help = "of a trace, or a file"}, flags->id);
  CLI::App& replay = context.add_command(
      group, {.name = "replay",
              .summary = "draws the same tokens again; status 1 at the first that differs",
              .example = "fourfold trace replay 20261124T100000Z-ab12cd34",
              .action = [&context, flags] { return replay_trace(*flags, context); }});
  add_argument(replay, {.names = "ID", .help = "of a trace, or a file"}, flags->id);
  add_argument(replay, {.names = "MODEL", .help = "instead of the trace's own"}, flags->model,
               false);
  add_engine_flags(replay, flags->engine, false);
  CLI::App& diff = context.add_command(
      group, {.name = "diff",
              .summary = "the first token in which two traces differ; status 1 if there is one",
              .example = "fourfold trace diff A B",
              .action = [&context, flags] { return diff_traces(*flags, context); }});
  add_argument(diff, {.names = "A", .help = "ID of a trace, or a file"}, flags->id);
  add_argument(diff, {.names = "B", .help = "ID of a trace, or a file"}, flags->other_id);
}

}  // namespace fourfold
