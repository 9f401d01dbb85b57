#include "engine/prepare_chat.h"

#include <algorithm>
#include <tuple>

#include "chat/format_hint.h"
#include "chat/held_spelling.h"
#include "chat/model_kind.h"
#include "chat/output_rules.h"
#include "chat/render.h"
#include "chat/thinking_budget.h"
#include "engine/film_windows.h"

namespace fourfold {
namespace {

bool is_medium(const Part& part) {
  using Kind = Part::Kind;
  return part.kind == Kind::Image || part.kind == Kind::Audio || part.kind == Kind::Video;
}

std::string place_of(const Part& part, std::size_t message) {
  return part.where.empty() ? fmt::format("messages[{}]", message) : part.where;
}

// Calls visit(part, index of the message) for every medium, until one gives an error.
template <class Messages, class Visit>
Status for_each_medium(Messages& messages, const Visit& visit) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    for (auto& part : messages[i].parts) {
      if (is_medium(part)) TRY(visit(part, i));
    }
    for (auto& result : messages[i].results) {
      for (auto& part : result.media) {
        if (is_medium(part)) TRY(visit(part, i));
      }
    }
  }
  return {};
}

bool is_in(const std::vector<SoftSpan>& soft, const MediaLook& look) {
  for (const auto& block : look.source.blocks) {
    for (const SoftSpan& span : soft) {
      if (span.rows == block.rows) return true;
    }
  }
  return false;
}

void add(MediaTokens& all, const MediaTokens& more) {
  all.image += more.image;
  all.audio += more.audio;
  all.video += more.video;
}

// Of what the prompt still has: messages may have been forgotten.
void take_media(std::vector<MediaLook> looks, PreparedChat& prepared) {
  for (auto& look : looks) {
    const bool has_blocks = !look.source.blocks.empty();
    if (has_blocks && !is_in(prepared.prompt.soft, look)) continue;
    add(prepared.media_tokens, look.seen.tokens);
    prepared.media.push_back(std::move(look.seen));
    prepared.media_sources.push_back(std::move(look.source));
  }
}

// Sound that is too long for a prompt has a way of its own (audio.md 7.1).
Error with_sound_hint(Error error, const std::vector<MediaLook>& looks) {
  std::int64_t n_sound = 0;
  for (const auto& look : looks) n_sound += look.seen.tokens.audio;
  if (n_sound == 0 || error.reason() != "context_length_exceeded") return error;
  error.message += fmt::format(
      "; {} of them are sound (long recordings: `fourfold transcribe`, /v1/audio/transcriptions)",
      n_sound);
  return error;
}

Error unsupported(std::string_view message) {
  return failed_precondition("{}", message).with({.reason = "unsupported_value"});
}

// Where other prompts are likely to part from this one: behind the system text, in front of and
// behind the newest turn, and behind the last medium.
std::vector<std::int64_t> branch_points(const Tokenizer& tokenizer, const Prompt& prompt) {
  const std::span<const TokenId> ids = prompt.ids;
  std::vector<std::int64_t> turns;
  for (std::size_t i = 1; i < ids.size(); ++i) {
    if (ids[i] == tokenizer.control().turn_open) turns.push_back(static_cast<std::int64_t>(i));
  }
  std::vector<std::int64_t> points;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (i == 1 || i + 2 >= turns.size()) points.push_back(turns[i]);
  }
  if (!prompt.soft.empty()) {
    const SoftSpan& last = prompt.soft.back();
    points.push_back(last.first + last.rows->n_rows + 1);
    std::ranges::sort(points);
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
  const MediaCapabilities& media = engine.media().capabilities();
  const auto set = [&](bool has, const std::string& reason, bool& can, std::string& why_not) {
    can = has && capabilities_.chat;
    why_not = has && !can ? "a pretrained model, which continues text" : reason;
  };
  set(media.vision, media.no_vision, capabilities_.vision, capabilities_.no_vision);
  set(media.audio, media.no_audio, capabilities_.audio, capabilities_.no_audio);
  set(media.video, media.no_video, capabilities_.video, capabilities_.no_video);
}

