#include "engine/prepare_chat.h"

#include <algorithm>

#include "chat/format_hint.h"
#include "chat/held_spelling.h"
#include "chat/model_kind.h"
#include "chat/output_rules.h"
#include "chat/render.h"
#include "chat/thinking_budget.h"

namespace fourfold {
namespace {

bool is_medium(const Part& part) {
  using Kind = Part::Kind;
  return part.kind == Kind::Image || part.kind == Kind::Audio || part.kind == Kind::Video;
}

Status refuse_medium(const Part& part, std::size_t message) {
  if (!is_medium(part)) return {};
  const std::string where = part.where.empty() ? fmt::format("messages[{}]", message) : part.where;
  return unimplemented("{}: this version reads text only, no images, audio or video", where)
      .with({.reason = "unsupported_media", .field = where});
}

// The prompt would have a place for them, and nothing to put there.
Status refuse_media(const std::vector<Message>& messages) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    for (const auto& part : messages[i].parts) TRY(refuse_medium(part, i));
    for (const auto& result : messages[i].results) {
      for (const auto& part : result.media) TRY(refuse_medium(part, i));
    }
  }
  return {};
}

Error unsupported(std::string_view message) {
  return failed_precondition("{}", message).with({.reason = "unsupported_value"});
}

// Where other prompts are likely to part from this one: behind the system text, and in front of and
// behind the newest turn.
std::vector<std::int64_t> branch_points(const Tokenizer& tokenizer, std::span<const TokenId> ids) {
  std::vector<std::int64_t> turns;
  for (std::size_t i = 1; i < ids.size(); ++i) {
    if (ids[i] == tokenizer.control().turn_open) turns.push_back(static_cast<std::int64_t>(i));
  }
  std::vector<std::int64_t> points;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (i == 1 || i + 2 >= turns.size()) points.push_back(turns[i]);
  }
  std::erase_if(points, [](std::int64_t point) { return point <= 1; });
  return points;
}

}  // namespace

Result<std::unique_ptr<ChatPreparer>> ChatPreparer::make(const Engine& engine) {
  const Tokenizer* tokenizer = TRY(engine.tokenizer());
  return std::unique_ptr<ChatPreparer>(new ChatPreparer(engine, *tokenizer));
}

ChatPreparer::ChatPreparer(const Engine& engine, const Tokenizer& tokenizer)
    : engine_(engine),
      tokenizer_(tokenizer),
      constraints_(std::make_unique<ConstraintFactory>(tokenizer)) {
  const ControlIds& control = tokenizer.control();
  capabilities_.chat = is_chat_model(engine.checkpoint(), engine.config(), tokenizer);
  capabilities_.thinking = capabilities_.chat && control.think != kNoToken;
  capabilities_.tools = capabilities_.chat && control.tool_call_open != kNoToken;
}

Status ChatPreparer::check(const Conversation& conversation) const {
  if (conversation.thinking.on && !capabilities_.thinking) {
    return unsupported("this model cannot think (expected a Gemma 4 chat model)");
  }
  if (!conversation.tools.empty() && !capabilities_.tools) {
    return unsupported("this model knows no tools (expected a Gemma 4 chat model)");
  }
  if (conversation.response_format.kind != ResponseFormat::Kind::Text && !capabilities_.chat) {
    return unsupported("a pretrained model answers in no format");
  }
  return refuse_media(conversation.messages);
}

