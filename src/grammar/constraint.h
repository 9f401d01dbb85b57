// Compiles a JSON schema, a regular expression, a grammar or a set of tools, and then tells token
// by token what may come next.
//
//   ConstraintFactory factory(tokenizer);
//   auto constraint = TRY(factory.json_schema(schema));
//   while (!constraint.is_complete()) {
//     const TokenId id = pick(TRY(constraint.allowed()));  // or one of the end ids if
//     is_accepting() TRY(constraint.commit(id));
//   }
//
// A constraint knows its document and nothing of the turn around it: ids that end a turn are never
// allowed by it, and thoughts are outside. A build without Rust refuses all of it
// (constraint_none.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_value.h"
#include "base/result.h"
#include "tokenizer/tokenizer.h"

namespace fourfold {

// One document on its way. Not for use by two threads at once.
class Constraint {
 public:
  Constraint(Constraint&&) noexcept;
  Constraint& operator=(Constraint&&) noexcept;
  ~Constraint();

  // An independent constraint at the same place.
  Constraint copy() const;

  // The ids that continue the document, as TokenMask wants them: bit id % 64 of word id / 64,
  // ⌈V / 64⌉ words. No bit is set once the document is complete. Computed once per place; valid
  // until the next call that moves the place. ResourceExhausted if the grammar is too ambiguous.
  Result<std::span<const std::uint64_t>> allowed();

  // Whether the document may end here: then an id that ends the turn may come as well.
  bool is_accepting() const;
  // Whether it must: it may end here, and nothing can follow.
  bool is_complete() const;

  // Ids that must come next, in the tokenizer's own spelling; empty if there is a choice. They are
  // not committed yet.
  Result<std::vector<TokenId>> forced();

  // Whether penalties for repetition may act on this id here: it would lie wholly inside a string
  // value that is free (no key, no enum, no narrow pattern). Call it after allowed().
  bool may_penalise(TokenId id) const;

  // InvalidArgument if this id is not allowed; the constraint is then where it was.
  Status commit(TokenId id);
  // Takes the last committed ids back.
  Status rollback(int n_tokens);

  // The document begins with this text, whatever its tokens: an answer that was begun by somebody
  // else. Only before the first commit. InvalidArgument "byte 17: …" if no document begins so.
  Status begin_with(std::string_view text);

  // With Unsupported::Loosen: what the constraint does not enforce, "$.items: uniqueItems" …
  const std::vector<std::string>& loosened() const;

  struct Impl;
  explicit Constraint(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

// What happens to a keyword of a schema that no constraint can hold.
enum class Unsupported {
  Refuse,  // InvalidArgument "$.properties.tags: \"uniqueItems\" is not supported"
  Loosen,  // compiled without it, and listed in loosened()
};

struct ToolSpec {
  std::string name;
  JsonValue parameters;  // JSON schema of an object; null: no parameters
  Unsupported unsupported = Unsupported::Refuse;
};

struct ToolSet {
  std::vector<ToolSpec> tools;
  // Only these may be called: the one that is required by name, or the allowed ones. Empty: all.
  std::vector<std::string> names;
  bool parallel = true;  // may a second call follow the first?
};

// Compiles constraints for one tokenizer and remembers what it has compiled. Any number of threads
// may use it. The tables of the vocabulary (about 0.1 GB) are made by the first request.
class ConstraintFactory {
 public:
  // The tokenizer must outlive the factory and every constraint it has made.
  explicit ConstraintFactory(const Tokenizer& tokenizer);
  ~ConstraintFactory();
  ConstraintFactory(const ConstraintFactory&) = delete;
  ConstraintFactory& operator=(const ConstraintFactory&) = delete;

  // Whether this build has constraints at all.
  static bool is_available();

  // A JSON text that the schema (the subset of docs/guides/constraints.md) describes.
  Result<Constraint> json_schema(const JsonValue& schema,
                                 Unsupported unsupported = Unsupported::Refuse);
  // Any JSON object.
  Result<Constraint> json_object();
  // Any JSON value.
  Result<Constraint> any_json();
  // A text that this ECMA-262 expression describes from its first to its last character.
  Result<Constraint> regex(std::string_view pattern);
  // A grammar in Lark (rule start) or GBNF (root ::= …).
  Result<Constraint> grammar(std::string_view text);
  // One call or more in Gemma's syntax, <|tool_call>call:name{…}<tool_call|>…, from the opener of
  // the first to the closer of the last. Tool choice auto: commit <|tool_call> when the model has
  // sampled it; required: it is the only id allowed at the beginning; none: no constraint.
  Result<Constraint> tools(const ToolSet& tools);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fourfold
