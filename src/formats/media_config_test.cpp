#include "formats/media_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "formats/test_files.h"

namespace fourfold {
namespace {

using namespace testing_files;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

Result<std::optional<VisionConfig>> load_vision(const std::string& path) {
  const auto checkpoint = TRY(Checkpoint::open(path));
  return load_vision_config(checkpoint);
}
Result<std::optional<AudioConfig>> load_audio(const std::string& path) {
  const auto checkpoint = TRY(Checkpoint::open(path));
  return load_audio_config(checkpoint);
}
Result<std::optional<VisionConfig>> load_vision(const GgufBuilder& builder) {
  const TempFolder folder;
  return load_vision(folder.write("m.gguf", builder.build()));
}
Result<std::optional<AudioConfig>> load_audio(const GgufBuilder& builder) {
  const TempFolder folder;
  return load_audio(folder.write("m.gguf", builder.build()));
}

// --- projector files ---

GgufBuilder vision_mmproj() {
  return GgufBuilder()
      .string("general.architecture", "clip")
      .boolean("clip.has_vision_encoder", true)
      .string("clip.vision.projector_type", "gemma4v")
      .u32("clip.vision.embedding_length", 128)
      .u32("clip.vision.feed_forward_length", 192)
      .u32("clip.vision.block_count", 3)
      .u32("clip.vision.attention.head_count", 2)
      .f32("clip.vision.attention.layer_norm_epsilon", 1e-6f)
      .u32("clip.vision.projection_dim", 96)
      .u32("clip.vision.patch_size", 16)
      .u32("clip.vision.image_size", 224)
      .tensor("v.patch_embd.weight", {4, 4});
}

GgufBuilder audio_mmproj() {
  return GgufBuilder()
      .string("general.architecture", "clip")
      .boolean("clip.has_audio_encoder", true)
      .string("clip.audio.projector_type", "gemma4a")
      .u32("clip.audio.embedding_length", 64)
      .u32("clip.audio.feed_forward_length", 256)
      .u32("clip.audio.block_count", 2)
      .u32("clip.audio.attention.head_count", 2)
      .u32("clip.audio.num_mel_bins", 128)
      .u32("clip.audio.projection_dim", 40)
      .tensor("a.pre_encode.out.weight", {64, 48});
}

TEST(MmprojConfig, ReadsTheVisionTower) {
  const auto config = load_vision(vision_mmproj());
  ASSERT_TRUE(config.ok()) << config.error().message;
  const VisionConfig expected{.names = MediaNames::Mmproj,
                              .width = 128,
                              .n_layers = 3,
                              .n_heads = 2,
                              .head_dim = 64,
                              .ffn_width = 192,
                              .text_width = 96};
  EXPECT_EQ(*config, expected);
  const auto audio = load_audio(vision_mmproj());
  ASSERT_TRUE(audio.ok()) << audio.error().message;
  EXPECT_FALSE(audio->has_value());
}

TEST(MmprojConfig, ReadsTheAudioTower) {
  const auto config = load_audio(audio_mmproj());
  ASSERT_TRUE(config.ok()) << config.error().message;
  const AudioConfig expected{.names = MediaNames::Mmproj,
                             .width = 64,
                             .n_layers = 2,
                             .n_heads = 2,
                             .ffn_width = 256,
                             .output_width = 48,
                             .text_width = 40};
  EXPECT_EQ(*config, expected);
  const auto vision = load_vision(audio_mmproj());
  ASSERT_TRUE(vision.ok()) << vision.error().message;
  EXPECT_FALSE(vision->has_value());
}

TEST(MmprojConfig, KnowsTheFormsWithoutTowers) {
  const auto builder = vision_mmproj()
                           .drop_key("clip.vision.projector_type")
                           .string("clip.vision.projector_type", "gemma4uv")
                           .drop_key("clip.vision.block_count")
                           .u32("clip.vision.block_count", 0)
                           .drop_key("clip.vision.attention.head_count")
                           .u32("clip.vision.attention.head_count", 0)
                           .boolean("clip.has_audio_encoder", true)
                           .string("clip.audio.projector_type", "gemma4ua")
                           .u32("clip.audio.embedding_length", 640)
                           .u32("clip.audio.projection_dim", 96);
  const auto vision = load_vision(builder);
  ASSERT_TRUE(vision.ok()) << vision.error().message;
  ASSERT_TRUE(vision->has_value());
  EXPECT_TRUE((*vision)->unified);
  EXPECT_EQ((*vision)->width, 128);
  EXPECT_EQ((*vision)->n_layers, 0);
  const auto audio = load_audio(builder);
  ASSERT_TRUE(audio.ok()) << audio.error().message;
  ASSERT_TRUE(audio->has_value());
  EXPECT_TRUE((*audio)->unified);
  EXPECT_EQ((*audio)->width, 640);
}

TEST(MmprojConfig, TakesTheTypeOfFilesThatHaveOnePartOnly) {
  const auto config = load_vision(vision_mmproj()
                                      .drop_key("clip.vision.projector_type")
                                      .string("clip.projector_type", "gemma4v"));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_TRUE(config->has_value());
}

TEST(MmprojConfig, TellsThePartFromTensorsWhenNoKeyDoes) {
  const auto config = load_vision(vision_mmproj().drop_key("clip.has_vision_encoder"));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_TRUE(config->has_value());
  const auto denied = load_vision(vision_mmproj()
                                      .drop_key("clip.has_vision_encoder")
                                      .boolean("clip.has_vision_encoder", false));
  ASSERT_TRUE(denied.ok()) << denied.error().message;
  EXPECT_FALSE(denied->has_value());
}

struct BadKey {
  const char* name;
  GgufBuilder builder;
  const char* message;
};
GgufBuilder with_u32(const char* key, std::uint32_t value) {
  return vision_mmproj().drop_key(key).u32(key, value);
}

TEST(MmprojConfig, NamesFileAndKeyOfWhatIsWrong) {
  const BadKey rows[] = {
      {"other projector",
       vision_mmproj()
           .drop_key("clip.vision.projector_type")
           .string("clip.vision.projector_type", "gemma3"),
       "key \"clip.vision.projector_type\" is \"gemma3\" (expected gemma4v or gemma4uv)"},
      {"no type", vision_mmproj().drop_key("clip.vision.projector_type"), "clip.projector_type"},
      {"no width", vision_mmproj().drop_key("clip.vision.embedding_length"),
       "key \"clip.vision.embedding_length\" is missing"},
      {"no heads", with_u32("clip.vision.attention.head_count", 0),
       "key \"clip.vision.attention.head_count\" is 0 (expected 1 to 1024)"},
      {"heads that do not fill the width", with_u32("clip.vision.attention.head_count", 3),
       "width 128 with 3 heads of 42"},
      {"layers without end", with_u32("clip.vision.block_count", 100'000),
       "\"clip.vision.block_count\" is 100000"},
      {"other patches", with_u32("clip.vision.patch_size", 14),
       "\"clip.vision.patch_size\" is 14 (expected 16)"},
      {"other pooling", vision_mmproj().u32("clip.vision.projector.scale_factor", 4),
       "\"clip.vision.projector.scale_factor\" is 4 (expected 3)"},
      {"a key of another type",
       vision_mmproj()
           .drop_key("clip.vision.embedding_length")
           .string("clip.vision.embedding_length", "128"),
       "clip.vision.embedding_length"},
  };
  for (const auto& row : rows) {
    const auto config = load_vision(row.builder);
    ASSERT_FALSE(config.ok()) << row.name;
    EXPECT_THAT(config.error().message, AllOf(HasSubstr("m.gguf"), HasSubstr(row.message)))
        << row.name;
  }
}

TEST(MmprojConfig, HearsInMelBinsOfOneNumber) {
  const auto config = load_audio(
      audio_mmproj().drop_key("clip.audio.num_mel_bins").u32("clip.audio.num_mel_bins", 80));
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(config.error().message,
              HasSubstr("\"clip.audio.num_mel_bins\" is 80 (expected 128)"));
}

// --- Ollama's file of all parts ---

GgufBuilder combined() {
  return GgufBuilder()
      .string("general.architecture", "gemma4")
      .u32("gemma4.embedding_length", 96)
      .u32("gemma4.vision.block_count", 2)
      .u32("gemma4.vision.embedding_length", 64)
      .u32("gemma4.vision.attention.head_count", 4)
      .u32("gemma4.vision.feed_forward_length", 80)
      .u32("gemma4.vision.patch_size", 16)
      .u32("gemma4.vision.num_channels", 3)
      .u32("gemma4.vision.projector.scale_factor", 3)
      .f32("gemma4.vision.attention.layer_norm_epsilon", 1e-6f)
      .u32("gemma4.audio.block_count", 1)
      .u32("gemma4.audio.embedding_length", 32)
      .u32("gemma4.audio.feed_forward_length", 128)
      .u32("gemma4.audio.attention.head_count", 2)
      .tensor("mm.a.fc.weight", {32, 24});
}

TEST(CombinedConfig, ReadsBothTowers) {
  const auto vision = load_vision(combined());
  ASSERT_TRUE(vision.ok()) << vision.error().message;
  const VisionConfig expected_vision{.names = MediaNames::Ollama,
                                     .width = 64,
                                     .n_layers = 2,
                                     .n_heads = 4,
                                     .head_dim = 16,
                                     .ffn_width = 80,
                                     .text_width = 96};
  EXPECT_EQ(*vision, expected_vision);
  const auto audio = load_audio(combined());
  ASSERT_TRUE(audio.ok()) << audio.error().message;
  const AudioConfig expected_audio{.names = MediaNames::Ollama,
                                   .width = 32,
                                   .n_layers = 1,
                                   .n_heads = 2,
                                   .ffn_width = 128,
                                   .output_width = 24,
                                   .text_width = 96};
  EXPECT_EQ(*audio, expected_audio);
}

TEST(CombinedConfig, PromisesNothingInATextFile) {
  const auto text = GgufBuilder().string("general.architecture", "gemma4").u32("x", 1);
  const auto vision = load_vision(text);
  ASSERT_TRUE(vision.ok()) << vision.error().message;
  EXPECT_FALSE(vision->has_value());
  const auto audio = load_audio(GgufBuilder().string("general.architecture", "gemma3"));
  ASSERT_TRUE(audio.ok()) << audio.error().message;
  EXPECT_FALSE(audio->has_value());
}

// --- folders ---

json released_config() {
  return json::parse(R"({
    "model_type": "gemma4",
    "text_config": {"hidden_size": 48},
    "vision_config": {"hidden_size": 144, "intermediate_size": 208, "num_hidden_layers": 2,
      "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 72, "rms_norm_eps": 1e-06,
      "hidden_activation": "gelu_pytorch_tanh", "pooling_kernel_size": 3, "patch_size": 16,
      "rope_parameters": {"rope_theta": 100.0, "rope_type": "axial"}},
    "audio_config": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
      "hidden_act": "silu", "attention_context_left": 13, "output_proj_dims": 40,
      "rms_norm_eps": 1e-06}})");
}

json unified_config() {
  return json::parse(R"({
    "model_type": "gemma4_unified",
    "text_config": {"hidden_size": 64},
    "vision_config": {"mm_embed_dim": 64, "mm_posemb_size": 32, "output_proj_dims": 64,
      "patch_size": 16, "pooling_kernel_size": 3, "rms_norm_eps": 1e-06},
    "audio_config": {"audio_embed_dim": 640, "rms_norm_eps": 1e-06}})");
}

