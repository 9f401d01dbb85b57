// Conversation → what its tools, tool choice and response format allow the answer to be.
//
//   auto rules = TRY(output_rules(conversation, constraints));
//   rules.thought_is_open = prompt.thought_is_open;
//   OutputMachine machine(tokenizer, std::move(rules));
#pragma once

#include "base/result.h"
#include "chat/conversation.h"
#include "chat/output_machine.h"
#include "grammar/constraint.h"

namespace fourfold {

// For keywords of schemas that a constraint cannot hold. What was loosened is told by the
// constraints themselves.
struct OutputRulesOptions {
  Unsupported in_tools = Unsupported::Loosen;
  Unsupported in_schema = Unsupported::Refuse;
  // False: any text may stand in a call and in the answer, whatever tool choice and format ask for.
  // To see what a model does by itself.
  bool enforce = true;
};

// A build without constraints leaves calls free and refuses response formats other than text.
// Thinking is allowed where it was asked for; an answer in plain text may also think unasked.
Result<OutputMachineOptions> output_rules(const Conversation& conversation,
                                          ConstraintFactory& constraints,
                                          const OutputRulesOptions& options = {});

}  // namespace fourfold
