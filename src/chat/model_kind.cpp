#include "chat/model_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace fourfold {
namespace {

// "gemma-3-270m-it-Q4_K_M" → gemma 3 270m it q4 k m
std::vector<std::string> lower_case_words(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte)) {
      words.back() += static_cast<char>(std::tolower(byte));
    } else {
      words.emplace_back();
    }
  }
  return words;
}

template <std::size_t N>
bool has_word(const std::vector<std::string>& names, const std::array<std::string_view, N>& any) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    const auto words = lower_case_words(name);
    return std::find_first_of(words.begin(), words.end(), any.begin(), any.end()) != words.end();
  });
}

std::string last_part(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

void add_gguf_hints(const GgufMetadata& metadata, KindHints& hints) {
  for (const auto* key : {"general.name", "general.basename", "general.finetune"}) {
    if (const auto text = metadata.find_string(key); text.ok() && *text) {
      hints.names.emplace_back(**text);
    }
  }
  hints.has_chat_template = metadata.find("tokenizer.chat_template") != nullptr;
}

void add_folder_hints(const Checkpoint& checkpoint, KindHints& hints) {
  hints.has_chat_template =
      !checkpoint.find_file("chat_template.jinja").empty() ||
      checkpoint.json_text("tokenizer_config.json").find("\"chat_template\"") != std::string::npos;
}

}  // namespace

// Templates alone prove little: converters also put them into pretrained files.
bool is_chat_model(const KindHints& hints) {
  constexpr std::array<std::string_view, 3> kChatWords = {"it", "instruct", "chat"};
  constexpr std::array<std::string_view, 3> kPretrainedWords = {"pt", "base", "pretrained"};
  if (hints.end_of_turn_is_eos || has_word(hints.names, kChatWords)) return true;
  return hints.has_chat_template && !has_word(hints.names, kPretrainedWords);
}

bool is_chat_model(const Checkpoint& checkpoint, const ModelConfig& config,
                   const Tokenizer& tokenizer) {
  const TokenId turn_close = tokenizer.control().turn_close;
  KindHints hints;
  hints.end_of_turn_is_eos =
      std::find(config.eos_ids.begin(), config.eos_ids.end(), turn_close) != config.eos_ids.end();
  hints.names = {last_part(checkpoint.path())};
  if (const auto* metadata = checkpoint.metadata()) {
    add_gguf_hints(*metadata, hints);
  } else {
    add_folder_hints(checkpoint, hints);
  }
  return is_chat_model(hints);
}

}  // namespace fourfold
