#include "api/ollama_models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourfold {
namespace {

using testing::HasSubstr;

OllamaModel model() {
  OllamaModel model;
  model.name = "gemma4:e4b";
  model.modified_s = 1782950400;
  model.size_bytes = 123;
  model.digest = std::string(64, 'a');
  model.architecture = model.family = "gemma4";
  model.parameter_size = "8.0B";
  model.quantization = "Q4_K_M";
  model.n_parameters = 8'000'000'000;
  model.context = 8192;
  model.width = 2560;
  model.n_layers = 42;
  model.capabilities.tools = model.capabilities.thinking = true;
  return model;
}

const std::string kDetails =
    R"("details":{"parent_model":"","format":"gguf","family":"gemma4","families":["gemma4"],)"
    R"("parameter_size":"8.0B","quantization_level":"Q4_K_M","context_length":8192,)"
    R"("embedding_length":2560})";

TEST(OllamaTags, NamesEveryModel) {
  EXPECT_EQ(to_json_text(ollama_tags({model()})),
            R"({"models":[{"name":"gemma4:e4b","model":"gemma4:e4b",)"
            R"("modified_at":"2026-07-02T00:00:00Z","size":123,"digest":")" +
                std::string(64, 'a') + R"(",)" + kDetails +
                R"(,"capabilities":["completion","tools","thinking"]}]})");
}

TEST(OllamaTags, IsAListEvenWhenEmpty) {
  EXPECT_EQ(to_json_text(ollama_tags({})), R"({"models":[]})");
  EXPECT_EQ(to_json_text(ollama_ps({})), R"({"models":[]})");
}

TEST(OllamaPs, SaysWhenAModelExpires) {
  const OllamaLoadedModel loaded{.model = model(), .expires_s = 1782950400, .resident_bytes = 9};
  EXPECT_EQ(to_json_text(ollama_ps({loaded})),
            R"({"models":[{"name":"gemma4:e4b","model":"gemma4:e4b","size":9,"digest":")" +
                std::string(64, 'a') + R"(",)" + kDetails +
                R"(,"expires_at":"2026-07-02T00:00:00Z","size_vram":0,"context_length":8192}]})");
  const OllamaLoadedModel pinned{.model = model(), .expires_s = {}, .resident_bytes = 9};
  EXPECT_THAT(to_json_text(ollama_ps({pinned})), HasSubstr(R"("expires_at":"2300-01-01T)"));
}

TEST(OllamaShow, TellsWhatAgentsRead) {
  OllamaModel shown = model();
  shown.system = "Be brief.";
  shown.parameters.temperature = 1.0f;
  shown.parameters.top_k = 64;
  shown.parameters.stop = {"a\nb"};
  const auto body = ollama_show(shown, nullptr);
  EXPECT_EQ(body.find("parameters")->text, "temperature 1\ntop_k 64\nstop \"a\\nb\"");
  EXPECT_EQ(body.find("modelfile")->text,
            "FROM gemma4:e4b\nPARAMETER temperature 1\nPARAMETER top_k 64\n"
            "PARAMETER stop \"a\\nb\"\nSYSTEM \"\"\"Be brief.\"\"\"\n");
  EXPECT_EQ(to_json_text(*body.find("model_info")),
            R"({"general.architecture":"gemma4","general.parameter_count":8000000000,)"
            R"("gemma4.context_length":8192,"gemma4.embedding_length":2560,)"
            R"("gemma4.block_count":42})");
  EXPECT_EQ(to_json_text(*body.find("capabilities")), R"(["completion","tools","thinking"])");
  EXPECT_EQ(body.find("system")->text, "Be brief.");
  EXPECT_EQ(body.find("tensors"), nullptr);
}

TEST(OllamaShow, ListsTensorsAndTokensWhenVerbose) {
  const OllamaInsides insides = {.tensors = {{.name = "w", .type = "F32", .shape = {4, 2}}},
                                 .tokens = {"<pad>", "a"}};
  const auto body = ollama_show(model(), &insides);
  EXPECT_EQ(to_json_text(*body.find("tensors")), R"([{"name":"w","type":"F32","shape":[4,2]}])");
  EXPECT_EQ(to_json_text(*body.find("model_info")->find("tokenizer.ggml.tokens")),
            R"(["<pad>","a"])");
}

}  // namespace
}  // namespace fourfold
