// Whole conversations, turn by turn: tests/cases/turns, whose README says what the fields mean.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "chat/output_json.h"
#include "chat/output_rules.h"
#include "chat/render.h"
#include "chat/request_json.h"
#include "chat/thinking_budget.h"
#include "tokenizer/detokenizer.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

const std::filesystem::path kFolder = FOURFOLD_SOURCE_DIR "/tests/cases/turns";

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Shows where two texts part rather than both of them as a whole.
testing::AssertionResult same_text(std::string_view expected, std::string_view actual) {
  if (expected == actual) return testing::AssertionSuccess();
  const auto [first, second] =
      std::mismatch(expected.begin(), expected.end(), actual.begin(), actual.end());
  const auto at = static_cast<std::size_t>(first - expected.begin());
  const auto excerpt = [&](std::string_view text) {
    const std::size_t begin = at < 30 ? 0 : at - 30;
    return begin < text.size() ? text.substr(begin, 90) : std::string_view();
  };
  return testing::AssertionFailure()
         << "first difference at byte " << at << "\nexpected …" << excerpt(expected)
         << "…\nbut is   …" << excerpt(actual) << "…";
}

std::int64_t budget_of(const JsonValue& request, const Thinking& thinking) {
  const auto* limit = request.find("max_tokens");
  const auto room = limit ? std::stoll(limit->text) : std::numeric_limits<std::int64_t>::max();
  return thinking_budget(thinking, room);
}

Result<Conversation> read_request(const JsonValue& request) {
  auto conversation = TRY(parse_request(to_json_text(request)));
  if (const auto* choice = request.find("tool_choice")) {
    conversation.tool_choice = TRY(read_tool_choice(*choice, conversation.tools));
  }
  if (const auto* parallel = request.find("parallel_tool_calls")) {
    conversation.tool_choice.parallel = parallel->boolean;
  }
  if (const auto* format = request.find("response_format")) {
    conversation.response_format = TRY(read_response_format(*format));
  }
  if (const auto* stops = request.find("stop")) {
    for (const auto& stop : stops->items) conversation.stop.push_back(stop.text);
  }
  if (const auto* budget = request.find("thinking_budget")) {
    conversation.thinking.budget_tokens = std::stoll(budget->text);
  }
  conversation.thinking.on = budget_of(request, conversation.thinking) > 0;
  return conversation;
}

Result<Prompt> render_prompt(const JsonValue& request, Variant variant) {
  const auto conversation = TRY(read_request(request));
  return render(small_tokenizer(), conversation, {.variant = variant});
}

ConstraintFactory& constraints() {
  static ConstraintFactory factory(small_tokenizer());
  return factory;
}

Result<OutputMachineOptions> read_rules(const JsonValue& request, bool thought_is_open) {
  const auto conversation = TRY(read_request(request));
  auto rules = TRY(output_rules(conversation, constraints()));
  rules.thought_is_open = thought_is_open;
  if (conversation.thinking.on) rules.thought_budget = budget_of(request, conversation.thinking);
  return rules;
}

// What the model generates, as ids that know their piece.
struct Script {
  struct Token {
    TokenId id = kNoToken;
    std::size_t piece = 0;
  };

  std::vector<Token> tokens;
  std::size_t n_pieces = 0;
  TokenId stop_id = kNoToken;
  ChatFinish reason = ChatFinish::Length;  // without a stop token
};

std::vector<TokenId> byte_pieces(std::string_view hex) {
  std::vector<TokenId> ids;
  for (; hex.size() >= 2; hex.remove_prefix(std::min<std::size_t>(3, hex.size()))) {
    const int byte = std::stoi(std::string(hex.substr(0, 2)), nullptr, 16);
    ids.push_back(small_tokenizer().find_piece(fmt::format("<0x{:02X}>", byte)));
  }
  return ids;
}

