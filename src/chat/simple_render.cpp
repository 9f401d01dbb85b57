#include "chat/simple_render.h"

#include "base/utf8.h"
#include "tokenizer/code_point.h"

namespace fourfold {
namespace {

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

// Where the last character of a text begins.
std::size_t last_character(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) {
    --at;
  }
  const bool is_whole = utf8_sequence_length(text.substr(at)) == text.size() - at;
  return is_whole ? at : text.size() - 1;
}

// The prompt as one text of trusted and untrusted parts, which are views of `messages_` or of
// string literals.
class PromptWriter {
 public:
  void trusted(std::string_view text) { segments_.push_back({text, Trust::Trusted}); }
  void untrusted(std::string_view text) { segments_.push_back({text, Trust::Untrusted}); }

  std::vector<TokenId> encode(const Tokenizer& tokenizer) const {
    return tokenizer.with_bos(tokenizer.encode(segments_));
  }

 private:
  std::vector<Segment> segments_;
};

void write_gemma4(std::span<const ChatMessage> messages, bool empty_thought, PromptWriter& out) {
  for (const auto& message : messages) {
    switch (message.role) {
      case Role::System: out.trusted("<|turn>system\n"); break;
      case Role::User: out.trusted("<|turn>user\n"); break;
      case Role::Model: out.trusted("<|turn>model\n"); break;
    }
    out.untrusted(trim(message.text));
    out.trusted("<turn|>\n");
  }
  out.trusted("<|turn>model\n");
  if (empty_thought) out.trusted("<|channel>thought\n<channel|>");
}

// No system role: its text belongs to the user's, and neighbours of one role are one turn.
void write_gemma3(std::span<const ChatMessage> messages, PromptWriter& out) {
  bool turn_is_open = false, in_model_turn = false;
  for (const auto& message : messages) {
    const std::string_view text =
        message.role == Role::System ? std::string_view(message.text) : trim(message.text);
    if (text.empty()) continue;
    const bool is_model = message.role == Role::Model;
    if (turn_is_open && is_model == in_model_turn) {
      out.trusted("\n\n");
    } else {
      if (turn_is_open) out.trusted("<end_of_turn>\n");
      out.trusted(is_model ? "<start_of_turn>model\n" : "<start_of_turn>user\n");
      turn_is_open = true;
      in_model_turn = is_model;
    }
    out.untrusted(text);
  }
  if (turn_is_open) out.trusted("<end_of_turn>\n");
  out.trusted("<start_of_turn>model\n");
}

}  // namespace

std::vector<TokenId> render_chat(const Tokenizer& tokenizer, std::span<const ChatMessage> messages,
                                 RenderOptions options) {
  PromptWriter out;
  if (tokenizer.family() == Family::Gemma3) {
    write_gemma3(messages, out);
  } else {
    write_gemma4(messages, options.empty_thought, out);
  }
  return out.encode(tokenizer);
}

std::string_view trim(std::string_view text) {
  while (!text.empty()) {
    const CodePoint first = first_code_point(text);
    if (!is_space(first.code)) break;
    text.remove_prefix(first.size_bytes);
  }
  while (!text.empty()) {
    const std::size_t at = last_character(text);
    if (!is_space(first_code_point(text.substr(at)).code)) break;
    text = text.substr(0, at);
  }
  return text;
}

}  // namespace fourfold
