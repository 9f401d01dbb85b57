// Random walks over the masks: whatever a model picks, what comes out parses and is what was asked.
//
// The walks go to <build>/grammar/walks.jsonl, one {"name", "schema", "instance"} a line, for an
// independent validator (check_walks.py).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "base/json_value.h"
#include "grammar/constraint.h"
#include "grammar/token_mask.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

constexpr int kEagerTokens = 60;  // from here on a walk takes what closes
constexpr int kMaxTokens = 3000;

std::string read_text(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The rows of <what>.json and real-<what>.json.
std::vector<JsonValue> cases(const std::string& what) {
  std::vector<JsonValue> rows;
  for (const std::string prefix : {"", "real-"}) {
    const auto path =
        std::string(FOURFOLD_SOURCE_DIR) + "/tests/cases/grammar/" + prefix + what + ".json";
    const auto parsed = parse_json_value(read_text(path));
    EXPECT_TRUE(parsed.ok()) << path << ": " << (parsed.ok() ? "" : parsed.error().message);
    if (parsed.ok()) rows.insert(rows.end(), parsed->items.begin(), parsed->items.end());
  }
  return rows;
}

ConstraintFactory& factory() {
  static ConstraintFactory factory(small_tokenizer());
  return factory;
}

int walks_per_case() {
  const char* n = std::getenv("FOURFOLD_WALKS_PER_CASE");
  return n ? std::atoi(n) : 24;
}

using Random = std::mt19937_64;

std::vector<TokenId> ids_of(std::span<const std::uint64_t> mask) {
  std::vector<TokenId> ids;
  for (TokenId id = 0; id < small_tokenizer().vocab_size(); ++id) {
    if (is_allowed(mask, id)) ids.push_back(id);
  }
  return ids;
}

// Whether this id brings the end nearer.
bool closes(TokenId id) {
  const auto& control = small_tokenizer().control();
  if (id == control.quote || id == control.tool_call_close) return true;
  const auto text = small_tokenizer().bytes(id);
  return text == "\"" || text == "}" || text == "]" || text == "\"}" || text == "]}" || text == ":";
}

TokenId pick(const std::vector<TokenId>& ids, bool eager, Random& random) {
  if (eager) {
    for (const TokenId id : ids) {
      if (closes(id)) return id;
    }
  }
  return ids[random() % ids.size()];
}

// Goes to the end of a document and returns its ids. On its way it goes back, copies and takes
// forced tokens, none of which may change what is allowed.
Result<std::vector<TokenId>> walk(Constraint& constraint, Random& random) {
  std::vector<TokenId> out;
  while (!constraint.is_complete()) {
    const bool eager = out.size() > kEagerTokens;
    if (out.size() > kMaxTokens) return internal_error("the walk does not end");
    const auto ids = ids_of(TRY(constraint.allowed()));
    if (constraint.is_accepting() && (eager || ids.empty() || random() % 4 == 0)) break;
    if (ids.empty()) return internal_error("nothing is allowed and the document may not end");

    if (random() % 8 == 0) {
      const auto forced = TRY(constraint.forced());
      for (const TokenId id : forced) {
        TRY_IN("forced", constraint.commit(id));
        out.push_back(id);
      }
      if (!forced.empty()) continue;
    }
    const TokenId id = pick(ids, eager, random);
    TRY(constraint.commit(id));
    out.push_back(id);
    if (random() % 16 == 0) {
      const int n = static_cast<int>(random() % std::min<std::size_t>(out.size(), 4)) + 1;
      auto copy = constraint.copy();
      TRY(copy.rollback(n));
      for (std::size_t i = out.size() - static_cast<std::size_t>(n); i < out.size(); ++i) {
        TRY_IN("again", copy.commit(out[i]));
      }
      const auto again = ids_of(TRY(copy.allowed()));
      if (again != ids_of(TRY(constraint.allowed())))
        return internal_error("going back changed it");
    }
  }
  return out;
}

std::string text_of(const std::vector<TokenId>& ids) {
  std::string text;
  for (const TokenId id : ids) text += small_tokenizer().bytes(id);
  return text;
}

class WalkLog {
 public:
  explicit WalkLog(const std::string& name) {
    const auto folder = std::filesystem::path(FOURFOLD_BUILD_DIR) / "grammar";
    std::filesystem::create_directories(folder);
    out_.open(folder / name);
  }
  void add(const std::string& name, const JsonValue& schema, const std::string& instance) {
    JsonValue row = JsonValue::object();
    row.set("name", JsonValue::of(name));
    row.set("schema", schema);
    row.set("instance", JsonValue::of(instance));
    out_ << to_json_text(row) << '\n';
  }

 private:
  std::ofstream out_;
};

TEST(ConstraintWalk, EverySchemaYieldsTextThatParses) {
  WalkLog log("walks.jsonl");
  Random random(1);
  const auto rows = cases("schemas");
  EXPECT_GE(rows.size(), 140u);
  for (const auto& row : rows) {
    const std::string& name = row.find("name")->text;
    SCOPED_TRACE(name);
    for (int i = 0; i < walks_per_case(); ++i) {
      auto constraint = factory().json_schema(*row.find("schema"));
      ASSERT_TRUE(constraint.ok()) << constraint.error().message;
      const auto ids = walk(*constraint, random);
      ASSERT_TRUE(ids.ok()) << ids.error().message;
      const auto text = text_of(*ids);
      const auto value = parse_json_value(text);
      ASSERT_TRUE(value.ok()) << value.error().message << "\n" << text;
      log.add(name, *row.find("schema"), text);
    }
  }
}

TEST(ConstraintWalk, AnyJsonParses) {
  Random random(2);
  for (int i = 0; i < 4 * walks_per_case(); ++i) {
    auto value = factory().any_json();
    auto object = factory().json_object();
    ASSERT_TRUE(value.ok() && object.ok());
    const auto value_ids = walk(*value, random), object_ids = walk(*object, random);
    ASSERT_TRUE(value_ids.ok()) << value_ids.error().message;
    ASSERT_TRUE(object_ids.ok()) << object_ids.error().message;
    EXPECT_TRUE(parse_json_value(text_of(*value_ids)).ok()) << text_of(*value_ids);
    const auto parsed = parse_json_value(text_of(*object_ids));
    ASSERT_TRUE(parsed.ok()) << text_of(*object_ids);
    EXPECT_TRUE(parsed->is_object());
  }
}

// A strict reader of the call syntax (tokenizer-chat.md 4.1), where \xFF stands for <|"|>.
class CallChecker {
 public:
  struct Call {
    std::string name;
    JsonValue arguments;
  };

  explicit CallChecker(std::string_view text) : text_(text) {}

  Result<Call> read() {
    if (!take("call:")) return error("call:");
    const auto brace = text_.find('{', at_);
    if (brace == text_.npos) return error("{");
    Call call = {std::string(text_.substr(at_, brace - at_)), {}};
    at_ = brace;
    call.arguments = TRY(read_value());
    if (at_ != text_.size()) return error("the end");
    return call;
  }

 private:
  static constexpr std::string_view kQuote = "\xFF";

  bool take(std::string_view what) {
    if (!text_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  Error error(std::string_view expected) const {
    return invalid_argument("offset {}: expected {}", at_, expected);
  }

  std::string read_until(std::string_view ends) {
    const auto end = std::min(text_.find_first_of(ends, at_), text_.size());
    std::string out(text_.substr(at_, end - at_));
    at_ = end;
    return out;
  }

  Result<std::string> read_string() {
    auto text = read_until(kQuote);
    if (!take(kQuote)) return error("<|\"|>");
    return text;
  }

  Result<JsonValue> read_value() {
    if (take(kQuote)) return JsonValue::of(TRY(read_string()));
    if (take("{")) return read_object();
    if (take("[")) return read_array();
    // A scalar is spelled as in JSON.
    return TRY_IN("scalar", parse_json_value(read_until(",}]")));
  }

  Result<JsonValue> read_object() {
    JsonValue object = JsonValue::object();
    if (take("}")) return object;
    do {
      const bool quoted = take(kQuote);
      const auto key = quoted ? TRY(read_string()) : read_until(":,{}[]");
      if (!take(":")) return error(":");
      object.set(key, TRY(read_value()));
    } while (take(","));
    if (!take("}")) return error("}");
    return object;
  }

  Result<JsonValue> read_array() {
    JsonValue array = JsonValue::array();
    if (take("]")) return array;
    do {
      array.items.push_back(TRY(read_value()));
    } while (take(","));
    if (!take("]")) return error("]");
    return array;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// Texts between <|tool_call> and <tool_call|>.
Result<std::vector<std::string>> calls_in(const std::vector<TokenId>& ids) {
  const auto& control = small_tokenizer().control();
  std::vector<std::string> calls;
  bool is_open = false;
  for (const TokenId id : ids) {
    if (id == control.tool_call_open && !is_open) {
      calls.emplace_back();
      is_open = true;
    } else if (id == control.tool_call_close && is_open) {
      is_open = false;
    } else if (is_open && (id == control.quote || !small_tokenizer().is_control(id))) {
      calls.back() += id == control.quote ? "\xFF" : std::string(small_tokenizer().bytes(id));
    } else {
      return internal_error("token {} does not belong there", id);
    }
  }
  if (is_open) return internal_error("the last call does not end");
  return calls;
}

JsonValue parameters_schema(const JsonValue& parameters) {
  return parameters.is_null() ? JsonValue::object() : parameters;
}

TEST(ConstraintWalk, EveryToolSetYieldsCallsThatRead) {
  WalkLog log("calls.jsonl");
  Random random(3);
  const auto rows = cases("tools");
  EXPECT_GE(rows.size(), 40u);
  for (const auto& row : rows) {
    SCOPED_TRACE(row.find("name")->text);
    const JsonValue& tools = *row.find("tools");
    for (int i = 0; i < walks_per_case(); ++i) {
      ToolSet set;
      for (const auto& [name, parameters] : tools.members) set.tools.push_back({name, parameters});
      set.parallel = i % 2 == 0;
      auto constraint = factory().tools(set);
      ASSERT_TRUE(constraint.ok()) << constraint.error().message;
      const auto ids = walk(*constraint, random);
      ASSERT_TRUE(ids.ok()) << ids.error().message;
      const auto calls = calls_in(*ids);
      ASSERT_TRUE(calls.ok()) << calls.error().message;
      ASSERT_FALSE(calls->empty());
      EXPECT_TRUE(set.parallel || calls->size() == 1);
      for (const auto& text : *calls) {
        const auto call = CallChecker(text).read();
        ASSERT_TRUE(call.ok()) << call.error().message << "\n" << text;
        const JsonValue* parameters = tools.find(call->name);
        ASSERT_NE(parameters, nullptr) << call->name;
        log.add(row.find("name")->text + ": " + call->name, parameters_schema(*parameters),
                to_json_text(call->arguments));
      }
    }
  }
}

}  // namespace
}  // namespace fourfold
