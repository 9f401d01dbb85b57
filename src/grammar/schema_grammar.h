// JSON schemas as the source of a Lark grammar, in one of two notations: JSON, or the values of
// Gemma's calls, whose strings stand raw between two <|"|>.
//
//   SchemaGrammar grammar({.notation = Notation::Json});
//   const std::string value = TRY(grammar.value(schema, "$"));
//   grammar.source("start: " + value)
//
// The constraint may be narrower than the schema (an object with properties has no others unless
// it says so), never wider, unless a keyword is loosened.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "base/result.h"
#include "grammar/number_range.h"
#include "grammar/regex_pattern.h"
#include "tokenizer/token_id.h"

namespace fourfold {

enum class Notation { Json, Call };

struct SchemaGrammarOptions {
  Notation notation = Notation::Json;
  TokenId quote = kNoToken;  // <|"|>, of Notation::Call
  bool loosen = false;       // leave out what cannot be held, instead of an error
};

class SchemaGrammar {
 public:
  explicit SchemaGrammar(SchemaGrammarOptions options) : options_(options) {}

  // Between values of different schemas, whose rules share one source.
  void set_loosen(bool loosen) { options_.loosen = loosen; }

  // What stands for a value of this schema in a rule. InvalidArgument "$.properties.a: …"; `where`
  // stands for $.
  Result<std::string> value(const JsonValue& schema, std::string_view where);
  // The same for the arguments of a call: an object, without members if none are named.
  Result<std::string> arguments(const JsonValue& schema, std::string_view where);
  std::string any_value();
  std::string any_object();

  // All rules so far, after these lines.
  std::string source(std::string_view start) const;

  const std::vector<std::string>& loosened() const { return loosened_; }

 private:
  using Path = std::string;
  struct Member {
    std::string key;
    std::string text;  // key, colon and value, in a rule
    bool required = false;
  };
  struct Counts {
    std::int64_t min = 0, max = -1;  // max < 0: no limit
  };

  // Schemas.
  void start_value(const JsonValue& schema, std::string_view where);
  Result<std::string> schema_value(const JsonValue& schema, const Path& path);
  Result<std::string> strict_value(const JsonValue& schema, const Path& path);
  Result<std::string> plain_value(const JsonValue& schema, const Path& path);
  Result<std::string> value_of_any_type(const JsonValue& schema, const Path& path);
  Result<std::string> reference(std::string_view pointer, const Path& path);
  Result<std::string> alternatives(const JsonValue& schema, const std::string& key,
                                   const Path& path);
  Result<std::string> alternative(const JsonValue& schema, const JsonValue& rest, const Path& path);
  Result<std::string> typed_value(const JsonValue& schema, std::string_view type, const Path& path);
  Result<std::string> enum_values(const JsonValue& schema, const Path& path);
  Result<JsonValue> flattened(const JsonValue& schema, const Path& path, int depth);
  Result<JsonValue> checked(const JsonValue& schema, const Path& path);
  Result<const JsonValue*> find_target(std::string_view pointer, const Path& path) const;
  bool are_disjoint(const JsonValue& a, const JsonValue& b, int depth) const;
  const JsonValue& resolved(const JsonValue& schema) const;
  Status unsupported(const Path& path, std::string_view what);

  // Types.
  Result<std::string> object(const JsonValue& schema, const Path& path);
  Result<std::vector<Member>> members(const JsonValue& schema, const Path& path);
  Result<std::string> free_member(const JsonValue& schema, const std::vector<Member>& named,
                                  const Path& path);
  std::string members_in_order(const std::vector<Member>& members, const std::string& free);
  std::string members_by_bits(const std::vector<Member>& members, const std::string& free,
                              Counts counts);
  Result<std::string> array(const JsonValue& schema, const Path& path);
  Result<std::string> string(const JsonValue& schema, const Path& path);
  Result<std::string> number(const JsonValue& schema, bool integer, const Path& path);
  Result<Counts> counts(const JsonValue& schema, std::string_view what, const Path& path);

  // Notation.
  std::string literal(const JsonValue& value);
  std::string string_value(const std::vector<RegexPattern>& patterns);
  std::string free_string(Counts length);
  std::string key_text(std::string_view key);
  std::string free_key(const std::vector<Member>& named);
  void make_any_rules();
  std::string open_brace(), close_brace(), open_bracket(), close_bracket(), comma(), colon();

  // Names for bodies; the same body has one name.
  std::string rule(const std::string& body);
  std::string terminal(const std::string& body);
  std::string new_name(std::string_view prefix);

  SchemaGrammarOptions options_;
  const JsonValue* root_ = nullptr;  // the schema of the current value()
  Path root_path_;
  std::string any_value_, any_object_;                          // rules, once they are needed
  std::map<std::string, std::string, std::less<>> names_;       // by body
  std::map<std::string, std::string, std::less<>> references_;  // rules by JSON pointer
  std::vector<std::string> lines_;
  std::vector<std::string> loosened_;
  bool no_forcing_ = false;  // ids without a choice come out of the mask alone
  int n_names_ = 0;
  int depth_ = 0;
};

// May this key of a call stand without delimiters? It must read back as the same key.
bool reads_back_raw(std::string_view key);

}  // namespace fourfold
