#include "cli/answer.h"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include "chat/simple_render.h"
#include "cli/progress.h"
#include "cli/signals.h"

namespace fourfold {
namespace {

using nlohmann::ordered_json;

// Writes to the two streams what they are for.
class AnswerPrinter {
 public:
  AnswerPrinter(bool silent, Context& context) : silent_(silent), context_(context) {}

  // False: nobody reads.
  bool print_text(const std::string& text) { return silent_ || context_.out().write(text); }

  void print_thought(const std::string& text) {
    if (silent_ || context_.quiet) return;
    const bool dim = may_colour(STDERR_FILENO, context_.color);
    const std::string line = dim ? "\033[2m" + text + "\033[0m" : text;
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  }

 private:
  bool silent_;
  Context& context_;
};

// Text between <|channel> and <channel|> is a thought: large bodies may think unasked.
class ThoughtSplitter {
 public:
  ThoughtSplitter(const ControlIds& control, bool enabled) : control_(control), enabled_(enabled) {}

  enum class Part { Answer, Thought, EndOfThought };
  // What this token belongs to.
  Part push(TokenId id) {
    if (!enabled_ || id == kNoToken) return inside_ ? Part::Thought : Part::Answer;
    if (id == control_.channel_open) inside_ = true;
    if (!inside_) return Part::Answer;
    if (id == control_.channel_close) inside_ = false;
    return inside_ ? Part::Thought : Part::EndOfThought;
  }

 private:
  const ControlIds& control_;
  bool enabled_;
  bool inside_ = false;
};

// The channel's label is no part of the thought.
std::string_view without_label(std::string_view thought) {
  constexpr std::string_view kLabel = "thought\n";
  return thought.substr(thought.starts_with(kLabel) ? kLabel.size() : 0);
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
  usage["completion_tokens"] = result.ids.size();
  return usage;
}

ordered_json timings_json(const Timings& timings, double load_ms) {
  return {{"load_ms", load_ms},
          {"first_token_ms", timings.first_token_ms},
          {"prefill_tok_s", timings.prefill_tok_s()},
          {"decode_tok_s", timings.decode_tok_s()}};
}

}  // namespace

GenerateRequest raw_request(std::vector<TokenId> ids, const SamplingFlags& flags,
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

Result<Answer> stream_answer(Session& session, GenerateRequest request, const Tokenizer& tokenizer,
                             StreamOptions options, Context& context) {
  using Part = ThoughtSplitter::Part;
  Answer answer;
  AnswerPrinter printer(options.silent || context.json, context);
  ThoughtSplitter splitter(tokenizer.control(), options.split_thoughts);
  std::optional<Progress> progress(std::in_place, "prefill", context);
  request.progress = [&](std::int64_t done, std::int64_t total) {
    progress->update(done, total);
    return !is_interrupted();
  };
  const auto on_token = [&](const TokenEvent& event) {
    progress.reset();
    const Part part = splitter.push(event.token.id);
    if (part == Part::Answer) {
      answer.text += event.text;
      answer.reader_left = !printer.print_text(event.text);
    } else {
      ++answer.thought_tokens;
      answer.thinking += event.text;
      printer.print_thought(part == Part::EndOfThought ? event.text + "\n" : event.text);
    }
    return !answer.reader_left && !is_interrupted();
  };
  answer.result = TRY(session.generate(request, on_token));
  progress.reset();
  printer.print_text("\n");
  answer.thinking = std::string(trim(without_label(answer.thinking)));
  return answer;
}

ordered_json answer_json(const Answer& answer, const Engine& engine, const GenerateRequest& request,
                         bool is_chat) {
  ordered_json json;
  json["model"] = engine.checkpoint().path();
  json["text"] = answer.text;
  if (is_chat) {
    json["thinking"] = answer.thinking;
    json["tool_calls"] = ordered_json::array();
  }
  json["finish"] = name(answer.result.finish);
  json["seed"] = request.sampling.seed;
  json["usage"] = usage_json(answer, is_chat);
  json["timings"] = timings_json(answer.result.timings, engine.load_ms());
  if (request.sampling.n_logprobs >= 0 && engine.tokenizer().ok()) {
    json["logprobs"] = ordered_json::array();
    for (const auto& token : answer.result.tokens) {
      json["logprobs"].push_back(logprob_json(token, **engine.tokenizer()));
    }
  }
  return json;
}

std::string describe_speed(const Answer& answer) {
  const Timings& timings = answer.result.timings;
  return fmt::format(
      "prefill {} tokens, {:.1f} tok/s, {} kept from before; decode {} tokens, {:.1f} tok/s",
      timings.prefill_tokens, timings.prefill_tok_s(), answer.result.cached_tokens,
      answer.result.ids.size(), timings.decode_tok_s());
}

}  // namespace fourfold
