// A build without Rust has no constraints and says so.

#include "grammar/constraint.h"

namespace fourfold {

namespace {

Error not_built() {
  return unimplemented(
      "this build cannot constrain answers (schemas, grammars, required tool calls): install "
      "rustc-web and cargo-web and build again");
}

}  // namespace

struct Constraint::Impl {};
struct ConstraintFactory::Impl {};

Constraint::Constraint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Constraint::Constraint(Constraint&&) noexcept = default;
Constraint& Constraint::operator=(Constraint&&) noexcept = default;
Constraint::~Constraint() = default;

Constraint Constraint::copy() const { return Constraint(nullptr); }
Result<std::span<const std::uint64_t>> Constraint::allowed() { return not_built(); }
bool Constraint::is_accepting() const { return false; }
bool Constraint::is_complete() const { return false; }
Result<std::vector<TokenId>> Constraint::forced() { return not_built(); }
bool Constraint::may_penalise(TokenId) const { return false; }
Status Constraint::commit(TokenId) { return not_built(); }
Status Constraint::rollback(int) { return not_built(); }
Status Constraint::begin_with(std::string_view) { return not_built(); }
const std::vector<std::string>& Constraint::loosened() const {
  static const std::vector<std::string> kNone;
  return kNone;
}

ConstraintFactory::ConstraintFactory(const Tokenizer&) {}
ConstraintFactory::~ConstraintFactory() = default;
bool ConstraintFactory::is_available() { return false; }
Result<Constraint> ConstraintFactory::json_schema(const JsonValue&, Unsupported) {
  return not_built();
}
Result<Constraint> ConstraintFactory::json_object() { return not_built(); }
Result<Constraint> ConstraintFactory::any_json() { return not_built(); }
Result<Constraint> ConstraintFactory::regex(std::string_view) { return not_built(); }
Result<Constraint> ConstraintFactory::grammar(std::string_view) { return not_built(); }
Result<Constraint> ConstraintFactory::tools(const ToolSet&) { return not_built(); }

}  // namespace fourfold