Result<PreparedChat> ChatPreparer::prepare(const ChatRequest& request,
                                           std::span<const TokenId> held) const {
  TRY(check(request.conversation));
  TRY(check_options(sample_options(request.sampling, engine_.config().sampling),
                    tokenizer_.vocab_size()));
  PreparedChat prepared;
  Conversation asked = with_format_hint(request.conversation);
  if (asked.stop.empty()) asked.stop = request.sampling.stop;
  const auto render_asked = [&]() -> Status {
    FittedPrompt fitted = TRY(render_prompt(asked, request.forget_oldest, held));
    prepared.prompt = std::move(fitted.prompt);
    if (fitted.n_forgotten_messages > 0) {
      forget_messages(asked.messages, fitted.n_forgotten_messages);
      prepared.forgotten = std::move(fitted);
    }
    limit(request.sampling, prepared);
    return {};
  };
  TRY(render_asked());
  if (asked.thinking.on && thinking_budget(asked.thinking, prepared.max_tokens) == 0) {
    prepared.warnings.push_back("too few tokens are left to think");
    asked.thinking = {};
    TRY(render_asked());
  }
  prepared.thinks = asked.thinking.on;
  // Large bodies may think unasked.
  const Thinking most = asked.thinking.on ? asked.thinking : Thinking{.on = true};

  prepared.rules = TRY(output_rules(asked, *constraints_, {.enforce = request.enforce}));
  prepared.rules.thought_is_open = prepared.prompt.thought_is_open;
  prepared.rules.thought_budget = thinking_budget(most, prepared.max_tokens);
  for (const auto* constraint : {&prepared.rules.calls, &prepared.rules.answer}) {
    if (!*constraint) continue;
    for (const auto& what : (*constraint)->loosened()) {
      prepared.warnings.push_back(fmt::format("not enforced: {}", what));
    }
  }
  prepared.n_candidates = request.n_candidates;
  prepared.stop_ids = tokenizer_.stop_ids();
  prepared.stop_ids.push_back(tokenizer_.control().turn_open);  // it speaks for somebody else
  prepared.branch_points = branch_points(tokenizer_, prepared.prompt.ids);
  return prepared;
}

Result<FittedPrompt> ChatPreparer::render_prompt(const Conversation& conversation,
                                                 bool forget_oldest,
                                                 std::span<const TokenId> held) const {
  const RenderOptions options{.variant = variant_of(engine_.config())};
  FittedPrompt fitted;
  if (forget_oldest) {
    fitted = TRY(fit_prompt(tokenizer_, conversation, options, engine_.context()));
  } else {
    fitted.prompt = TRY(render(tokenizer_, conversation, options));
    const auto n_tokens = static_cast<std::int64_t>(fitted.prompt.ids.size());
    if (n_tokens >= engine_.context()) return prompt_too_long(n_tokens, engine_.context());
  }
  auto ids = with_held_spelling(tokenizer_, held, fitted.prompt.ids);
  if (static_cast<std::int64_t>(ids.size()) < engine_.context()) fitted.prompt.ids = std::move(ids);
  return fitted;
}

Result<PreparedChat> ChatPreparer::prepare(const RawRequest& request) const {
  TRY(check_options(sample_options(request.sampling, engine_.config().sampling),
                    tokenizer_.vocab_size()));
  PreparedChat prepared;
  prepared.is_raw = true;
  auto ids = request.ids;
  for (const TokenId id : ids) {
    if (!tokenizer_.is_valid(id)) {
      return invalid_argument("prompt: token {} (expected 0 to {})", id,
                              tokenizer_.vocab_size() - 1);
    }
  }
  if (ids.empty()) {
    ids = tokenizer_.encode(request.text, request.trusted ? Trust::Trusted : Trust::Untrusted);
    prepared.prompt.text = request.text;
  }
  prepared.prompt.ids = request.add_bos ? tokenizer_.with_bos(std::move(ids)) : std::move(ids);
  const auto n_tokens = static_cast<std::int64_t>(prepared.prompt.ids.size());
  if (n_tokens == 0) return invalid_argument("prompt: empty (expected at least one token)");
  if (n_tokens >= engine_.context()) return prompt_too_long(n_tokens, engine_.context());
  limit(request.sampling, prepared);
  prepared.hide_control = request.hide_control;
  prepared.n_candidates = request.n_candidates;
  prepared.stop = request.sampling.stop;
  prepared.stop_ids = tokenizer_.stop_ids();
  return prepared;
}

void ChatPreparer::limit(const SamplingChoice& sampling, PreparedChat& prepared) const {
  const auto room = engine_.context() - static_cast<std::int64_t>(prepared.prompt.ids.size());
  prepared.limit_is_context = sampling.max_tokens < 0 || sampling.max_tokens > room;
  prepared.max_tokens = prepared.limit_is_context ? room : sampling.max_tokens;
  prepared.sampling = sample_options(sampling, engine_.config().sampling);
}

}  // namespace fourfold
