#include "chat/template_revision.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace fourfold {
namespace {

TEST(DescribeTemplate, TellsTemplatesApartByTheirDigest) {
  EXPECT_FALSE(describe_template("").has_value());
  const auto facts = describe_template("{{ bos_token }}");
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->sha256.size(), 64u);
  EXPECT_EQ(facts->revision, "");
}

// A model of the goldens with a template of its own beside it.
class TemplateInFolder : public testing::Test {
 protected:
  void SetUp() override {
    namespace fs = std::filesystem;
    folder_ = fs::path(testing::TempDir()) / "template_in_folder";
    fs::remove_all(folder_);
    fs::create_directory(folder_);
    const fs::path golden = FOURFOLD_BUILD_DIR "/golden/text/e2b";
    for (const auto* name : {"config.json", "model.safetensors"}) {
      fs::create_symlink(golden / name, folder_ / name);
    }
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  Checkpoint open() { return *Checkpoint::open(folder_); }

  std::filesystem::path folder_;
};

TEST_F(TemplateInFolder, IsFoundInTheOrderOfItsFiles) {
  EXPECT_EQ(find_chat_template(open()), "");
  write(
      "tokenizer_config.json",
      R"({"chat_template":[{"name":"rag","template":"no"},{"name":"default","template":"third"}]})");
  EXPECT_EQ(find_chat_template(open()), "third");
  write("chat_template.json", R"({"chat_template":"second"})");
  EXPECT_EQ(find_chat_template(open()), "second");
  write("chat_template.jinja", "first");
  EXPECT_EQ(find_chat_template(open()), "first");
}

TEST_F(TemplateInFolder, IsReportedWhenItIsNotKnown) {
  EXPECT_FALSE(template_warning(open()).has_value());
  write("chat_template.jinja", "{{ messages }}");
  const auto warning = template_warning(open());
  ASSERT_TRUE(warning.has_value());
  EXPECT_NE(warning->find("no known revision"), std::string::npos);
}

}  // namespace
}  // namespace fourfold
