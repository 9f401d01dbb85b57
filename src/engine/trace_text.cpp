// Traces as lines of JSON.
#include <charconv>
#include <cmath>
#include <concepts>
#include <utility>

#include "base/base64.h"
#include "base/sha256.h"
#include "engine/media_part.h"
#include "engine/trace.h"
#include "runtime/soft_batch.h"

namespace fourfold {
namespace {

constexpr int kVersion = 2, kOldestVersion = 1;  // 1 had no lines of media and films

// ---- writing ----

JsonValue text(std::string_view value) { return JsonValue::of(std::string(value)); }

template <std::integral Integer>
JsonValue number(Integer value) {
  return JsonValue::number(std::to_string(value));
}
// The shortest spelling that reads back as the same; infinities are strings.
template <std::floating_point Float>
JsonValue number(Float value) {
  const auto spelled = fmt::format("{}", value);
  return std::isfinite(value) ? JsonValue::number(spelled) : text(spelled);
}

template <class List, class Write>
JsonValue list_of(const List& list, const Write& write) {
  auto out = JsonValue::array();
  for (const auto& item : list) out.items.push_back(write(item));
  return out;
}

JsonValue ids_json(const std::vector<TokenId>& ids) {
  return list_of(ids, [](TokenId id) { return number(id); });
}
JsonValue texts_json(const std::vector<std::string>& texts) { return list_of(texts, text); }
template <class A, class B>
JsonValue pair_json(A a, B b) {
  return JsonValue::array({number(a), number(b)});
}

JsonValue sampling_json(const SampleOptions& o) {
  return JsonValue::object(
      {{"temperature", number(o.temperature)},
       {"top_k", number(o.top_k)},
       {"top_p", number(o.top_p)},
       {"min_p", number(o.min_p)},
       {"repeat_penalty", number(o.repeat_penalty)},
       {"repeat_last_n", number(o.repeat_last_n)},
       {"presence_penalty", number(o.presence_penalty)},
       {"frequency_penalty", number(o.frequency_penalty)},
       {"logit_bias", list_of(o.logit_bias, [](auto b) { return pair_json(b.id, b.bias); })},
       {"seed", number(o.seed)}});
}

// What tells a medium from another; its rows are not kept.
JsonValue span_json(const SoftSpan& span) {
  std::string key;
  for (const std::uint8_t byte : span.rows->key) key += fmt::format("{:02x}", byte);
  return JsonValue::object({{"first", number(span.first)},
                            {"rows", number(span.rows->n_rows)},
                            {"visual", JsonValue::of(span.rows->is_visual)},
                            {"key", text(key)}});
}

template <class Value>
void set_if(JsonValue& json, std::string_view key, const std::optional<Value>& value) {
  if (!value) return;
  if constexpr (std::same_as<Value, bool>) {
    json.set(key, JsonValue::of(*value));
  } else {
    json.set(key, number(*value));
  }
}

JsonValue settings_json(const MediaSettings& s) {
  auto json = JsonValue::object();
  set_if(json, "budget", s.budget);
  set_if(json, "fps", s.fps);
  set_if(json, "n_frames", s.n_frames);
  set_if(json, "from_s", s.from_s);
  set_if(json, "to_s", s.to_s);
  set_if(json, "video_tokens", s.video_tokens);
  set_if(json, "sound", s.sound);
  return json;
}

JsonValue medium_json(const TraceMedium& medium) {
  auto json = JsonValue::object({{"kind", text(fourfold::kind_name(medium.part.kind))},
                                 {"where", text(medium.part.where)},
                                 {"settings", settings_json(medium.part.settings)},
                                 {"size", number(medium.size_bytes)},
                                 {"sha256", text(medium.sha256)}});
  if (medium.is_kept()) json.set("bytes", text(to_base64(medium.part.bytes.text())));
  return JsonValue::object({{"medium", std::move(json)}});
}

JsonValue film_json(const FilmTurn& turn) {
  auto json = JsonValue::object({{"where", text(turn.where)},
                                 {"window", number(turn.window)},
                                 {"windows", number(turn.n_windows)},
                                 {"from_s", number(turn.from_s)},
                                 {"to_s", number(turn.to_s)},
                                 {"ids", ids_json(turn.prompt.ids)},
                                 {"text", text(turn.prompt.text)},
                                 {"media", list_of(turn.prompt.soft, span_json)},
                                 {"notes", text(turn.notes)},
                                 {"prompt_tokens", number(turn.prompt_tokens)},
                                 {"cached_tokens", number(turn.cached_tokens)},
                                 {"answer_tokens", number(turn.answer_tokens)}});
  return JsonValue::object({{"film", std::move(json)}});
}

std::string_view mode_name(ToolChoice::Mode mode) {
  switch (mode) {
    case ToolChoice::Mode::Auto: return "auto";
    case ToolChoice::Mode::None: return "none";
    case ToolChoice::Mode::Required: return "required";
  }
  return "";
}

std::string_view kind_name(ResponseFormat::Kind kind) {
  switch (kind) {
    case ResponseFormat::Kind::Text: return "text";
    case ResponseFormat::Kind::Json: return "json";
    case ResponseFormat::Kind::JsonSchema: return "json_schema";
    case ResponseFormat::Kind::Regex: return "regex";
    case ResponseFormat::Kind::Grammar: return "grammar";
  }
  return "";
}

JsonValue tool_json(const Tool& tool) {
  return JsonValue::object({{"name", text(tool.name)},
                            {"declaration", tool.declaration},
                            {"strict", JsonValue::of(tool.strict)}});
}

JsonValue rules_json(const Trace& trace) {
  const Conversation& rules = trace.rules;
  auto json = JsonValue::object({{"tools", list_of(rules.tools, tool_json)},
                                 {"tool_choice", text(mode_name(rules.tool_choice.mode))},
                                 {"tool_names", texts_json(rules.tool_choice.names)},
                                 {"parallel", JsonValue::of(rules.tool_choice.parallel)},
                                 {"format", text(kind_name(rules.response_format.kind))},
                                 {"schema", rules.response_format.schema},
                                 {"source", text(rules.response_format.source)},
                                 {"enforce", JsonValue::of(trace.enforce)}});
  if (rules.continue_last && !rules.messages.empty()) {
    json.set("goes_on", list_of(rules.messages.front().parts,
                                [](const Part& part) { return text(part.text); }));
    json.set("goes_on_is_list", JsonValue::of(rules.messages.front().is_part_list));
  }
  return json;
}

JsonValue head_json(const Trace& trace) {
  return JsonValue::object({{"trace", number(kVersion)},
                            {"id", text(trace.id)},
                            {"time", text(trace.time)},
                            {"request_id", text(trace.request_id)},
                            {"dialect", text(trace.dialect)},
                            {"route", text(trace.route)},
                            {"build", text(trace.build)},
                            {"isa", text(trace.isa)},
                            {"exact", JsonValue::of(trace.exact)},
                            {"kv_ring", text(trace.kv_ring)},
                            {"kv_global", text(trace.kv_global)},
                            {"threads", number(trace.n_threads)},
                            {"chunk", number(trace.chunk)},
                            {"context", number(trace.context)},
                            {"model", text(trace.model)},
                            {"path", text(trace.path)},
                            {"fingerprint", text(trace.fingerprint)}});
}

JsonValue request_json(const Trace& trace) {
  auto request = JsonValue::object(
      {{"ids", ids_json(trace.prompt.ids)},
       {"text", text(trace.prompt.text)},
       {"untrusted", list_of(trace.prompt.untrusted,
                             [](ByteRange range) { return pair_json(range.begin, range.end); })},
       {"media", list_of(trace.prompt.soft, span_json)},
       {"thought_is_open", JsonValue::of(trace.prompt.thought_is_open)},
       {"raw", JsonValue::of(trace.is_raw)},
       {"hide_control", JsonValue::of(trace.hide_control)},
       {"thinks", JsonValue::of(trace.thinks)},
       {"sampling", sampling_json(trace.sampling)},
       {"max_tokens", number(trace.max_tokens)},
       {"limit_is_context", JsonValue::of(trace.limit_is_context)},
       {"stop_ids", ids_json(trace.stop_ids)},
       {"stop", texts_json(trace.stop)},
       {"thought_budget", number(trace.thought_budget)},
       {"candidates", number(trace.candidates.size())}});
  request.set("rules", rules_json(trace));
  return JsonValue::object({{"request", std::move(request)}});
}

JsonValue token_json(std::size_t candidate, const DrawnToken& drawn) {
  const auto& [token, channel] = drawn;
  const auto how = token.description.value_or(TokenDescription());
  return JsonValue::object(
      {{"candidate", number(candidate)},
       {"token", number(token.id)},
       {"logprob", number(token.logprob)},
       {"top", list_of(token.top_logprobs, [](auto t) { return pair_json(t.id, t.logprob); })},
       {"entropy", number(how.entropy)},
       {"forced", JsonValue::of(how.is_forced)},
       {"masked", JsonValue::of(how.is_masked)},
       {"channel", text(name(channel))}});
}

JsonValue end_json(std::size_t index, const TraceCandidate& candidate) {
  const CandidateEnd& end = candidate.end;
  auto json =
      JsonValue::object({{"candidate", number(index)},
                         {"end", text(candidate.has_ended ? name(end.finish) : "cancelled")},
                         {"context_is_full", JsonValue::of(end.context_is_full)},
                         {"thought_tokens", number(end.usage.thought_tokens)},
                         {"answer_tokens", number(end.usage.answer_tokens)},
                         {"call_tokens", number(end.usage.call_tokens)},
                         {"queue_ms", number(end.queue_ms)},
                         {"prefill_ms", number(end.prefill_ms)},
                         {"decode_ms", number(end.decode_ms)}});
  if (end.stop_text) json.set("stop_text", text(*end.stop_text));
  return json;
}

// ---- reading ----

// A line, with types checked as it is taken apart.
class Line {
 public:
  explicit Line(const JsonValue& json) : json_(json) {}

