#include "chat/render_gemma3.h"

namespace fourfold {
namespace {

Status check_supported(const Conversation& conversation) {
  const bool declares_tools =
      !conversation.tools.empty() && conversation.tool_choice.mode != ToolChoice::Mode::None;
  if (declares_tools) return unimplemented("tools: Gemma 3 does not support tools");
  if (conversation.thinking.on) return unimplemented("thinking: Gemma 3 does not support thinking");
  for (std::size_t i = 0; i < conversation.messages.size(); ++i) {
    const Message& message = conversation.messages[i];
    if (message.role == Role::Tool || !message.calls.empty() || !message.results.empty()) {
      return unimplemented("messages[{}]: Gemma 3 does not support tools", i);
    }
    if (message.role == Role::Other) {
      return invalid_argument("messages[{}].role: expected system, developer, user or assistant",
                              i);
    }
    for (const auto& part : message.parts) {
      if (part.kind == Part::Kind::Text) continue;
      return unimplemented("messages[{}].content: these bodies of Gemma 3 take text only", i);
    }
  }
  return {};
}

// As the template, which trims all but system text.
std::string text_of(const Message& message) {
  std::string text;
  for (const auto& part : message.parts) {
    switch (message.role) {
      case Role::Model: text += without_thoughts(part.text); break;
      case Role::User: text += trim(part.text); break;
      default: text += part.text;
    }
  }
  return text;
}

}  // namespace

// There is no system role: its text belongs to the user's, and neighbours of one role are one turn.
Status write_gemma3(const Conversation& conversation, PromptWriter& out) {
  TRY(check_supported(conversation));
  out.trusted("<bos>");
  bool turn_is_open = false, in_model_turn = false;
  const auto open_turn = [&](bool is_model) {
    if (turn_is_open) out.trusted("<end_of_turn>\n");
    out.trusted(is_model ? "<start_of_turn>model\n" : "<start_of_turn>user\n");
    turn_is_open = true;
    in_model_turn = is_model;
  };

  for (const auto& message : conversation.messages) {
    const std::string text = text_of(message);
    if (text.empty()) continue;
    const bool is_model = message.role == Role::Model;
    if (turn_is_open && is_model == in_model_turn) {
      out.trusted("\n\n");
    } else {
      open_turn(is_model);
    }
    out.untrusted(text);
  }
  if (conversation.continue_last) {
    if (!turn_is_open || !in_model_turn) open_turn(true);
  } else if (conversation.add_generation_prompt) {
    open_turn(true);
  } else if (turn_is_open) {
    out.trusted("<end_of_turn>\n");
  }
  return {};
}

}  // namespace fourfold
