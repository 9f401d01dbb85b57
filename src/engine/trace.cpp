#include "engine/trace.h"

#include <algorithm>
#include <utility>

#include "base/sha256.h"
#include "chat/output_json.h"

namespace fourfold {
namespace {

// Appends to the last event if that says the same kind of thing.
void add_event(std::vector<JsonValue>& events, JsonValue event) {
  const auto is_delta = [](const JsonValue& json) {
    const JsonValue* type = json.find("type");
    return type && (type->text == "text" || type->text == "thought");
  };
  if (!events.empty() && is_delta(event) && is_delta(events.back()) &&
      *events.back().find("type") == *event.find("type")) {
    events.back().find("text")->text += event.find("text")->text;
  } else {
    events.push_back(std::move(event));
  }
}

std::vector<TraceMedium> media_of(const PreparedChat& prepared) {
  std::vector<TraceMedium> media;
  std::uint64_t n_kept = 0;
  for (const MediaSource& source : prepared.media_sources) {
    if (source.blocks.empty()) continue;  // silence
    TraceMedium& medium = media.emplace_back();
    medium.part.kind = source.kind;
    medium.part.where = source.where;
    medium.part.settings = source.settings;
    medium.size_bytes = source.bytes.size();
    medium.sha256 = sha256_hex(source.bytes.text());
    if (n_kept + medium.size_bytes > kMostTraceMediaBytes) continue;
    n_kept += medium.size_bytes;
    medium.part.bytes = source.bytes;
  }
  return media;
}

}  // namespace

void Trace::start(const ChatStream& stream) {
  prompt = stream.prompt();
  films = stream.film_turns();
}

void Trace::add(const ChatDelta& delta, const ChatStream& stream) {
  const auto index = static_cast<std::size_t>(delta.candidate);
  if (index >= candidates.size()) candidates.resize(index + 1);
  TraceCandidate& candidate = candidates[index];
  candidate.tokens.insert(candidate.tokens.end(), delta.tokens.begin(), delta.tokens.end());
  if (auto event = event_json(delta.event)) add_event(candidate.events, *std::move(event));
  if (delta.event.type != ChatEvent::Type::Finish) return;
  candidate.end = stream.end(delta.candidate);
  candidate.has_ended = true;
}

void describe_tokens(PreparedChat& prepared) {
  prepared.sampling.n_logprobs = std::max(prepared.sampling.n_logprobs, kTraceAlternatives);
  prepared.sampling.describe = true;
}

Trace begin_trace(const Engine& engine, const ChatRequest* request, const PreparedChat& prepared) {
  Trace trace;
  trace.build = FOURFOLD_VERSION;
  trace.isa = engine.isa();
  trace.exact = engine.options().exact;
  const KvType standard = trace.exact ? KvType::F32 : KvType::BF16;
  trace.kv_ring = name(engine.options().kv_ring.value_or(standard));
  trace.kv_global = name(engine.options().kv_global.value_or(standard));
  trace.n_threads = engine.n_threads();
  trace.chunk = engine.kv_plan().chunk;
  trace.context = engine.context();
  trace.path = engine.checkpoint().path();
  trace.prompt = prepared.prompt;
  trace.media = media_of(prepared);
  trace.is_raw = prepared.is_raw;
  trace.hide_control = prepared.hide_control;
  trace.thinks = prepared.thinks;
  trace.sampling = prepared.sampling;
  trace.max_tokens = prepared.max_tokens;
  trace.limit_is_context = prepared.limit_is_context;
  trace.stop_ids = prepared.stop_ids;
  trace.stop = prepared.is_raw ? prepared.stop : prepared.rules.stop;
  trace.thought_budget = prepared.rules.thought_budget;
  trace.candidates.resize(static_cast<std::size_t>(prepared.n_candidates));
  if (!request) return trace;
  const Conversation& asked = request->conversation;
  trace.rules.tools = asked.tools;
  trace.rules.tool_choice = asked.tool_choice;
  trace.rules.response_format = asked.response_format;
  trace.rules.continue_last = asked.continue_last;
  if (asked.continue_last && !asked.messages.empty()) {
    trace.rules.messages = {asked.messages.back()};
  }
  trace.enforce = request->enforce;
  return trace;
}

}  // namespace fourfold