Status ChatPreparer::check_medium(const Part& part, std::size_t message) const {
  const auto& [kind, can,
               why_not] = [&]() -> std::tuple<std::string_view, bool, const std::string&> {
    switch (part.kind) {
      case Part::Kind::Audio: return {"audio", capabilities_.audio, capabilities_.no_audio};
      case Part::Kind::Video: return {"video", capabilities_.video, capabilities_.no_video};
      default: return {"images", capabilities_.vision, capabilities_.no_vision};
    }
  }();
  if (can) return {};
  const std::string where = place_of(part, message);
  return unimplemented("{}: this model takes no {}: {}", where, kind, why_not)
      .with({.reason = "unsupported_media", .field = where});
}

Status ChatPreparer::check_media(const std::vector<Message>& messages) const {
  return for_each_medium(
      messages, [&](const Part& part, std::size_t message) { return check_medium(part, message); });
}

Status ChatPreparer::look_at_media(Conversation& conversation, const std::function<bool()>& go_on,
                                   std::vector<MediaLook>& looks) const {
  const LookOptions options{.context = engine_.context(), .go_on = go_on};
  return for_each_medium(conversation.messages, [&](Part& part, std::size_t message) -> Status {
    if (part.where.empty()) part.where = place_of(part, message);
    MediaLook look = TRY(engine_.media().look_at(part, options));
    part.pieces = look.pieces;
    part.bytes = {};
    looks.push_back(std::move(look));
    return {};
  });
}

Status ChatPreparer::encode_media(const PreparedChat& prepared, const std::function<bool()>& go_on,
                                  std::int64_t first) const {
  std::span<const SoftSpan> soft = prepared.prompt.soft;
  while (!soft.empty() && soft.front().first < first) soft = soft.subspan(1);
  if (soft.empty()) return {};
  return engine_.media().encode(prepared.media_sources, soft, go_on);
}

double ChatPreparer::media_seconds(const PreparedChat& prepared, std::int64_t first) const {
  std::vector<MediaSource::Block> blocks;
  const auto add_all = [&](const MediaSource& source) {
    blocks.insert(blocks.end(), source.blocks.begin(), source.blocks.end());
  };
  for (const auto& source : prepared.media_sources) add_all(source);
  std::erase_if(blocks, [&](const MediaSource::Block& block) {
    return std::ranges::none_of(prepared.prompt.soft, [&](const SoftSpan& span) {
      return span.rows == block.rows && span.first >= first;
    });
  });
  if (prepared.films) {
    for (const auto& film : prepared.films->films) add_all(film.look.source);
  }
  return engine_.media().seconds_to_encode(blocks);
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
  return check_media(conversation.messages);
}

Result<PreparedChat> ChatPreparer::prepare(const ChatRequest& request,
                                           std::span<const TokenId> held,
                                           const std::function<bool()>& go_on) const {
  TRY(check(request.conversation));
  TRY(check_options(sample_options(request.sampling, engine_.config().sampling),
                    tokenizer_.vocab_size()));
  ChatRequest asked = request;
  asked.conversation = with_format_hint(request.conversation);
  if (asked.conversation.stop.empty()) asked.conversation.stop = request.sampling.stop;
  std::vector<MediaLook> looks;
  TRY(look_at_media(asked.conversation, go_on, looks));
  auto films = take_long_films(asked.conversation, looks, engine_.context());
  auto prepared = TRY(prepare_looked(asked, looks, held));
  if (!films.empty()) {
    prepared.films = std::make_shared<const FilmsToWatch>(
        FilmsToWatch{std::move(asked), std::move(looks), std::move(films)});
  }
  return prepared;
}

Result<PreparedChat> ChatPreparer::prepare_looked(const ChatRequest& request,
                                                  std::vector<MediaLook> looks,
                                                  std::span<const TokenId> held) const {
  PreparedChat prepared;
  Conversation asked = request.conversation;
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
  if (auto rendered = render_asked(); !rendered.ok()) {
    return with_sound_hint(std::move(rendered).error(), looks);
  }
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
  prepared.branch_points = branch_points(tokenizer_, prepared.prompt);
  take_media(std::move(looks), prepared);
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
  if (static_cast<std::int64_t>(ids.size()) < engine_.context()) {
    Prompt& prompt = fitted.prompt;
    prompt.soft = moved_spans(tokenizer_, prompt.ids, std::move(prompt.soft), ids);
    prompt.ids = std::move(ids);
  }
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