class Folder {
 public:
  explicit Folder(const json& config, const char* further_file = nullptr,
                  const json& further = {}) {
    folder_.write("config.json", config.dump());
    if (further_file) folder_.write(further_file, further.dump());
    folder_.write("model.safetensors", safetensors_bytes("{}", 0));
  }
  const std::string& path() const { return folder_.path(); }

 private:
  TempFolder folder_;
};

TEST(FolderMediaConfig, ReadsBothTowersWithoutTextTensors) {
  const Folder folder(released_config());
  const auto vision = load_vision(folder.path());
  ASSERT_TRUE(vision.ok()) << vision.error().message;
  const VisionConfig expected_vision{.names = MediaNames::Folder,
                                     .width = 144,
                                     .n_layers = 2,
                                     .n_heads = 2,
                                     .head_dim = 72,
                                     .ffn_width = 208,
                                     .text_width = 48};
  EXPECT_EQ(*vision, expected_vision);
  const auto audio = load_audio(folder.path());
  ASSERT_TRUE(audio.ok()) << audio.error().message;
  const AudioConfig expected_audio{.names = MediaNames::Folder,
                                   .width = 64,
                                   .n_layers = 2,
                                   .n_heads = 2,
                                   .ffn_width = 256,
                                   .output_width = 40,
                                   .text_width = 48};
  EXPECT_EQ(*audio, expected_audio);
}