std::vector<TokenId> ids_of_piece(const JsonValue& piece) {
  const Tokenizer& tokenizer = small_tokenizer();
  if (piece.is_string()) return tokenizer.encode(piece.text, Trust::Untrusted);
  if (const auto* control = piece.find("control")) return {tokenizer.find_piece(control->text)};
  if (const auto* bytes = piece.find("bytes")) return byte_pieces(bytes->text);
  std::string text;
  for (int n = std::stoi(piece.find("times")->text); n > 0; --n) text += piece.find("text")->text;
  return tokenizer.encode(text, Trust::Untrusted);
}

// One turn of a case, which outlives it.
class Turn {
 public:
  Turn(const JsonValue& json, Variant variant) : json_(json), variant_(variant) {}

  // Null for what is absent.
  const JsonValue& field(std::string_view key) const {
    static const JsonValue kNull;
    const auto* found = json_.find(key);
    return found ? *found : kNull;
  }
  bool has(std::string_view key) const { return json_.find(key) != nullptr; }
  const JsonValue& request() const { return field("request"); }
  Variant variant() const { return variant_; }

  bool is_refused() const { return has("refused"); }
  bool opens_thought() const { return has("thought_is_open"); }
  bool is_stopped_by_us() const { return ended_by() == "stop_text" || ended_by() == "loop"; }
  const std::string& ended_by() const { return field("ended_by").text; }
  // The piece that the mask refuses; the end counts as one more.
  std::optional<std::size_t> refused_piece() const {
    const auto* piece = field("mask").find("refuses");
    return piece ? std::optional(std::stoul(piece->text)) : std::nullopt;
  }
  // Empty: the ids go on.
  std::string why_not_rerendered() const {
    const auto* reason = field("rerender").find("differs");
    return reason ? reason->text : "";
  }
  std::string events() const { return to_json_text(field("events")); }
  std::string parsed() const { return to_json_text(field("parsed")); }

  std::vector<Segment> prompt() const {
    std::vector<Segment> segments;
    for (const auto& item : field("prompt").items) {
      const auto* data = item.find("data");
      segments.push_back(data ? Segment{data->text, Trust::Untrusted}
                              : Segment{item.text, Trust::Trusted});
    }
    return segments;
  }

  Script script() const {
    Script script;
    for (const auto& piece : field("generated").items) {
      for (const TokenId id : ids_of_piece(piece)) script.tokens.push_back({id, script.n_pieces});
      ++script.n_pieces;
    }
    const TokenId last = small_tokenizer().find_piece(ended_by());
    if (small_tokenizer().is_control(last)) script.stop_id = last;
    return script;
  }

 private:
  const JsonValue& json_;
  Variant variant_;
};

struct Case {
  JsonValue json;
  Variant variant = Variant::Large;

  std::vector<Turn> turns() const {
    std::vector<Turn> turns;
    for (const auto& turn : json.find("turns")->items) turns.emplace_back(turn, variant);
    return turns;
  }
};

Case read_case(const std::string& name) {
  auto json = parse_json_value(read_text(kFolder / (name + ".json")));
  if (!json.ok() || !json->find("variant") || !json->find("turns")) {
    ADD_FAILURE() << name << ": " << (json.ok() ? "no case" : json.error().message);
    return {JsonValue::object({{"turns", JsonValue::array()}})};
  }
  const bool is_small = json->find("variant")->text == "small";
  return {std::move(*json), is_small ? Variant::Small : Variant::Large};
}

template <class Check>
void for_each_turn(const Case& one, Check check) {
  int index = 0;
  for (const auto& turn : one.turns()) {
    SCOPED_TRACE(fmt::format("turn {} {}", index++, turn.field("note").text));
    check(turn);
  }
}

// Of those that come to an answer.
template <class Check>
void for_each_answer(const Case& one, Check check) {
  for_each_turn(one, [&](const Turn& turn) {
    if (!turn.is_refused()) check(turn);
  });
}

class TurnCases : public testing::TestWithParam<std::string> {
 protected:
  const Case case_ = read_case(GetParam());
};

// Prompts.

// Data stands between these marks.
std::string marked(std::string_view data) { return fmt::format("⟦{}⟧", data); }

std::string marked_text(const std::vector<Segment>& segments) {
  std::string text;
  for (const auto& segment : segments) {
    text += segment.trust == Trust::Trusted ? std::string(segment.text) : marked(segment.text);
  }
  return text;
}