  bool has(std::string_view key) const { return json_.find(key) != nullptr; }

  Result<const JsonValue*> member(std::string_view key) const {
    const JsonValue* value = json_.find(key);
    if (!value) return data_loss("no \"{}\"", key);
    return value;
  }
  Status take(std::string_view key, std::string& out) const {
    const JsonValue* value = TRY(member(key));
    if (!value->is_string()) return data_loss("\"{}\" is no text", key);
    out = value->text;
    return {};
  }
  Status take(std::string_view key, bool& out) const {
    const JsonValue* value = TRY(member(key));
    if (!value->is_bool()) return data_loss("\"{}\" is not true or false", key);
    out = value->boolean;
    return {};
  }
  template <class Number>
  Status take(std::string_view key, Number& out) const
    requires(std::integral<Number> || std::floating_point<Number>)
  {
    const JsonValue* value = TRY(member(key));
    TRY_IN(key, read(*value, out));
    return {};
  }
  // Items of a list, each read by `take_item`.
  template <class Item, class TakeItem>
  Status take_list(std::string_view key, std::vector<Item>& out, const TakeItem& take_item) const {
    const JsonValue* value = TRY(member(key));
    if (!value->is_array()) return data_loss("\"{}\" is no list", key);
    for (const auto& item : value->items) TRY_IN(key, take_item(item, out.emplace_back()));
    return {};
  }

