#include "chat/render.h"

#include <utility>

#include "chat/normalize.h"
#include "chat/render_gemma3.h"
#include "chat/tool_syntax.h"

namespace fourfold {
namespace {

bool is_system(Role role) { return role == Role::System || role == Role::Developer; }

// A medium that nobody has looked at is a bare placeholder, as the template has it. Text may stand
// in the place of one: the notes on a film (engine/film_windows.h).
void write_media(const Part& part, const RenderOptions& options, PromptWriter& out) {
  if (part.kind == Part::Kind::Text) {
    out.untrusted(trim(part.text));
  } else if (part.pieces.empty() || options.as_template) {
    out.placeholder(part.kind);
  } else {
    out.media(part.pieces);
  }
}

void write_content(const Message& message, const RenderOptions& options, PromptWriter& out) {
  for (const auto& part : message.parts) {
    if (part.kind != Part::Kind::Text) {
      write_media(part, options, out);
    } else if (message.role == Role::Model) {
      out.untrusted(without_thoughts(part.text));
    } else {
      out.untrusted(trim(part.text));
    }
  }
}

void write_header(const Message& message, PromptWriter& out) {
  switch (message.role) {
    case Role::System: return out.trusted("<|turn>system\n");
    case Role::Developer: return out.trusted("<|turn>developer\n");
    case Role::User: return out.trusted("<|turn>user\n");
    case Role::Model: return out.trusted("<|turn>model\n");
    case Role::Tool: return;  // is a part of the model's turn
    case Role::Other:
      out.trusted("<|turn>");
      out.untrusted(message.role_name);
      return out.trusted("\n");
  }
}

class Gemma4Renderer {
 public:
  Gemma4Renderer(const Conversation& conversation, const RenderOptions& options, PromptWriter& out)
      : conversation_(conversation),
        messages_(conversation.messages),
        options_(options),
        out_(out) {}

  // True when the prompt ends inside a thought.
  bool write() {
    out_.trusted("<bos>");
    find_last_user();
    const std::size_t n_done = write_system_turn();
    const Message* previous = nullptr;
    for (std::size_t i = n_done; i < messages_.size(); ++i) {
      if (messages_[i].role == Role::Tool) continue;  // written with the calls
      write_message(i, previous);
      previous = &messages_[i];
    }
    return write_generation_prompt();
  }

 private:
  // What the model's turn ends with, as the template's generation prompt sees it.
  enum class Ending { Text, Results, PendingCall };

  void find_last_user() {
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      if (messages_[i].role == Role::User) n_up_to_last_user_ = i + 1;
    }
  }

  // How many messages it holds.
  std::size_t write_system_turn() {
    const bool has_text = !messages_.empty() && is_system(messages_.front().role);
    const bool has_tools =
        !conversation_.tools.empty() && conversation_.tool_choice.mode != ToolChoice::Mode::None;
    if (!has_text && !has_tools && !conversation_.thinking.on) return 0;
    out_.trusted("<|turn>system\n");
    if (conversation_.thinking.on) out_.trusted("<|think|>\n");
    if (has_text) write_system_text(messages_.front());
    if (has_tools) {
      for (const auto& tool : conversation_.tools) write_declaration(tool, out_);
    }
    out_.trusted("<turn|>\n");
    return has_text ? 1 : 0;
  }

  // The template reads the text of every part, whatever its type.
  void write_system_text(const Message& message) {
    for (const auto& part : message.parts) {
      if (part.kind == Part::Kind::Text) out_.untrusted(trim(part.text));
      if (message.is_part_list) out_.trusted(" ");
    }
  }

  void write_message(std::size_t index, const Message* previous) {
    const Message& message = messages_[index];
    const bool goes_on = message.role == Role::Model && previous && previous->role == Role::Model;
    if (!goes_on) write_header(message, out_);
    write_thought(index);
    // R4 moves text that was said before the calls behind their results.
    const bool text_is_first =
        !options_.as_template && !message.calls.empty() && message.results.empty();
    if (text_is_first) write_content(message, options_, out_);
    for (const auto& call : message.calls) write_call(call, out_);
    const bool had_results = write_results(index);
    const std::size_t before_content = out_.size();
    if (!text_is_first) write_content(message, options_, out_);
    const bool has_content = out_.size() > before_content;
    close_turn(index, had_results, has_content);
  }

  void write_thought(std::size_t index) {
    const Message& message = messages_[index];
    const bool is_current = index >= n_up_to_last_user_;
    const bool is_kept = conversation_.keep_thoughts && !message.calls.empty();
    if (message.thought.empty() || !(is_current || is_kept)) return;
    out_.trusted("<|channel>thought\n");
    out_.untrusted(message.thought);
    out_.trusted("\n<channel|>");
  }