std::string marked_text(const Prompt& prompt) {
  std::string text;
  std::size_t begin = 0;
  for (const auto& data : prompt.untrusted) {
    text += prompt.text.substr(begin, data.begin - begin);
    text += marked(prompt.text.substr(data.begin, data.end - data.begin));
    begin = data.end;
  }
  return text + prompt.text.substr(begin);
}

void check_refused(const Turn& turn) {
  const bool is_accepted = render_prompt(turn.request(), turn.variant()).ok() &&
                           read_rules(turn.request(), turn.opens_thought()).ok();
  EXPECT_FALSE(is_accepted) << turn.field("refused").text;
}

TEST_P(TurnCases, RenderThePromptOrRefuseTo) {
  for_each_turn(case_, [](const Turn& turn) {
    if (turn.is_refused()) return check_refused(turn);
    const auto prompt = render_prompt(turn.request(), turn.variant());
    ASSERT_TRUE(prompt.ok()) << prompt.error().message;
    const auto expected = turn.prompt();
    EXPECT_TRUE(same_text(marked_text(expected), marked_text(*prompt)));
    EXPECT_TRUE(prompt->ids == small_tokenizer().encode(expected)) << "the ids differ";
    EXPECT_EQ(prompt->thought_is_open, turn.opens_thought());
  });
}

// Masks.

bool allows_text(const OutputMachine& machine) {
  const auto allowed = machine.allowed();
  const auto text = small_tokenizer().text_ids();
  for (std::size_t word = 0; word < text.size(); ++word) {
    if ((allowed[word] & text[word]) != 0) return true;
  }
  return false;
}

bool contains(const JsonValue& list, std::string_view text) {
  return std::any_of(list.items.begin(), list.items.end(),
                     [&](const JsonValue& item) { return item.text == text; });
}

// "may", "may_not" and "text" of one place.
void check_allowed(const JsonValue& place, const OutputMachine& machine) {
  const JsonValue& may = *place.find("may");
  const JsonValue& may_not = *place.find("may_not");
  for (const auto& piece : control_pieces(Family::Gemma4)) {
    const bool is_expected = contains(may, piece.text);
    const bool is_forbidden =
        may_not.is_array() ? contains(may_not, piece.text) : !is_expected;  // "others"
    if (!is_expected && !is_forbidden) continue;
    const TokenId id = small_tokenizer().find_piece(piece.text);
    EXPECT_EQ(is_allowed(machine.allowed(), id), is_expected) << piece.text;
  }
  if (const auto* text = place.find("text")) {
    EXPECT_EQ(allows_text(machine), text->boolean) << "ids of text";
  }
}

void check_allowed_before(const Turn& turn, std::size_t piece, const OutputMachine& machine) {
  if (!turn.has("allowed")) return;
  for (const auto& place : turn.field("allowed").items) {
    if (std::stoul(place.find("before")->text) != piece) continue;
    SCOPED_TRACE(fmt::format("before piece {}", piece));
    check_allowed(place, machine);
  }
}

// The piece that the mask refuses. Before it every place is checked.
std::optional<std::size_t> find_refused_piece(const Turn& turn, OutputMachine& machine) {
  const auto script = turn.script();
  std::optional<std::size_t> previous;
  for (const auto& [id, piece] : script.tokens) {
    if (previous != piece) check_allowed_before(turn, piece, machine);
    previous = piece;
    if (!is_allowed(machine.allowed(), id)) return piece;
    EXPECT_TRUE(piece + 1 == script.n_pieces || !machine.is_over()) << "over in piece " << piece;
    const auto committed = machine.commit(id);
    EXPECT_TRUE(committed.ok()) << "piece " << piece << ": " << committed.error().message;
  }
  check_allowed_before(turn, script.n_pieces, machine);
  const bool may_end = script.stop_id == kNoToken || is_allowed(machine.allowed(), script.stop_id);
  return may_end ? std::nullopt : std::optional(script.n_pieces);
}