TEST(FolderMediaConfig, CountsTheKeysOfAnotherLeftContext) {
  auto config = released_config();
  config["audio_config"]["attention_context_left"] = 14;
  const auto audio = load_audio(Folder(config).path());
  ASSERT_TRUE(audio.ok()) << audio.error().message;
  EXPECT_EQ((*audio)->left_keys, 13);
}

TEST(FolderMediaConfig, ReadsTheFormWithoutTowers) {
  const Folder folder(unified_config());
  const auto vision = load_vision(folder.path());
  ASSERT_TRUE(vision.ok()) << vision.error().message;
  const VisionConfig expected_vision{
      .names = MediaNames::Folder, .unified = true, .width = 64, .text_width = 64};
  EXPECT_EQ(*vision, expected_vision);
  const auto audio = load_audio(folder.path());
  ASSERT_TRUE(audio.ok()) << audio.error().message;
  const AudioConfig expected_audio{
      .names = MediaNames::Folder, .unified = true, .width = 640, .text_width = 64};
  EXPECT_EQ(*audio, expected_audio);
}

TEST(FolderMediaConfig, PromisesNothingWithoutASectionOrForOtherModels) {
  for (auto config : {json{{"vision_config", nullptr}, {"audio_config", nullptr}},
                      json{{"model_type", "gemma3"}}, json{{"model_type", "gemma4_text"}}}) {
    auto merged = released_config();
    merged.update(config);
    const Folder folder(merged);
    const auto vision = load_vision(folder.path());
    ASSERT_TRUE(vision.ok()) << vision.error().message;
    EXPECT_FALSE(vision->has_value()) << config.dump();
    const auto audio = load_audio(folder.path());
    ASSERT_TRUE(audio.ok()) << audio.error().message;
    EXPECT_FALSE(audio->has_value()) << config.dump();
  }
}

