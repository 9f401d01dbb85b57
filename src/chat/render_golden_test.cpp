// The official template's own renderings, and what the policies say instead: tests/golden/chat.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "chat/render.h"
#include "chat/request_json.h"
#include "tokenizer/golden_tokenizers.h"

namespace fourfold {
namespace {

struct Row {
  JsonValue json;

  const std::string& text(std::string_view key) const { return json.find(key)->text; }
  bool has(std::string_view key) const { return json.find(key) != nullptr; }
  bool has_policy(std::string_view policy) const {
    return has("policy") && text("policy") == policy;
  }
  Variant variant() const { return text("variant") == "small" ? Variant::Small : Variant::Large; }
  std::string request() const { return to_json_text(*json.find("request")); }

  std::vector<TokenId> ids(std::string_view key) const {
    std::vector<TokenId> ids;
    for (const auto& id : json.find(key)->items) ids.push_back(std::stoi(id.text));
    return ids;
  }
  // "same" as what the reference makes of the prompt as one text.
  std::vector<TokenId> safe_ids() const {
    return ids(json.find("ids_safe")->is_array() ? "ids_safe" : "ids_reference");
  }
  std::vector<ByteRange> untrusted() const {
    std::vector<ByteRange> ranges;
    for (const auto& range : json.find("untrusted")->items) {
      ranges.push_back({std::stoul(range.items[0].text), std::stoul(range.items[1].text)});
    }
    return ranges;
  }
};

std::vector<Row> read_rows(const std::string& name) {
  std::ifstream in(std::string(FOURFOLD_SOURCE_DIR "/tests/golden/chat/") + name);
  std::vector<Row> rows;
  for (std::string line; std::getline(in, line);) {
    auto json = parse_json_value(line, {.replace_lone_surrogates = true});
    EXPECT_TRUE(json.ok()) << name << " line " << rows.size() + 1;
    if (json.ok()) rows.push_back({std::move(*json)});
  }
  return rows;
}

std::vector<Row> r4_rows() {
  auto rows = read_rows("prompts-spec.jsonl");
  for (auto& row : read_rows("conversations.jsonl")) rows.push_back(std::move(row));
  EXPECT_EQ(rows.size(), 130u + 790u);
  return rows;
}

Result<Prompt> render_row(const Row& row, bool as_template) {
  const auto conversation = TRY(parse_request(row.request(), {.as_template = as_template}));
  return render(full_tokenizer(), conversation,
                {.variant = row.variant(), .as_template = as_template});
}

TEST(RenderGolden, WritesWhatTheTemplateWrites) {
  for (const auto& row : r4_rows()) {
    SCOPED_TRACE(row.text("id"));
    const auto prompt = render_row(row, true);
    if (row.has("error")) {
      EXPECT_FALSE(prompt.ok()) << prompt->text;
      continue;
    }
    ASSERT_TRUE(prompt.ok()) << prompt.error().message;
    EXPECT_EQ(prompt->text, row.text("prompt"));
    EXPECT_EQ(prompt->ids, row.safe_ids());
    EXPECT_EQ(prompt->untrusted, row.untrusted());
  }
}

TEST(RenderGolden, MendsOrRefusesAsThePoliciesSay) {
  for (const auto& row : r4_rows()) {
    SCOPED_TRACE(row.text("id"));
    const auto prompt = render_row(row, false);
    if (row.has_policy("reject") || (row.has("error") && !row.has("policy"))) {
      EXPECT_FALSE(prompt.ok()) << prompt->text;
      continue;
    }
    ASSERT_TRUE(prompt.ok()) << prompt.error().message;
    if (row.has_policy("free")) continue;  // words of our own
    const bool is_mended = row.has_policy("text");
    EXPECT_EQ(prompt->text, row.text(is_mended ? "policy_prompt" : "prompt"));
    EXPECT_EQ(prompt->ids, is_mended ? row.ids("policy_ids_safe") : row.safe_ids());
    if (!is_mended) {
      EXPECT_EQ(prompt->untrusted, row.untrusted());
    }
  }
}

}  // namespace
}  // namespace fourfold