TEST_P(TurnCases, AllowWhatTheRequestAllows) {
  if (!ConstraintFactory::is_available()) GTEST_SKIP() << "built without constraints";
  for_each_answer(case_, [](const Turn& turn) {
    auto rules = read_rules(turn.request(), turn.opens_thought());
    ASSERT_TRUE(rules.ok()) << rules.error().message;
    OutputMachine machine(small_tokenizer(), std::move(*rules));
    EXPECT_EQ(find_refused_piece(turn, machine), turn.refused_piece());
    EXPECT_EQ(machine.is_over(), turn.is_stopped_by_us());
  });
}

// Events.

std::string parsed_text(const std::vector<ChatEvent>& events) {
  ChatOutput output;
  for (const auto& event : events) output.add(event);
  auto json = output_json(output);
  std::erase_if(json.members, [](const JsonMember& member) {
    return member.value.items.empty() && member.value.text.empty();
  });
  return to_json_text(json);
}

void check_events(const Turn& turn, const std::vector<ChatEvent>& events) {
  EXPECT_TRUE(same_text(turn.events(), to_json_text(events_json(events))));
  EXPECT_TRUE(same_text(turn.parsed(), parsed_text(events)));
}

// Arguments that were reported while they were written are those of the call in the end, and no
// part of them ends within a value.
void check_streamed_calls(const std::vector<ChatEvent>& events) {
  std::string name, arguments;
  for (const auto& event : events) {
    if (event.type == ChatEvent::Type::CallStarted) {
      name = event.call.name;
      arguments.clear();
    }
    if (event.type == ChatEvent::Type::CallArguments) {
      arguments += event.text;
      EXPECT_NE(std::string_view("{}[],:\"").find(arguments.back()), std::string_view::npos)
          << arguments;
    }
    if (event.type != ChatEvent::Type::Call) continue;
    EXPECT_EQ(name, event.call.name);
    EXPECT_EQ(arguments, to_json_text(event.call.arguments));
  }
}

enum class Delivery { IdById, AllAtOnce };

std::vector<ChatEvent> run_machine(const Turn& turn, Delivery delivery) {
  std::vector<ChatEvent> events;
  auto rules = read_rules(turn.request(), turn.opens_thought());
  if (!rules.ok()) return events;
  OutputMachine machine(small_tokenizer(), std::move(*rules));
  const auto take = [&] {
    auto taken = machine.take_events();
    std::move(taken.begin(), taken.end(), std::back_inserter(events));
  };
  const auto script = turn.script();
  for (const auto& token : script.tokens) {
    if (!machine.commit(token.id).ok()) return events;
    if (delivery == Delivery::IdById) take();
  }
  machine.finish(script.stop_id, script.reason);
  take();
  return events;
}

TEST_P(TurnCases, ReportTheSameIdByIdAndAtOnce) {
  if (!ConstraintFactory::is_available()) GTEST_SKIP() << "built without constraints";
  for_each_answer(case_, [](const Turn& turn) {
    if (turn.refused_piece()) return;  // such ids never come
    const auto streamed = run_machine(turn, Delivery::IdById);
    check_events(turn, streamed);
    check_streamed_calls(streamed);
    check_events(turn, run_machine(turn, Delivery::AllAtOnce));
  });
}

TEST_P(TurnCases, AreReadWithoutAMaskToo) {
  for_each_answer(case_, [](const Turn& turn) {
    if (turn.is_stopped_by_us()) return;  // by the machine
    OutputParser parser(small_tokenizer(), {.thought_is_open = turn.opens_thought()});
    std::vector<ChatEvent> events;
    const auto add = [&](std::vector<ChatEvent> more) {
      std::move(more.begin(), more.end(), std::back_inserter(events));
    };
    const auto script = turn.script();
    for (const auto& token : script.tokens) add(parser.push(token.id));
    add(script.stop_id != kNoToken ? parser.push(script.stop_id) : parser.finish(script.reason));
    check_events(turn, events);
  });
}

// Rendering again.

JsonValue message(const char* role, const std::string& content) {
  return JsonValue::object({{"role", JsonValue::of(role)}, {"content", JsonValue::of(content)}});
}

std::string text_or_empty(const JsonValue& object, std::string_view key) {
  const auto* value = object.find(key);
  return value ? value->text : "";
}