TEST(FolderMediaConfig, NamesFileAndKeyOfWhatIsWrong) {
  struct Row {
    const char* pointer;
    json value;
    const char* message;
  };
  const Row rows[] = {
      {"/vision_config/hidden_size", nullptr, "vision_config.hidden_size is missing"},
      {"/vision_config/hidden_activation", "relu", "vision_config.hidden_activation is \"relu\""},
      {"/vision_config/num_key_value_heads", 1, "vision_config.num_key_value_heads is 1"},
      {"/vision_config/head_dim", 70, "width 144 with 2 heads of 70"},
      {"/vision_config/pooling_kernel_size", 2, "vision_config.pooling_kernel_size is 2"},
      {"/vision_config/rope_parameters", 7, "vision_config.rope_parameters is number"},
      {"/vision_config", 7, "vision_config is number"},
      {"/text_config/hidden_size", "wide", "text_config.hidden_size is string"},
  };
  for (const auto& row : rows) {
    auto config = released_config();
    config[json::json_pointer(row.pointer)] = row.value;
    const auto vision = load_vision(Folder(config).path());
    ASSERT_FALSE(vision.ok()) << row.pointer;
    EXPECT_THAT(vision.error().message, AllOf(HasSubstr("config.json"), HasSubstr(row.message)));
  }
  auto config = released_config();
  config["audio_config"]["hidden_act"] = "gelu";
  const auto audio = load_audio(Folder(config).path());
  ASSERT_FALSE(audio.ok());
  EXPECT_THAT(audio.error().message, HasSubstr("audio_config.hidden_act is \"gelu\""));
  const std::pair<const char*, json> others[] = {
      {"attention_context_right", 4}, {"attention_logit_cap", 30.0}, {"residual_weight", 1.0}};
  for (const auto& [key, value] : others) {
    config = released_config();
    config["audio_config"][key] = value;
    const auto other = load_audio(Folder(config).path());
    ASSERT_FALSE(other.ok()) << key;
    EXPECT_EQ(other.error().code, Code::Unimplemented);
    EXPECT_THAT(other.error().message, HasSubstr(std::string("audio_config.") + key + " is "));
  }
}