  // Native results, else the messages of tools that follow the calls. False when there are none.
  bool write_results(std::size_t index) {
    const Message& message = messages_[index];
    if (!message.results.empty()) {
      for (const auto& result : message.results) {
        write_result(result.name.empty() ? "unknown" : result.name, result.value, out_);
        // R4 knows media only of the other form of results; none is left out.
        if (options_.as_template) continue;
        for (const auto& part : result.media) write_media(part, options_, out_);
      }
      return true;
    }
    if (message.calls.empty()) return false;
    std::size_t at = index + 1;
    for (; at < messages_.size() && messages_[at].role == Role::Tool; ++at) {
      for (const auto& result : messages_[at].results) {
        write_result(name_of(result, message.calls), result.value, out_);
        for (const auto& part : result.media) write_media(part, options_, out_);
      }
    }
    return at > index + 1;
  }

  std::string_view name_of(const ToolResult& result, const std::vector<ToolCall>& calls) const {
    if (!options_.as_template) return result.name;  // settled by normalized()
    // The last call of that id counts; a missing id equals a missing id.
    for (auto call = calls.rbegin(); call != calls.rend(); ++call) {
      if (call->id == result.call_id) return call->name;
    }
    return result.name.empty() ? "unknown" : std::string_view(result.name);
  }

  const Message* next_message(std::size_t index) const {
    for (std::size_t i = index + 1; i < messages_.size(); ++i) {
      if (messages_[i].role != Role::Tool) return &messages_[i];
    }
    return nullptr;
  }

  void close_turn(std::size_t index, bool had_results, bool has_content) {
    const Message& message = messages_[index];
    const Message* next = next_message(index);
    ending_ = had_results ? Ending::Results : Ending::Text;
    turn_is_open_ = true;
    if (!message.calls.empty() && !had_results) {
      ending_ = Ending::PendingCall;
      return out_.trusted("<|tool_response>");
    }
    if (message.role == Role::Model) {
      if (next && next->role == Role::Model) return;
      if (!next && had_results && !has_content) return;
      if (!next && conversation_.continue_last) return;
    }
    out_.trusted("<turn|>\n");
    turn_is_open_ = false;
  }

  bool write_generation_prompt() {
    if (!conversation_.add_generation_prompt || conversation_.continue_last) return false;
    if (ending_ == Ending::PendingCall) return false;
    const bool thinks = conversation_.thinking.on;
    // R4 writes no header after native results with text, though it has closed their turn.
    if (ending_ == Ending::Results && (turn_is_open_ || options_.as_template)) {
      if (thinks) out_.trusted("<|channel>thought\n");
      return thinks;
    }
    out_.trusted("<|turn>model\n");
    if (!thinks && options_.variant == Variant::Large) {
      out_.trusted("<|channel>thought\n<channel|>");
    }
    return false;
  }

  const Conversation& conversation_;
  const std::vector<Message>& messages_;
  const RenderOptions& options_;
  PromptWriter& out_;

  std::size_t n_up_to_last_user_ = 0;
  Ending ending_ = Ending::Text;
  bool turn_is_open_ = false;
};

Status check_continuation(const Conversation& conversation) {
  if (!conversation.continue_last) return {};
  const auto& messages = conversation.messages;
  const bool is_text_of_model = !messages.empty() && messages.back().role == Role::Model &&
                                messages.back().calls.empty() && messages.back().results.empty();
  if (is_text_of_model) return {};
  return invalid_argument(
      "continue_final_message: the last message must be text of the assistant, without calls");
}

}  // namespace

Variant variant_of(const ModelConfig& config) {
  return config.text.per_layer_width > 0 ? Variant::Small : Variant::Large;
}

Result<Prompt> render(const Tokenizer& tokenizer, const Conversation& conversation,
                      const RenderOptions& options) {
  TRY(check_continuation(conversation));
  PromptWriter out;
  bool thought_is_open = false;
  if (tokenizer.family() == Family::Gemma3) {
    TRY(write_gemma3(conversation, out));
  } else if (options.as_template) {
    thought_is_open = Gemma4Renderer(conversation, options, out).write();
  } else {
    const auto mended = TRY(normalized(conversation));
    thought_is_open = Gemma4Renderer(mended, options, out).write();
  }
  Prompt prompt = TRY(std::move(out).finish(tokenizer));
  prompt.thought_is_open = thought_is_open;
  return prompt;
}

}  // namespace fourfold