std::string call_id(std::size_t index) { return fmt::format("again-{}", index); }

JsonValue tool_calls(const JsonValue& calls) {
  auto list = JsonValue::array();
  for (const auto& call : calls.items) {
    auto function = call;
    function.erase("repaired");
    list.items.push_back(JsonValue::object(
        {{"id", JsonValue::of(call_id(list.items.size()))}, {"function", std::move(function)}}));
  }
  return list;
}

// The request that follows the answer: its calls have results, or else the user goes on.
JsonValue next_request(const Turn& turn) {
  auto request = turn.request();
  auto& messages = request.find("messages")->items;
  const JsonValue& parsed = turn.field("parsed");
  std::string content = text_or_empty(parsed, "content");
  if (content.empty() && !parsed.find("tool_calls") && parsed.find("malformed")) {
    for (const auto& raw : parsed.find("malformed")->items) content += raw.text;
  }
  if (request.find("continue_final_message")) {
    request.erase("continue_final_message");
    content = messages.back().find("content")->text + content;
    messages.pop_back();
  }
  auto answer = message("assistant", content);
  if (const auto* thinking = parsed.find("thinking")) answer.set("reasoning", *thinking);
  const auto* calls = parsed.find("tool_calls");
  if (!calls) {
    messages.push_back(std::move(answer));
    messages.push_back(message("user", "Next."));
    return request;
  }
  answer.set("tool_calls", tool_calls(*calls));
  messages.push_back(std::move(answer));
  for (std::size_t i = 0; i < calls->items.size(); ++i) {
    auto result = message("tool", "ok");
    result.set("tool_call_id", JsonValue::of(call_id(i)));
    messages.push_back(std::move(result));
  }
  return request;
}

std::string last_bytes(const std::string& text, std::size_t n) {
  return text.size() > n ? text.substr(text.size() - n) : text;
}

TEST_P(TurnCases, GoOnInTheNextPromptOrSayWhyNot) {
  for_each_answer(case_, [](const Turn& turn) {
    const auto script = turn.script();
    auto ids = small_tokenizer().encode(turn.prompt());
    for (const auto& token : script.tokens) ids.push_back(token.id);
    if (script.stop_id != kNoToken) ids.push_back(script.stop_id);

    const auto next = render_prompt(next_request(turn), turn.variant());
    ASSERT_TRUE(next.ok()) << next.error().message;
    const auto differs = std::mismatch(ids.begin(), ids.end(), next->ids.begin(), next->ids.end());
    const bool goes_on = differs.first == ids.end();
    const std::string reason = turn.why_not_rerendered();
    EXPECT_EQ(goes_on, reason.empty())
        << reason << "\nfirst difference at id " << differs.first - ids.begin() << " of "
        << ids.size() << ", after …"
        << last_bytes(decode(small_tokenizer(), {ids.begin(), differs.first}), 60);
  });
}

INSTANTIATE_TEST_SUITE_P(Conversations, TurnCases, testing::ValuesIn(case_names()),
                         [](const auto& one) {
                           std::string name = one.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// The README.

// What stands between backticks at the beginning of the rows of a table under this heading.
std::set<std::string> rows_under(std::string_view heading) {
  std::ifstream in(kFolder / "README.md");
  std::set<std::string> rows;
  bool is_under = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) is_under = line == heading;
    if (is_under && line.starts_with("| `")) rows.insert(line.substr(3, line.find('`', 3) - 3));
  }
  return rows;
}

TEST(TurnCasesReadme, ListsEveryFile) {
  const auto names = case_names();
  EXPECT_EQ(rows_under("## What is covered"), std::set<std::string>(names.begin(), names.end()));
}

TEST(TurnCasesReadme, ListsEveryReasonNotToGoOn) {
  std::set<std::string> reasons;
  for (const auto& name : case_names()) {
    for_each_answer(read_case(name),
                    [&](const Turn& turn) { reasons.insert(turn.why_not_rerendered()); });
  }
  reasons.erase("");
  EXPECT_EQ(rows_under("## Rendered again"), reasons);
}

}  // namespace
}  // namespace fourfold