// As the released processors have it.
json released_front_end() {
  return json::parse(R"({"feature_extractor_type": "Gemma4AudioFeatureExtractor",
    "feature_size": 128, "sampling_rate": 16000, "padding_value": 0.0, "frame_length": 320,
    "hop_length": 160, "fft_length": 512, "min_frequency": 0.0, "max_frequency": 8000.0,
    "preemphasis": 0.0, "preemphasis_htk_flavor": true, "fft_overdrive": false, "dither": 0.0,
    "input_scale_factor": 1.0, "mel_floor": 0.001, "per_bin_mean": null,
    "per_bin_stddev": null})");
}

TEST(FolderMediaConfig, KnowsOneFrontEndOfSound) {
  const auto load = [](const json& front_end, bool is_alone) {
    const Folder folder(released_config(),
                        is_alone ? "preprocessor_config.json" : "processor_config.json",
                        is_alone ? front_end : json{{"feature_extractor", front_end}});
    return load_audio(folder.path());
  };
  const std::pair<const char*, json> others[] = {
      {"feature_size", 80},      {"sampling_rate", 24'000}, {"frame_length", 512},
      {"hop_length", 320},       {"fft_length", 1024},      {"min_frequency", 125.0},
      {"max_frequency", 7600.0}, {"preemphasis", 0.97},     {"fft_overdrive", true},
      {"dither", 0.0001},        {"mel_floor", 1e-5},       {"input_scale_factor", 2.0},
      {"per_bin_mean", {1.0}},   {"per_bin_stddev", {1.0}}};
  for (const bool is_alone : {false, true}) {
    const auto known = load(released_front_end(), is_alone);
    EXPECT_TRUE(known.ok()) << known.error().message;
    for (const auto& [key, value] : others) {
      auto front_end = released_front_end();
      front_end[key] = value;
      const auto audio = load(front_end, is_alone);
      ASSERT_FALSE(audio.ok()) << key;
      EXPECT_EQ(audio.error().code, Code::Unimplemented);
      EXPECT_THAT(audio.error().message,
                  AllOf(HasSubstr("processor_config.json"), HasSubstr(std::string(key) + " is ")));
    }
  }
}

// --- the projector beside a model ---

class Beside : public testing::Test {
 protected:
  TempFolder folder;
  std::string model =
      folder.write("text.gguf", GgufBuilder().string("general.architecture", "gemma4").build());
};

TEST_F(Beside, IsToldByItsHeaderNotItsName) {
  folder.write("some-name.gguf", vision_mmproj().build());
  folder.write("mmproj-of-nothing.gguf", std::string("not a model"));
  folder.write("mmproj-text.gguf", GgufBuilder().string("general.architecture", "gemma4").build());
  const auto found = find_mmproj(model, 96);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(*found, folder.file("some-name.gguf"));
}

TEST_F(Beside, HasTheWidthOfTheTextBody) {
  folder.write("a.gguf", vision_mmproj().build());
  folder.write("b.gguf", audio_mmproj().build());
  const auto found = find_mmproj(model, 40);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(*found, folder.file("b.gguf"));
  const auto none = find_mmproj(model, 2560);
  ASSERT_TRUE(none.ok()) << none.error().message;
  EXPECT_FALSE(none->has_value());
}

TEST_F(Beside, IsNotChosenAmongSeveral) {
  folder.write("f16.gguf", vision_mmproj().build());
  folder.write("bf16.gguf", vision_mmproj().build());
  const auto found = find_mmproj(model, 96);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, Code::FailedPrecondition);
  EXPECT_THAT(found.error().message, AllOf(HasSubstr("text.gguf: 2 projectors"),
                                           HasSubstr("bf16.gguf, "), HasSubstr("/f16.gguf")));
}

TEST_F(Beside, IsAbsentInAnEmptyFolder) {
  const auto found = find_mmproj(model, 96);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_FALSE(found->has_value());
}

TEST(IsMmproj, ReadsTheArchitecture) {
  const TempFolder folder;
  const auto projector = Checkpoint::open(folder.write("p.gguf", vision_mmproj().build()));
  ASSERT_TRUE(projector.ok()) << projector.error().message;
  EXPECT_TRUE(is_mmproj(*projector));
  const auto whole = Checkpoint::open(folder.write("c.gguf", combined().build()));
  ASSERT_TRUE(whole.ok()) << whole.error().message;
  EXPECT_FALSE(is_mmproj(*whole));
}

}  // namespace
}  // namespace fourfold
