#include "cli/answer.h"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include "base/utf8.h"
#include "chat/output_json.h"
#include "cli/progress.h"
#include "cli/signals.h"

namespace fourfold {
namespace {

using nlohmann::ordered_json;

// Writes the events of a chat to the streams that they are for.
class EventPrinter {
 public:
  EventPrinter(StreamOptions options, Context& context)
      : options_(options), context_(context), is_dim_(may_colour(STDERR_FILENO, context.color)) {
    if (context.json) options_.silent = true;
    if (context.quiet) options_.show_thoughts = false;
  }

  // False: nobody reads.
  bool print(const ChatEvent& event) {
    if (options_.events) return print_json(event);
    if (options_.silent) return true;
    switch (event.type) {
      case ChatEvent::Type::Thought: print_thought(event.text); return true;
      case ChatEvent::Type::Text:
        end_thought();
        has_text_ = true;
        return context_.out().write(event.text);
      case ChatEvent::Type::Call:
        print_note(fmt::format("call {} {}", event.call.name, to_json_text(event.call.arguments)));
        return true;
      case ChatEvent::Type::Malformed:
        print_note(fmt::format("not a call: {}", printable(event.text, 400)));
        return true;
      case ChatEvent::Type::Finish: return print_end(event.finish);
      case ChatEvent::Type::CallStarted:
      case ChatEvent::Type::CallArguments: return true;
    }
    return true;
  }

 private:
  bool print_json(const ChatEvent& event) {
    if (const auto json = event_json(event)) context_.print_json_value(*json);
    return context_.out().is_open();
  }

  bool print_end(ChatFinish finish) {
    end_thought();
    const bool goes_on = options_.runs_calls && finish == ChatFinish::ToolCalls;
    return (goes_on && !has_text_) || context_.out().write("\n");
  }

  void print_thought(const std::string& text) {
    if (!options_.show_thoughts) return;
    in_thought_ = true;
    write_dim(text);
  }

  void end_thought() {
    if (std::exchange(in_thought_, false)) write_dim("\n");
  }

  void print_note(std::string_view text) {
    end_thought();
    context_.note(text);
  }

  void write_dim(const std::string& text) {
    const std::string bytes = is_dim_ ? "\033[2m" + text + "\033[0m" : text;
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, bytes.data(), bytes.size());
  }

  StreamOptions options_;
  Context& context_;
  bool is_dim_;
  bool in_thought_ = false;  // and a newline is owed
  bool has_text_ = false;
};

void add(const ChatEvent& event, Answer& answer) {
  switch (event.type) {
    case ChatEvent::Type::Thought: answer.thinking += event.text; break;
    case ChatEvent::Type::Text: answer.text += event.text; break;
    case ChatEvent::Type::Call: answer.calls.push_back(event.call); break;
    case ChatEvent::Type::Malformed: answer.malformed.push_back(event.text); break;
    case ChatEvent::Type::Finish: answer.finish = name(event.finish); break;
    case ChatEvent::Type::CallStarted:
    case ChatEvent::Type::CallArguments: break;
  }
}

ChatFinish chat_finish(Finish finish) {
  switch (finish) {
    case Finish::Stop: return ChatFinish::Stop;
    case Finish::Length: return ChatFinish::Length;
    case Finish::Cancelled: return ChatFinish::Cancelled;
  }
  return ChatFinish::Stop;
}

// Generates under a progress bar. Ends when nobody wants more, or the person interrupts.
Result<GenerateResult> generate(Session& session, GenerateRequest request,
                                const Session::OnToken& on_token, Context& context) {
  std::optional<Progress> progress(std::in_place, "prefill", context);
  request.progress = [&](std::int64_t done, std::int64_t total) {
    progress->update(done, total);
    return !is_interrupted();
  };
  return session.generate(request, [&](const TokenEvent& event) {
    progress.reset();
    const bool go_on = on_token(event);
    return go_on && !is_interrupted();
  });
}

ordered_json logprob_json(const SampledToken& token, const Tokenizer& tokenizer) {
  auto top = ordered_json::array();
  for (const auto& other : token.top_logprobs) {
    top.push_back({{"id", other.id},
                   {"piece", std::string(tokenizer.piece(other.id))},
                   {"logprob", other.logprob}});
  }
  return {{"id", token.id},
          {"piece", std::string(tokenizer.piece(token.id))},
          {"logprob", token.logprob},
          {"top", top}};
}

ordered_json usage_json(const Answer& answer, bool is_chat) {
  const GenerateResult& result = answer.result;
  ordered_json usage = {{"prompt_tokens", result.prompt_tokens},
                        {"cached_tokens", result.cached_tokens}};
  if (is_chat) usage["thought_tokens"] = answer.thought_tokens;
  usage["completion_tokens"] = answer.completion_tokens;
  return usage;
}

ordered_json timings_json(const Timings& timings, double load_ms) {
  return {{"load_ms", load_ms},
          {"first_token_ms", timings.first_token_ms},
          {"prefill_tok_s", timings.prefill_tok_s()},
          {"decode_tok_s", timings.decode_tok_s()}};
}

// Numbers in calls stay as they were written, which the library's values cannot.
JsonValue with_calls(const ordered_json& json, const std::vector<ToolCall>& calls) {
  constexpr auto kReplace = ordered_json::error_handler_t::replace;  // a path may be no UTF-8
  auto value = parse_json_value(json.dump(-1, ' ', false, kReplace));
  if (!value.ok()) return {};
  if (auto* list = value->find("tool_calls")) {
    for (const auto& call : calls) list->items.push_back(call_json(call));
  }
  return std::move(*value);
}

}  // namespace

