#include "api/model_list.h"

#include <gtest/gtest.h>

namespace fourfold {
namespace {

std::vector<ListedModel> three() {
  std::vector<ListedModel> models;
  models.push_back({.id = "gemma-4-e4b-it",
                    .display_name = "Gemma 4 E4B",
                    .family = "gemma4",
                    .modified_s = 1782950400,
                    .context = 8192,
                    .max_context = 131072,
                    .n_parameters = 8'000'000'000,
                    .thinking = true,
                    .vision = true,
                    .audio = true});
  models.push_back({.id = "b"});
  models.push_back({.id = "c", .chat = false});
  return models;
}

TEST(ModelList, PagesAsGeminiAsks) {
  const auto models = three();
  const auto first = *gemini_model_list(models, *parse_page("2", ""));
  EXPECT_EQ(first.find("models")->items.size(), 2u);
  const auto second =
      *gemini_model_list(models, *parse_page("2", first.find("nextPageToken")->text));
  ASSERT_EQ(second.find("models")->items.size(), 1u);
  EXPECT_EQ(second.find("models")->items[0].find("name")->text, "models/c");
  EXPECT_TRUE(second.find("models")->items[0].find("supportedGenerationMethods")->items.empty());
  EXPECT_EQ(second.find("nextPageToken"), nullptr);
  EXPECT_EQ(gemini_model_list({}, {})->find("models")->items.size(), 0u);
}

TEST(ModelList, RefusesPagesThatAreNone) {
  EXPECT_FALSE(parse_page("many", "").ok());
  EXPECT_FALSE(parse_page("-1", "").ok());
  for (const auto* token : {"x", "4", "-1"}) {
    const auto list = gemini_model_list(three(), *parse_page("", token));
    ASSERT_FALSE(list.ok()) << token;
    EXPECT_EQ(list.error().detail->field, "pageToken");
  }
}

TEST(ModelList, OneBodySatisfiesThreeDialects) {
  const auto list = *merged_model_list(three());
  EXPECT_EQ(list.find("object")->text, "list");
  EXPECT_EQ(list.find("data")->items.size(), 3u);
  EXPECT_EQ(list.find("models")->items.size(), 3u);
  EXPECT_EQ(list.find("first_id")->text, "gemma-4-e4b-it");
  EXPECT_EQ(list.find("last_id")->text, "c");
  EXPECT_FALSE(list.find("has_more")->boolean);
  EXPECT_EQ(
      to_json_text(list.find("data")->items[0]),
      R"({"id":"gemma-4-e4b-it","object":"model","type":"model","created":1782950400,)"
      R"("created_at":"2026-07-02T00:00:00Z","owned_by":"google","display_name":"Gemma 4 E4B",)"
      R"("name":"models/gemma-4-e4b-it","context_length":8192,"max_model_len":8192,)"
      R"("architecture":{"input_modalities":["text","image","audio"],"output_modalities":["text"]},)"
      R"("meta":{"n_params":8000000000,"n_ctx_train":131072}})");
  const auto none = *merged_model_list({});
  EXPECT_TRUE(none.find("data")->is_array());
  EXPECT_TRUE(none.find("first_id")->is_null());
}

TEST(ModelList, OneObjectIsTheUnion) {
  const auto model = merged_model(three()[0]);
  for (const auto* key : {"id", "object", "created", "display_name", "displayName", "name",
                          "inputTokenLimit", "supportedGenerationMethods", "thinking"}) {
    EXPECT_NE(model.find(key), nullptr) << key;
  }
  EXPECT_EQ(model.find("inputTokenLimit")->text, "8192");
  EXPECT_EQ(to_json_text(*model.find("inputModalities")), R"(["TEXT","IMAGE","AUDIO"])");
  EXPECT_EQ(model.find("description")->text, "Chat model, thinks on request, sees pictures, hears");
  EXPECT_EQ(to_json_text(*merged_model(three()[1]).find("inputModalities")), R"(["TEXT"])");
}

}  // namespace
}  // namespace fourfold
