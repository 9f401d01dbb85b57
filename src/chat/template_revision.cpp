#include "chat/template_revision.h"

#include <fmt/format.h>

#include "base/sha256.h"

namespace fourfold {
namespace {

// By the beginning of the digest, which is all that is public (tokenizer-chat.md 2.7, 9).
struct KnownTemplate {
  std::string_view digest_prefix;
  std::string_view revision;
};
constexpr KnownTemplate kKnownTemplates[] = {
    {"ae53464b", "r4"},  // 12B, 26B-A4B, 31B
    {"0a2c8073", "r4"},  // E4B
};

}  // namespace

std::optional<TemplateFacts> describe_template(std::string_view text) {
  if (text.empty()) return std::nullopt;
  TemplateFacts facts{.sha256 = sha256_hex(text), .revision = {}};
  for (const auto& [digest_prefix, revision] : kKnownTemplates) {
    if (facts.sha256.starts_with(digest_prefix)) facts.revision = revision;
  }
  return facts;
}

std::optional<std::string> template_warning(const Checkpoint& checkpoint) {
  const auto facts = describe_template(find_chat_template(checkpoint));
  if (!facts || facts->revision == "r4") return std::nullopt;
  return fmt::format(
      "the file's own chat template (sha256 {}…) is no known revision; prompts are written as the "
      "official one of revision r4 does",
      facts->sha256.substr(0, 8));
}

}  // namespace fourfold