GenerateRequest raw_request(std::vector<TokenId> ids, const SamplingChoice& flags,
                            const Engine& engine, const Tokenizer& tokenizer) {
  constexpr std::int64_t kMaxTokens = 128;
  GenerateRequest request;
  request.prompt = tokenizer.with_bos(std::move(ids));
  request.sampling = sample_options(flags, engine.config().sampling);
  request.max_tokens = flags.max_tokens >= 0 ? flags.max_tokens : kMaxTokens;
  request.stop_ids = tokenizer.stop_ids();
  request.stop_text = flags.stop;
  return request;
}

Result<Answer> stream_text(Session& session, GenerateRequest request, bool silent,
                           Context& context) {
  Answer answer;
  const bool prints = !silent && !context.json;
  const auto on_token = [&](const TokenEvent& event) {
    answer.text += event.text;
    if (prints) answer.reader_left = !context.out().write(event.text);
    return !answer.reader_left;
  };
  answer.result = TRY(generate(session, std::move(request), on_token, context));
  answer.finish = name(answer.result.finish);
  answer.completion_tokens = static_cast<std::int64_t>(answer.result.ids.size());
  if (prints) context.out().write("\n");
  return answer;
}

Result<Answer> stream_answer(Session& session, GenerateRequest request, OutputMachine& machine,
                             StreamOptions options, Context& context) {
  Answer answer;
  EventPrinter printer(options, context);
  const auto take_events = [&] {
    for (const auto& event : machine.take_events()) {
      add(event, answer);
      if (!printer.print(event)) answer.reader_left = true;
    }
  };
  request.mask = &machine;
  const auto on_token = [&](const TokenEvent&) {
    take_events();
    return !answer.reader_left && !machine.is_over();
  };
  answer.result = TRY(generate(session, std::move(request), on_token, context));
  machine.finish(answer.result.stop_id, chat_finish(answer.result.finish));
  take_events();
  answer.thought_tokens = machine.usage().thought_tokens;
  answer.completion_tokens = static_cast<std::int64_t>(answer.result.ids.size());
  return answer;
}

JsonValue answer_json(const Answer& answer, const Engine& engine, const GenerateRequest& request,
                      bool is_chat) {
  ordered_json json;
  json["model"] = engine.checkpoint().path();
  json["text"] = answer.text;
  if (is_chat) {
    json["thinking"] = answer.thinking;
    json["tool_calls"] = ordered_json::array();
  }
  if (!answer.malformed.empty()) json["malformed"] = answer.malformed;
  json["finish"] = answer.finish;
  json["seed"] = request.sampling.seed;
  json["usage"] = usage_json(answer, is_chat);
  json["timings"] = timings_json(answer.result.timings, engine.load_ms());
  if (request.sampling.n_logprobs >= 0 && engine.tokenizer().ok()) {
    json["logprobs"] = ordered_json::array();
    for (const auto& token : answer.result.tokens) {
      json["logprobs"].push_back(logprob_json(token, **engine.tokenizer()));
    }
  }
  return with_calls(json, answer.calls);
}

std::string describe_speed(const Answer& answer) {
  const Timings& timings = answer.result.timings;
  return fmt::format(
      "prefill {} tokens, {:.1f} tok/s, {} kept from before; decode {} tokens, {:.1f} tok/s",
      timings.prefill_tokens, timings.prefill_tok_s(), answer.result.cached_tokens,
      answer.result.ids.size(), timings.decode_tok_s());
}

}  // namespace fourfold