  template <class Number>
  static Status read(const JsonValue& value, Number& out) {
    const char* end = value.text.data() + value.text.size();
    const auto [at, error] = std::from_chars(value.text.data(), end, out);
    const bool is_spelled = value.is_number() || value.is_string();
    if (is_spelled && error == std::errc() && at == end) return {};
    return data_loss("{} is no such number", to_json_text(value));
  }
  template <class A, class B>
  static Status read_pair(const JsonValue& value, A& a, B& b) {
    if (value.items.size() != 2) return data_loss("{} is no pair", to_json_text(value));
    TRY(read(value.items[0], a));
    return read(value.items[1], b);
  }
  static Status read_text(const JsonValue& value, std::string& out) {
    if (!value.is_string()) return data_loss("{} is no text", to_json_text(value));
    out = value.text;
    return {};
  }

 private:
  const JsonValue& json_;
};

Status read_sampling(const Line& line, SampleOptions& o) {
  TRY(line.take("temperature", o.temperature));
  TRY(line.take("top_k", o.top_k));
  TRY(line.take("top_p", o.top_p));
  TRY(line.take("min_p", o.min_p));
  TRY(line.take("repeat_penalty", o.repeat_penalty));
  TRY(line.take("repeat_last_n", o.repeat_last_n));
  TRY(line.take("presence_penalty", o.presence_penalty));
  TRY(line.take("frequency_penalty", o.frequency_penalty));
  TRY(line.take("seed", o.seed));
  return line.take_list("logit_bias", o.logit_bias, [](const JsonValue& item, LogitBias& bias) {
    return Line::read_pair(item, bias.id, bias.bias);
  });
}

Result<ToolChoice::Mode> mode_of(std::string_view name) {
  using Mode = ToolChoice::Mode;
  for (const auto mode : {Mode::Auto, Mode::None, Mode::Required}) {
    if (mode_name(mode) == name) return mode;
  }
  return data_loss("unknown tool choice");
}

Result<ResponseFormat::Kind> kind_of(std::string_view name) {
  using Kind = ResponseFormat::Kind;
  for (const auto kind : {Kind::Text, Kind::Json, Kind::JsonSchema, Kind::Regex, Kind::Grammar}) {
    if (kind_name(kind) == name) return kind;
  }
  return data_loss("unknown response format");
}

Status read_tool(const JsonValue& json, Tool& tool) {
  const Line line(json);
  TRY(line.take("name", tool.name));
  TRY(line.take("strict", tool.strict));
  tool.declaration = *TRY(line.member("declaration"));
  return {};
}

Status read_rules(const Line& line, Trace& trace) {
  Conversation& rules = trace.rules;
  std::string mode, format;
  TRY(line.take_list("tools", rules.tools, read_tool));
  TRY(line.take("tool_choice", mode));
  TRY(line.take_list("tool_names", rules.tool_choice.names, Line::read_text));
  TRY(line.take("parallel", rules.tool_choice.parallel));
  TRY(line.take("format", format));
  rules.tool_choice.mode = TRY(mode_of(mode));
  rules.response_format.kind = TRY(kind_of(format));
  rules.response_format.schema = *TRY(line.member("schema"));
  TRY(line.take("source", rules.response_format.source));
  TRY(line.take("enforce", trace.enforce));
  if (!line.has("goes_on")) return {};
  rules.continue_last = true;
  Message& message = rules.messages.emplace_back();
  message.role = Role::Model;
  TRY(line.take("goes_on_is_list", message.is_part_list));
  return line.take_list("goes_on", message.parts, [](const JsonValue& item, Part& part) {
    return Line::read_text(item, part.text);
  });
}

Status read_head(const Line& line, Trace& trace) {
  int version = 0;
  TRY(line.take("trace", version));
  if (version < kOldestVersion || version > kVersion) {
    return data_loss("version {} (expected {} to {})", version, kOldestVersion, kVersion);
  }
  TRY(line.take("id", trace.id));
  TRY(line.take("time", trace.time));
  TRY(line.take("request_id", trace.request_id));
  TRY(line.take("dialect", trace.dialect));
  TRY(line.take("route", trace.route));
  TRY(line.take("build", trace.build));
  TRY(line.take("isa", trace.isa));
  TRY(line.take("exact", trace.exact));
  TRY(line.take("kv_ring", trace.kv_ring));
  TRY(line.take("kv_global", trace.kv_global));
  TRY(line.take("threads", trace.n_threads));
  TRY(line.take("chunk", trace.chunk));
  TRY(line.take("context", trace.context));
  TRY(line.take("model", trace.model));
  TRY(line.take("path", trace.path));
  return line.take("fingerprint", trace.fingerprint);
}

Status read_span(const JsonValue& item, SoftSpan& span) {
  const Line line(item);
  auto rows = std::make_shared<SoftRows>();
  std::string key;
  TRY(line.take("first", span.first));
  TRY(line.take("rows", rows->n_rows));
  TRY(line.take("visual", rows->is_visual));
  TRY(line.take("key", key));
  if (key.size() != 2 * rows->key.size()) return data_loss("\"key\" of {} digits", key.size());
  for (std::size_t i = 0; i < rows->key.size(); ++i) {
    const char* begin = key.data() + 2 * i;
    const auto end = std::from_chars(begin, begin + 2, rows->key[i], 16).ptr;
    if (end != begin + 2) return data_loss("\"key\" is no hexadecimal number");
  }
  span.rows = std::move(rows);
  return {};
}

// Blocks of soft tokens apart from each other, within the ids.
Status read_media(const Line& line, Prompt& prompt) {
  TRY(line.take_list("media", prompt.soft, read_span));
  const auto n_ids = static_cast<std::int64_t>(prompt.ids.size());
  if (check_soft(prompt.soft, n_ids).ok()) return {};
  return data_loss("\"media\" are not apart, or beyond the {} ids", n_ids);
}

Result<Part::Kind> medium_kind_of(std::string_view name) {
  for (const auto kind : {Part::Kind::Image, Part::Kind::Audio, Part::Kind::Video}) {
    if (fourfold::kind_name(kind) == name) return kind;
  }
  return data_loss("unknown kind of medium");
}

template <class Value>
Status take_if(const Line& line, std::string_view key, std::optional<Value>& out) {
  if (!line.has(key)) return {};
  return line.take(key, out.emplace());
}

Status read_settings(const Line& line, MediaSettings& s) {
  TRY(take_if(line, "budget", s.budget));
  TRY(take_if(line, "fps", s.fps));
  TRY(take_if(line, "n_frames", s.n_frames));
  TRY(take_if(line, "from_s", s.from_s));
  TRY(take_if(line, "to_s", s.to_s));
  TRY(take_if(line, "video_tokens", s.video_tokens));
  return take_if(line, "sound", s.sound);
}

Status read_medium(const Line& line, TraceMedium& medium) {
  std::string kind, bytes;
  TRY(line.take("kind", kind));
  medium.part.kind = TRY(medium_kind_of(kind));
  TRY(line.take("where", medium.part.where));
  TRY(line.take("size", medium.size_bytes));
  TRY(line.take("sha256", medium.sha256));
  const JsonValue* settings = TRY(line.member("settings"));
  TRY(read_settings(Line(*settings), medium.part.settings));
  if (!line.has("bytes")) return {};
  TRY(line.take("bytes", bytes));
  medium.part.bytes = TRY(from_base64(bytes));
  const bool is_whole = medium.is_kept() && sha256_hex(medium.part.bytes.text()) == medium.sha256;
  return is_whole ? Status() : data_loss("\"bytes\" are not those that were kept");
}

Status read_film(const Line& line, FilmTurn& turn) {
  TRY(line.take("where", turn.where));
  TRY(line.take("window", turn.window));
  TRY(line.take("windows", turn.n_windows));
  TRY(line.take("from_s", turn.from_s));
  TRY(line.take("to_s", turn.to_s));
  TRY(line.take_list("ids", turn.prompt.ids, Line::read<TokenId>));
  TRY(line.take("text", turn.prompt.text));
  TRY(read_media(line, turn.prompt));
  TRY(line.take("notes", turn.notes));
  TRY(line.take("prompt_tokens", turn.prompt_tokens));
  TRY(line.take("cached_tokens", turn.cached_tokens));
  return line.take("answer_tokens", turn.answer_tokens);
}

Status read_request(const Line& line, Trace& trace) {
  constexpr std::size_t kMostCandidates = 1024;
  std::size_t n_candidates = 0;
  TRY(line.take_list("ids", trace.prompt.ids, Line::read<TokenId>));
  TRY(line.take("text", trace.prompt.text));
  TRY(line.take_list("untrusted", trace.prompt.untrusted, [](const JsonValue& item, ByteRange& r) {
    return Line::read_pair(item, r.begin, r.end);
  }));
  TRY(read_media(line, trace.prompt));
  TRY(line.take("thought_is_open", trace.prompt.thought_is_open));
  TRY(line.take("raw", trace.is_raw));
  TRY(line.take("hide_control", trace.hide_control));
  TRY(line.take("thinks", trace.thinks));
  TRY(line.take("max_tokens", trace.max_tokens));
  TRY(line.take("limit_is_context", trace.limit_is_context));
  TRY(line.take_list("stop_ids", trace.stop_ids, Line::read<TokenId>));
  TRY(line.take_list("stop", trace.stop, Line::read_text));
  TRY(line.take("thought_budget", trace.thought_budget));
  TRY(line.take("candidates", n_candidates));
  if (n_candidates == 0 || n_candidates > kMostCandidates) {
    return data_loss("{} candidates", n_candidates);
  }
  trace.candidates.resize(n_candidates);
  const JsonValue* sampling = TRY(line.member("sampling"));
  const JsonValue* rules = TRY(line.member("rules"));
  TRY(read_sampling(Line(*sampling), trace.sampling));
  return read_rules(Line(*rules), trace);
}

Status read_channel(const Line& line, Channel& channel) {
  std::string written;
  TRY(line.take("channel", written));
  for (const auto known : {Channel::Thought, Channel::Answer, Channel::Call}) {
    if (name(known) != written) continue;
    channel = known;
    return {};
  }
  return data_loss("unknown channel");
}

Status read_token(const Line& line, TraceCandidate& candidate) {
  auto& [token, channel] = candidate.tokens.emplace_back();
  TokenDescription& how = token.description.emplace();
  TRY(line.take("token", token.id));
  TRY(line.take("logprob", token.logprob));
  TRY(line.take("entropy", how.entropy));
  TRY(line.take("forced", how.is_forced));
  TRY(line.take("masked", how.is_masked));
  TRY(line.take_list("top", token.top_logprobs, [](const JsonValue& item, TokenLogprob& top) {
    return Line::read_pair(item, top.id, top.logprob);
  }));
  return read_channel(line, channel);
}

Status read_end(const Line& line, TraceCandidate& candidate) {
  using enum ChatFinish;
  CandidateEnd& end = candidate.end;
  std::string finish;
  TRY(line.take("end", finish));
  for (const auto known : {Stop, ToolCalls, Length, Loop, Cancelled}) {
    if (name(known) == finish) end.finish = known;
  }
  candidate.has_ended = true;
  TRY(line.take("context_is_full", end.context_is_full));
  TRY(line.take("thought_tokens", end.usage.thought_tokens));
  TRY(line.take("answer_tokens", end.usage.answer_tokens));
  TRY(line.take("call_tokens", end.usage.call_tokens));
  TRY(line.take("queue_ms", end.queue_ms));
  TRY(line.take("prefill_ms", end.prefill_ms));
  TRY(line.take("decode_ms", end.decode_ms));
  if (line.has("stop_text")) TRY(line.take("stop_text", end.stop_text.emplace()));
  return {};
}

Status read_line(const Line& line, Trace& trace) {
  if (line.has("trace")) return read_head(line, trace);
  if (line.has("request")) return read_request(Line(*TRY(line.member("request"))), trace);
  if (line.has("medium")) {
    const JsonValue* medium = TRY(line.member("medium"));
    return read_medium(Line(*medium), trace.media.emplace_back());
  }
  if (line.has("film")) {
    const JsonValue* film = TRY(line.member("film"));
    return read_film(Line(*film), trace.films.emplace_back());
  }
  if (line.has("total_ms")) {
    TRY(line.take("cached_tokens", trace.cached_tokens));
    return line.take("total_ms", trace.total_ms);
  }
  std::size_t index = 0;
  TRY(line.take("candidate", index));
  if (index >= trace.candidates.size()) return data_loss("there is no candidate {}", index);
  TraceCandidate& candidate = trace.candidates[index];
  if (line.has("token")) return read_token(line, candidate);
  if (line.has("end")) return read_end(line, candidate);
  candidate.events.push_back(*TRY(line.member("event")));
  return {};
}

}  // namespace

std::string trace_text(const Trace& trace) {
  std::string out;
  const auto add = [&](const JsonValue& line) { out += to_json_text(line) + "\n"; };
  add(head_json(trace));
  add(request_json(trace));
  for (const auto& medium : trace.media) add(medium_json(medium));
  for (const auto& turn : trace.films) add(film_json(turn));
  for (std::size_t i = 0; i < trace.candidates.size(); ++i) {
    const TraceCandidate& candidate = trace.candidates[i];
    for (const auto& token : candidate.tokens) add(token_json(i, token));
    for (const auto& event : candidate.events) {
      add(JsonValue::object({{"candidate", number(i)}, {"event", event}}));
    }
    add(end_json(i, candidate));
  }
  add(JsonValue::object(
      {{"cached_tokens", number(trace.cached_tokens)}, {"total_ms", number(trace.total_ms)}}));
  return out;
}

Result<Trace> parse_trace(std::string_view text) {
  Trace trace;
  std::size_t n_lines = 0;
  bool is_complete = false;
  while (!text.empty()) {
    const auto length = std::min(text.find('\n'), text.size());
    const auto where = fmt::format("line {}", ++n_lines);
    const auto json = parse_json_value(text.substr(0, length));
    if (!json) return data_loss("{}: {}", where, json.error().message);
    if ((n_lines == 1) != (json->find("trace") != nullptr)) {
      return data_loss("{}: no trace begins like this", where);
    }
    TRY_IN(where, read_line(Line(*json), trace));
    is_complete = json->find("total_ms") != nullptr;
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  if (!is_complete) return data_loss("the trace is cut off after line {}", n_lines);
  return trace;
}

}  // namespace fourfold
