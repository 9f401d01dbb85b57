#include "api/modalities.h"

#include <string>
#include <string_view>
#include <utility>

#include "api/json_number.h"

namespace fourfold {
namespace {

std::int64_t total(const MediaTokens& media) { return media.image + media.video + media.audio; }

// The markers of pictures stand around frames too: whose they are is told by what is between.
bool is_marker(const ControlIds& control, TokenId id) {
  return id == control.image_open || id == control.image_close || id == control.audio_open ||
         id == control.audio_close;
}

std::int64_t* modality_of(const ControlIds& control, TokenId id, MediaTokens& tokens) {
  if (id == kNoToken) return nullptr;
  if (id == control.image) return &tokens.image;
  if (id == control.video) return &tokens.video;
  if (id == control.audio) return &tokens.audio;
  return nullptr;
}

}  // namespace

MediaTokens count_media_tokens(const ControlIds& control, std::span<const TokenId> ids) {
  MediaTokens tokens;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    std::int64_t* count = modality_of(control, ids[i], tokens);
    if (!count) continue;
    const bool begins = i == 0 || ids[i - 1] != ids[i];
    const bool ends = i + 1 == ids.size() || ids[i + 1] != ids[i];
    *count += 1;
    if (begins && i > 0 && is_marker(control, ids[i - 1])) *count += 1;
    if (ends && i + 1 < ids.size() && is_marker(control, ids[i + 1])) *count += 1;
  }
  return tokens;
}

JsonValue gemini_token_details(std::int64_t n_tokens, const MediaTokens& media) {
  auto details = JsonValue::array();
  const auto add = [&](std::string_view modality, std::int64_t n) {
    details.items.push_back(JsonValue::object(
        {{"modality", JsonValue::of(std::string(modality))}, {"tokenCount", json_number(n)}}));
  };
  add("TEXT", n_tokens - total(media));
  if (media.image > 0) add("IMAGE", media.image);
  if (media.video > 0) add("VIDEO", media.video);
  if (media.audio > 0) add("AUDIO", media.audio);
  return details;
}

void add_openai_token_details(std::int64_t n_tokens, const MediaTokens& media, JsonValue& details) {
  if (total(media) == 0) return;
  details.set("text_tokens", json_number(n_tokens - total(media)));
  if (media.image > 0) details.set("image_tokens", json_number(media.image));
  if (media.video > 0) details.set("video_tokens", json_number(media.video));
}

}  // namespace fourfold
