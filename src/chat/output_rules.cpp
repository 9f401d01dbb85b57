#include "chat/output_rules.h"

#include <utility>

namespace fourfold {
namespace {

ToolSet tool_set(const Conversation& conversation, Unsupported unsupported) {
  ToolSet set;
  for (const auto& tool : conversation.tools) {
    const JsonValue* parameters = tool.declaration.find("parameters");
    set.tools.push_back({.name = tool.name,
                         .parameters = parameters ? *parameters : JsonValue::null(),
                         .unsupported = tool.strict ? Unsupported::Refuse : unsupported});
  }
  set.names = conversation.tool_choice.names;
  set.parallel = conversation.tool_choice.parallel;
  return set;
}

Result<std::optional<Constraint>> answer_constraint(const ResponseFormat& format,
                                                    ConstraintFactory& constraints,
                                                    Unsupported unsupported) {
  using Kind = ResponseFormat::Kind;
  switch (format.kind) {
    case Kind::Text: break;
    case Kind::Json: return std::optional(TRY(constraints.json_object()));
    case Kind::JsonSchema:
      return std::optional(TRY(constraints.json_schema(format.schema, unsupported)));
    case Kind::Regex: return std::optional(TRY(constraints.regex(format.source)));
    case Kind::Grammar: return std::optional(TRY(constraints.grammar(format.source)));
  }
  return std::optional<Constraint>();
}

std::string text_of(const Message& message) {
  std::string text;
  for (const auto& part : message.parts) text += part.text;
  return text;
}

}  // namespace

Result<OutputMachineOptions> output_rules(const Conversation& conversation,
                                          ConstraintFactory& constraints,
                                          const OutputRulesOptions& options) {
  OutputMachineOptions rules;
  const auto& choice = conversation.tool_choice;
  rules.may_call = !conversation.tools.empty() && choice.mode != ToolChoice::Mode::None;
  rules.stop = conversation.stop;
  const bool is_begun = conversation.continue_last && !conversation.messages.empty();
  rules.may_think = !is_begun;
  if (!options.enforce) return rules;

  rules.must_call = rules.may_call && choice.mode == ToolChoice::Mode::Required;
  rules.parallel_calls = choice.parallel;
  if (rules.may_call && ConstraintFactory::is_available()) {
    rules.calls = TRY_IN("tools", constraints.tools(tool_set(conversation, options.in_tools)));
  }
  rules.answer = TRY_IN("response format", answer_constraint(conversation.response_format,
                                                             constraints, options.in_schema));
  if (!conversation.thinking.on && (rules.answer || rules.must_call)) rules.may_think = false;

  if (is_begun && rules.answer) {
    const auto begun = rules.answer->begin_with(text_of(conversation.messages.back()));
    if (!begun.ok()) return Error(begun.error()).in("the answer that was begun");
  }
  return rules;
}

}  // namespace fourfold
