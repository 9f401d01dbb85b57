#include "api/modalities.h"

#include <gtest/gtest.h>

#include <vector>

namespace fourfold {
namespace {

ControlIds control() {
  ControlIds ids;
  ids.image_open = 10;
  ids.image_close = 11;
  ids.image = 12;
  ids.video = 13;
  ids.audio_open = 20;
  ids.audio_close = 21;
  ids.audio = 22;
  return ids;
}

TEST(Modalities, MarkersBelongToWhatIsBetweenThem) {
  const std::vector<TokenId> ids = {2,  10, 12, 12, 12, 11, 5,  10, 13, 13, 11,
                                    10, 13, 11, 20, 22, 22, 21, 6,  10, 11, 7};
  const auto tokens = count_media_tokens(control(), ids);
  EXPECT_EQ(tokens.image, 5);
  EXPECT_EQ(tokens.video, 7);
  EXPECT_EQ(tokens.audio, 4);
}

TEST(Modalities, APrefixMayEndInsideABlock) {
  const std::vector<TokenId> ids = {2, 10, 12, 12};
  EXPECT_EQ(count_media_tokens(control(), ids).image, 3);
  const std::vector<TokenId> bare = {12};
  EXPECT_EQ(count_media_tokens(control(), bare).image, 1);
  EXPECT_EQ(count_media_tokens(control(), {}).image, 0);
}

TEST(Modalities, AVocabularyWithoutThemHasTextAlone) {
  const std::vector<TokenId> ids = {0, kNoToken, 1};
  const auto tokens = count_media_tokens({}, ids);
  EXPECT_EQ(tokens.image + tokens.video + tokens.audio, 0);
}

TEST(Modalities, GeminisDetailsAddUp) {
  EXPECT_EQ(to_json_text(gemini_token_details(12, {})), R"([{"modality":"TEXT","tokenCount":12}])");
  MediaTokens media;
  media.image = 66;
  media.audio = 4;
  EXPECT_EQ(to_json_text(gemini_token_details(100, media)),
            R"([{"modality":"TEXT","tokenCount":30},{"modality":"IMAGE","tokenCount":66},)"
            R"({"modality":"AUDIO","tokenCount":4}])");
}

TEST(Modalities, OpenAisDetailsNameWhatThereIs) {
  auto details = JsonValue::object();
  add_openai_token_details(12, {}, details);
  EXPECT_EQ(to_json_text(details), "{}");
  MediaTokens media;
  media.image = 66;
  add_openai_token_details(100, media, details);
  EXPECT_EQ(to_json_text(details), R"({"text_tokens":34,"image_tokens":66})");
}

}  // namespace
}  // namespace fourfold
