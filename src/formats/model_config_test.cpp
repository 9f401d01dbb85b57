#include "formats/model_config.h"

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
using testing::ElementsAre;
using testing::HasSubstr;

Result<ModelConfig> load(const std::string& path) {
  const auto checkpoint = TRY(Checkpoint::open(path));
  return load_model_config(checkpoint);
}

// --- GGUF ---

// A dense Gemma 4 of four layers: sliding, global, sliding (shared), global (shared).
GgufBuilder tiny_gemma4() {
  return GgufBuilder()
      .string("general.architecture", "gemma4")
      .u32("gemma4.block_count", 4)
      .u32("gemma4.embedding_length", 8)
      .u32("gemma4.context_length", 64)
      .u32("gemma4.attention.head_count", 2)
      .u32("gemma4.attention.head_count_kv", 1)
      .u32("gemma4.attention.key_length", 8)
      .u32("gemma4.attention.key_length_swa", 4)
      .f32("gemma4.attention.layer_norm_rms_epsilon", 1e-6f)
      .u32("gemma4.attention.sliding_window", 16)
      .numbers<std::uint8_t>("gemma4.attention.sliding_window_pattern", kGgufBool, {1, 0, 1, 0})
      .u32("gemma4.attention.shared_kv_layers", 2)
      .u32("gemma4.feed_forward_length", 32)
      .u32("gemma4.embedding_length_per_layer_input", 0)
      .strings("tokenizer.ggml.tokens", {"<pad>", "a", "<|image|>"})
      .tensor("token_embd.weight", {8, 3})
      .tensor("blk.0.attn_v.weight", {8, 4});
}

GgufBuilder tiny_gemma3() {
  return GgufBuilder()
      .string("general.architecture", "gemma3")
      .u32("gemma3.block_count", 7)
      .u32("gemma3.embedding_length", 8)
      .u32("gemma3.context_length", 64)
      .u32("gemma3.attention.head_count", 2)
      .u32("gemma3.attention.head_count_kv", 1)
      .u32("gemma3.attention.key_length", 16)
      .f32("gemma3.attention.layer_norm_rms_epsilon", 1e-6f)
      .u32("gemma3.attention.sliding_window", 16)
      .u32("gemma3.feed_forward_length", 32)
      .tensor("token_embd.weight", {8, 3});
}

Result<ModelConfig> load(const GgufBuilder& builder) {
  const TempFolder folder;
  return load(folder.write("m.gguf", builder.build()));
}

TEST(GgufConfig, FillsWhatFilesLeaveOut) {
  const auto config = load(tiny_gemma4());
  ASSERT_TRUE(config.ok()) << config.error().message;
  const auto& text = config->text;
  EXPECT_EQ(text.rope_base_sliding, 1e4f);
  EXPECT_EQ(text.rope_base_global, 1e6f);
  EXPECT_EQ(text.logit_softcap, 30.0f);
  EXPECT_EQ(text.rope_rotated_fraction, 0.25f);
  EXPECT_EQ(text.vocab_size, 3);
  EXPECT_EQ(text.image_token_id, 2);
  EXPECT_EQ(text.audio_token_id, -1);
  EXPECT_FALSE(config->sampling.from_file);
  EXPECT_TRUE(text.layers[1].k_eq_v);  // no attn_v in an owning global layer
  EXPECT_FALSE(text.layers[3].k_eq_v);
  EXPECT_EQ(text.layers[2].kv_source, 0);
  EXPECT_EQ(text.layers[3].kv_source, 1);
}

TEST(GgufConfig, TakesScalarsAndArraysAlike) {
  auto builder = tiny_gemma4();
  builder.drop_key("gemma4.feed_forward_length").drop_key("gemma4.attention.head_count_kv");
  builder.numbers<std::int32_t>("gemma4.feed_forward_length", kGgufI32, {32, 32, 64, 64});
  builder.numbers<std::uint32_t>("gemma4.attention.head_count_kv", kGgufU32, {2, 1, 2, 1});
  const auto config = load(builder);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->text.layers[1].ffn_width, 32);
  EXPECT_EQ(config->text.layers[2].ffn_width, 64);
  EXPECT_EQ(config->text.layers[2].n_kv_heads, 2);
}

TEST(GgufConfig, LastLayerOfGemma4IsGlobalWhateverTheListSays) {
  auto builder = tiny_gemma4().drop_key("gemma4.attention.sliding_window_pattern");
  builder.numbers<std::uint8_t>("gemma4.attention.sliding_window_pattern", kGgufBool, {1, 0, 1, 1});
  const auto config = load(builder);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_FALSE(config->text.layers[3].sliding);
  EXPECT_THAT(config->warnings, ElementsAre(HasSubstr("last layer")));
}

TEST(GgufConfig, ReadsOllamasAndTheConvertersGenerationKeys) {
  auto builder = tiny_gemma4();
  builder.u32("tokenizer.ggml.eos_token_id", 1);
  builder.numbers<std::int32_t>("tokenizer.ggml.eos_token_ids", kGgufI32, {1, 2});
  builder.numbers<std::int32_t>("tokenizer.ggml.suppress_tokens", kGgufI32, {2, 0});
  builder.f32("general.sampling.temp", 0.5f).f32("general.sampling.top_p", 0.9f);
  builder.key("general.sampling.top_k", kGgufI32, ByteWriter().number<std::int32_t>(7));
  const auto config = load(builder);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_THAT(config->eos_ids, ElementsAre(1, 2));
  EXPECT_THAT(config->suppress_ids, ElementsAre(2, 0));
  EXPECT_EQ(config->sampling.temperature, 0.5f);
  EXPECT_EQ(config->sampling.top_k, 7);
  EXPECT_EQ(config->sampling.top_p, 0.9f);
  EXPECT_TRUE(config->sampling.from_file);
}

TEST(GgufConfig, PerLayerTableDecidesAndMustFitItsKey) {
  auto builder = tiny_gemma4().drop_key("gemma4.embedding_length_per_layer_input");
  builder.u32("gemma4.embedding_length_per_layer_input", 8);
  EXPECT_THAT(load(builder).error().message,
              HasSubstr("embedding_length_per_layer_input\" is 8, but tensor "
                        "\"per_layer_token_embd.weight\" is missing"));
  builder.tensor("per_layer_token_embd.weight", {32, 3});
  const auto config = load(builder);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->text.per_layer_width, 8);
  EXPECT_FALSE(config->text.bidirectional_vision);
  builder.drop_tensor("per_layer_token_embd.weight").tensor("per_layer_token_embd.weight", {24, 3});
  EXPECT_THAT(load(builder).error().message,
              HasSubstr("shape [3, 24] in file, the configuration needs [3, 32]"));
}

TEST(GgufConfig, RopeFreqsTellHowMuchOfAHeadRotates) {
  const auto with_freqs = [](std::initializer_list<float> values) {
    auto bytes = tiny_gemma4().tensor("rope_freqs.weight", {4}).build();
    // The last tensor, padded to 32 bytes.
    std::memcpy(bytes.data() + bytes.size() - 32, values.begin(), values.size() * sizeof(float));
    const TempFolder folder;
    return load(folder.write("m.gguf", bytes));
  };
  const auto half = with_freqs({1, 1, 1e30f, 1e30f});
  ASSERT_TRUE(half.ok()) << half.error().message;
  EXPECT_EQ(half->text.rope_rotated_fraction, 0.5f);
  EXPECT_THAT(with_freqs({1, 2, 1e30f, 1e30f}).error().message,
              HasSubstr("rope_freqs.weight\": expected ones followed by values of 1e30"));
}

TEST(GgufConfig, Gemma3Defaults) {
  const auto config = load(tiny_gemma3());
  ASSERT_TRUE(config.ok()) << config.error().message;
  const auto& text = config->text;
  EXPECT_EQ(text.family, Family::Gemma3);
  EXPECT_FALSE(text.layers[5].sliding);
  EXPECT_TRUE(text.layers[6].sliding);
  EXPECT_EQ(text.attention_scale, 0.25f);
  EXPECT_EQ(text.rope_base_sliding, 1e4f);
  EXPECT_EQ(text.logit_softcap, std::nullopt);
  EXPECT_FALSE(text.layers[5].k_eq_v);
  EXPECT_FALSE(text.norm_weight_plus_one);
}

TEST(GgufConfig, Gemma3ReadsScalingAndPeriod) {
  auto builder = tiny_gemma3();
  builder.string("gemma3.rope.scaling.type", "linear").f32("gemma3.rope.scaling.factor", 8.0f);
  builder.u32("gemma3.attention.sliding_window_pattern", 2);
  const auto config = load(builder);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->text.rope_scale_global, 8.0f);
  EXPECT_FALSE(config->text.layers[1].sliding);
  EXPECT_FALSE(config->text.layers[3].sliding);
}

TEST(GgufConfig, The12bSuppressesItsMediaEndMarks) {
  auto builder = tiny_gemma4();
  for (const auto* key : {"block_count", "embedding_length", "attention.head_count",
                          "attention.sliding_window_pattern"}) {
    builder.drop_key(std::string("gemma4.") + key);
  }
  builder.u32("gemma4.block_count", 48).u32("gemma4.embedding_length", 3840);
  builder.u32("gemma4.attention.head_count", 16);
  builder.u32("gemma4.attention.sliding_window_pattern", 6);
  const auto config = load(builder);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->body, "12b");
  EXPECT_THAT(config->suppress_ids, ElementsAre(258883, 258882));
}

TEST(GgufConfig, RecognisesTheKeeper) {
  auto builder = tiny_gemma4();
  for (const auto* key : {"block_count", "embedding_length", "attention.head_count",
                          "attention.sliding_window_pattern"}) {
    builder.drop_key(std::string("gemma4.") + key);
  }
  builder.u32("gemma4.block_count", 8).u32("gemma4.embedding_length", 256);
  builder.u32("gemma4.attention.head_count", 4);
  builder.u32("gemma4.attention.sliding_window_pattern", 2);
  const auto config = load(builder);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->body, "keeper");
}

struct BadGguf {
  const char* what;
  void (*change)(GgufBuilder&);
  Code code;
  const char* message;
};

class BadGgufConfig : public testing::TestWithParam<BadGguf> {};

TEST_P(BadGgufConfig, IsRefusedByFileAndKey) {
  auto builder = tiny_gemma4();
  GetParam().change(builder);
  const auto config = load(builder);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(code_name(config.error().code), code_name(GetParam().code));
  EXPECT_THAT(config.error().message, AllOf(HasSubstr("m.gguf"), HasSubstr(GetParam().message)));
}

void set_u32(GgufBuilder& builder, const char* key, std::uint32_t value) {
  builder.drop_key(key).u32(key, value);
}

INSTANTIATE_TEST_SUITE_P(
    Keys, BadGgufConfig,
    testing::Values(
        BadGguf{"NoArchitecture", [](auto& b) { b.drop_key("general.architecture"); },
                Code::InvalidArgument, "key \"general.architecture\" is missing"},
        BadGguf{"OtherArchitecture",
                [](auto& b) {
                  b.drop_key("general.architecture").string("general.architecture", "llama");
                },
                Code::Unimplemented, "\"llama\" (expected gemma4 or gemma3)"},
        BadGguf{"Projector", [](auto& b) { b.string("general.type", "mmproj"); },
                Code::InvalidArgument, "key \"general.type\" is \"mmproj\""},
        BadGguf{"NoLayerCount", [](auto& b) { b.drop_key("gemma4.block_count"); },
                Code::InvalidArgument, "key \"gemma4.block_count\" is missing"},
        BadGguf{"NoLayer", [](auto& b) { set_u32(b, "gemma4.block_count", 0); },
                Code::InvalidArgument, "key \"gemma4.block_count\" is 0 (expected 1 to 1024)"},
        BadGguf{"TooManyLayers", [](auto& b) { set_u32(b, "gemma4.block_count", 4'000'000'000u); },
                Code::InvalidArgument, "is 4000000000 (expected 1 to 1024)"},
        BadGguf{"NegativeWidth",
                [](auto& b) {
                  b.drop_key("gemma4.embedding_length")
                      .key("gemma4.embedding_length", kGgufI32, ByteWriter().number(-8));
                },
                Code::InvalidArgument, "key \"gemma4.embedding_length\" is -8"},
        BadGguf{"WidthAsText",
                [](auto& b) {
                  b.drop_key("gemma4.embedding_length").string("gemma4.embedding_length", "8");
                },
                Code::InvalidArgument, "is a string, expected an integer"},
        BadGguf{"ShortArray",
                [](auto& b) {
                  b.drop_key("gemma4.feed_forward_length");
                  b.template numbers<std::int32_t>("gemma4.feed_forward_length", kGgufI32, {1, 2});
                },
                Code::InvalidArgument, "feed_forward_length\" has 2 entries, the model has 4"},
        BadGguf{"FractionsInArray",
                [](auto& b) {
                  b.drop_key("gemma4.feed_forward_length");
                  b.template numbers<float>("gemma4.feed_forward_length", kGgufF32, {1, 2, 3, 4});
                },
                Code::InvalidArgument, "holds fractions"},
        BadGguf{"ZeroInArray",
                [](auto& b) {
                  b.drop_key("gemma4.feed_forward_length");
                  b.template numbers<std::int32_t>("gemma4.feed_forward_length", kGgufI32,
                                                   {1, 2, 0, 4});
                },
                Code::InvalidArgument, "is 0 (expected 1 to 1048576)"},
        BadGguf{"NoPattern", [](auto& b) { b.drop_key("gemma4.attention.sliding_window_pattern"); },
                Code::InvalidArgument, "sliding_window_pattern\" is missing"},
        BadGguf{"EpsZero",
                [](auto& b) {
                  b.drop_key("gemma4.attention.layer_norm_rms_epsilon")
                      .f32("gemma4.attention.layer_norm_rms_epsilon", 0);
                },
                Code::InvalidArgument, "is 0 (expected a positive number)"},
        BadGguf{"BaseNotFinite", [](auto& b) { b.f32("gemma4.rope.freq_base", __builtin_inff()); },
                Code::InvalidArgument, "rope.freq_base\" is inf (expected a positive number)"},
        BadGguf{"AllLayersShared",
                [](auto& b) { set_u32(b, "gemma4.attention.shared_kv_layers", 4); },
                Code::InvalidArgument, "is 4 (expected 0 to 3)"},
        BadGguf{"SharedTypeWithoutOwner",
                [](auto& b) { set_u32(b, "gemma4.attention.shared_kv_layers", 3); },
                Code::InvalidArgument, "layer 1 shares the K/V of a global layer, but none"},
        BadGguf{"UnevenHeads", [](auto& b) { set_u32(b, "gemma4.attention.head_count_kv", 3); },
                Code::InvalidArgument, "2 query heads do not share 3 key/value heads evenly"},
        BadGguf{"OddHead", [](auto& b) { set_u32(b, "gemma4.attention.key_length_swa", 5); },
                Code::InvalidArgument, "layer 0: head of 5 values"},
        BadGguf{"SharedHeadsDiffer",
                [](auto& b) {
                  b.drop_key("gemma4.attention.head_count_kv");
                  b.template numbers<std::int32_t>("gemma4.attention.head_count_kv", kGgufI32,
                                                   {1, 1, 2, 1});
                },
                Code::InvalidArgument,
                "layer 2 (2 key/value heads of 4) shares the K/V of layer 0"},
        BadGguf{"OtherValueLength", [](auto& b) { b.u32("gemma4.attention.value_length", 16); },
                Code::Unimplemented, "value_length\" is 16, but gemma4.attention.key_length is 8"},
        BadGguf{"MoreExpertsUsedThanThere",
                [](auto& b) { b.u32("gemma4.expert_count", 4).u32("gemma4.expert_used_count", 5); },
                Code::InvalidArgument, "expert_used_count\" is 5 (expected 1 to 4)"},
        BadGguf{"NoEmbedding", [](auto& b) { b.drop_tensor("token_embd.weight"); },
                Code::InvalidArgument, "tensor \"token_embd.weight\" is missing"},
        BadGguf{"TokensAndRowsDisagree",
                [](auto& b) {
                  b.drop_key("tokenizer.ggml.tokens").strings("tokenizer.ggml.tokens", {"a", "b"});
                },
                Code::InvalidArgument, "has 2 entries, token_embd.weight has 3 rows"},
        BadGguf{"EosOutsideTheVocabulary", [](auto& b) { b.u32("tokenizer.ggml.eos_token_id", 3); },
                Code::InvalidArgument,
                "key \"tokenizer.ggml.eos_token_id\" is 3 (expected 0 to 2)"},
        BadGguf{"YarnScaling", [](auto& b) { b.string("gemma4.rope.scaling.type", "yarn"); },
                Code::Unimplemented, "\"yarn\" (expected \"linear\" or \"none\")"},
        BadGguf{"TopPAboveOne", [](auto& b) { b.f32("general.sampling.top_p", 1.5f); },
                Code::InvalidArgument, "top_p is 1.5"}),
    [](const auto& row) { return row.param.what; });

// --- config.json ---

// The same tiny body as an E2B checkpoint would describe it.
json tiny_text_config() {
  return {{"num_hidden_layers", 4},
          {"hidden_size", 8},
          {"intermediate_size", 32},
          {"max_position_embeddings", 64},
          {"num_attention_heads", 2},
          {"num_key_value_heads", 1},
          {"head_dim", 4},
          {"global_head_dim", 8},
          {"sliding_window", 16},
          {"vocab_size", 3},
          {"num_kv_shared_layers", 2},
          {"layer_types",
           {"sliding_attention", "full_attention", "sliding_attention", "full_attention"}}};
}

json tiny_config() { return {{"model_type", "gemma4"}, {"text_config", tiny_text_config()}}; }

constexpr const char* kEmbedding =
    R"({"model.embed_tokens.weight":{"dtype":"BF16","shape":[3,8],"data_offsets":[0,48]}})";

Result<ModelConfig> load(const json& config, const std::string& generation = "",
                         const std::string& header = kEmbedding, std::size_t n_data_bytes = 48) {
  const TempFolder folder;
  folder.write("config.json", config.dump());
  if (!generation.empty()) folder.write("generation_config.json", generation);
  folder.write("model.safetensors", safetensors_bytes(header, n_data_bytes));
  return load(folder.path());
}

json patched(json config, const char* patch) {
  config.merge_patch(json::parse(patch));
  return config;
}

TEST(FolderConfig, AbsentAndNullKeysHaveTheDefaultsOfTheClass) {
  auto config = tiny_config();
  config["text_config"]["rope_parameters"] = nullptr;
  const auto loaded = load(config);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  const auto& text = loaded->text;
  EXPECT_EQ(text.rope_base_sliding, 1e4f);
  EXPECT_EQ(text.rope_base_global, 1e6f);
  EXPECT_EQ(text.rope_rotated_fraction, 0.25f);
  EXPECT_EQ(text.rms_eps, 1e-6f);
  EXPECT_EQ(text.logit_softcap, std::nullopt);  // unlike a GGUF
  EXPECT_EQ(text.per_layer_width, 0);
  EXPECT_EQ(text.layers[2].ffn_width, 32);
  EXPECT_FALSE(text.bidirectional_vision);
  EXPECT_FALSE(text.layers[1].k_eq_v);
  EXPECT_EQ(text.image_token_id, -1);
}

TEST(FolderConfig, UnifiedClassSeesPicturesWhole) {
  const auto unified = load(patched(tiny_config(), R"({"model_type":"gemma4_unified"})"));
  ASSERT_TRUE(unified.ok()) << unified.error().message;
  EXPECT_TRUE(unified->text.bidirectional_vision);
}

TEST(FolderConfig, PlaceholdersBelongToTheWrappedClasses) {
  const auto wrapped = load(patched(tiny_config(), R"({"image_token_id":2})"));
  auto bare = tiny_text_config();
  bare["model_type"] = "gemma4_text";
  bare["image_token_id"] = 2;
  const auto text_only = load(bare);
  ASSERT_TRUE(wrapped.ok() && text_only.ok());
  EXPECT_EQ(wrapped->text.image_token_id, 2);
  EXPECT_EQ(text_only->text.image_token_id, -1);
}

TEST(FolderConfig, GlobalHeadsInTheThreeSchemas) {
  const auto old_keys = load(
      patched(tiny_config(), R"({"text_config":{"num_attention_heads":4,"num_key_value_heads":4,
                         "attention_k_eq_v":true,"num_global_key_value_heads":2}})"));
  const auto per_layer = load(
      patched(tiny_config(), R"({"text_config":{"num_attention_heads":4,"num_key_value_heads":4,
                         "attention_k_eq_v":true,"global_head_dim":null,
                         "per_layer_config":{"01":{"head_dim":8,"num_key_value_heads":2},
                                             "03":{"head_dim":8,"num_key_value_heads":2}}}})"));
  const auto neither = load(patched(tiny_config(), R"({"text_config":{"global_head_dim":null}})"));
  ASSERT_TRUE(old_keys.ok()) << old_keys.error().message;
  ASSERT_TRUE(per_layer.ok()) << per_layer.error().message;
  ASSERT_TRUE(neither.ok()) << neither.error().message;
  EXPECT_EQ(old_keys->text.layers[1].n_kv_heads, 2);
  EXPECT_TRUE(old_keys->text == per_layer->text);
  EXPECT_EQ(neither->text.layers[1].head_dim, 512);
  EXPECT_EQ(neither->text.layers[0].head_dim, 4);
}

TEST(FolderConfig, OtherKvHeadsOfGlobalLayersGoWithKEqVOnly) {
  const auto config = load(
      patched(tiny_config(), R"({"text_config":{"num_attention_heads":4,"num_key_value_heads":4,
                         "num_global_key_value_heads":2}})"));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->text.layers[1].n_kv_heads, 4);
}

TEST(FolderConfig, PatternWithoutAListIsFiveToOneAndEndsGlobal) {
  const auto config =
      load(patched(tiny_config(), R"({"text_config":{"layer_types":null,"num_hidden_layers":8,
                         "num_kv_shared_layers":0}})"));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_TRUE(config->text.layers[4].sliding);
  EXPECT_FALSE(config->text.layers[5].sliding);
  EXPECT_TRUE(config->text.layers[6].sliding);
  EXPECT_FALSE(config->text.layers[7].sliding);
}

TEST(FolderConfig, DoubleWideLayersAreTheSharedOnes) {
  const auto config =
      load(patched(tiny_config(), R"({"text_config":{"use_double_wide_mlp":true}})"));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->text.layers[1].ffn_width, 32);
  EXPECT_EQ(config->text.layers[2].ffn_width, 64);
}

TEST(FolderConfig, ExpertWidthHasTwoNames) {
  const auto config =
      load(patched(tiny_config(), R"({"text_config":{"enable_moe_block":true,"num_experts":8,
                         "top_k_experts":2,"expert_intermediate_size":16}})"));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->text.n_experts, 8);
  EXPECT_EQ(config->text.expert_ffn_width, 16);
}

TEST(FolderConfig, PerLayerTensorsDecideWithTheDefaultWidth) {
  const auto config =
      load(tiny_config(), "",
           R"({"model.embed_tokens.weight":{"dtype":"BF16","shape":[3,8],"data_offsets":[0,48]},)"
           R"("model.embed_tokens_per_layer.weight":{"dtype":"U8","shape":[3,1024],)"
           R"("data_offsets":[48,3120]}})",
           3120);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->text.per_layer_width, 256);
}

TEST(FolderConfig, GenerationConfigComesFirst) {
  const auto with = load(patched(tiny_config(), R"({"eos_token_id":1})"),
                         R"({"eos_token_id":[2,1,2],"suppress_tokens":[0],"temperature":0.7,
                             "top_k":5,"top_p":0.8})");
  const auto without = load(patched(tiny_config(), R"({"eos_token_id":1})"));
  ASSERT_TRUE(with.ok()) << with.error().message;
  ASSERT_TRUE(without.ok());
  EXPECT_THAT(with->eos_ids, ElementsAre(2, 1));
  EXPECT_THAT(with->suppress_ids, ElementsAre(0));
  EXPECT_EQ(with->sampling.temperature, 0.7f);
  EXPECT_EQ(with->sampling.top_k, 5);
  EXPECT_TRUE(with->sampling.from_file);
  EXPECT_THAT(without->eos_ids, ElementsAre(1));
  EXPECT_FALSE(without->sampling.from_file);
}

TEST(FolderConfig, Gemma3InItsOldAndNewSchema) {
  const json old_schema = {{"model_type", "gemma3"},
                           {"text_config",
                            {{"num_hidden_layers", 7},
                             {"hidden_size", 8},
                             {"intermediate_size", 32},
                             {"sliding_window", 16},
                             {"query_pre_attn_scalar", 64},
                             {"rope_theta", 5e5},
                             {"rope_local_base_freq", 2e4},
                             {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}}}};
  json new_schema = old_schema;
  new_schema.merge_patch(json::parse(R"({"text_config":{"rope_theta":null,
      "rope_local_base_freq":null,"rope_scaling":null,
      "layer_types":["sliding_attention","sliding_attention","sliding_attention",
                     "sliding_attention","sliding_attention","full_attention","sliding_attention"],
      "rope_parameters":{"full_attention":{"rope_type":"linear","factor":8,"rope_theta":5e5},
                         "sliding_attention":{"rope_type":"default","rope_theta":2e4}}}})"));
  const auto old_config = load(old_schema);
  const auto new_config = load(new_schema);
  ASSERT_TRUE(old_config.ok()) << old_config.error().message;
  ASSERT_TRUE(new_config.ok()) << new_config.error().message;
  const auto& text = old_config->text;
  EXPECT_TRUE(text == new_config->text);
  EXPECT_EQ(text.rope_scale_global, 8.0f);
  EXPECT_EQ(text.rope_base_global, 5e5f);
  EXPECT_EQ(text.rope_base_sliding, 2e4f);
  EXPECT_EQ(text.attention_scale, 0.125f);
  EXPECT_TRUE(text.norm_weight_plus_one);
  EXPECT_TRUE(text.layers[6].sliding);
  EXPECT_EQ(text.n_heads, 8);  // left to the class by the released multimodal files
  EXPECT_EQ(text.layers[0].n_kv_heads, 4);
}

struct BadJson {
  const char* what;
  const char* patch;
  Code code;
  const char* message;
};

class BadFolderConfig : public testing::TestWithParam<BadJson> {};

TEST_P(BadFolderConfig, IsRefusedByFileAndKey) {
  const auto config = load(patched(tiny_config(), GetParam().patch));
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(code_name(config.error().code), code_name(GetParam().code));
  EXPECT_THAT(config.error().message,
              AllOf(HasSubstr("config.json: "), HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    Keys, BadFolderConfig,
    testing::Values(
        BadJson{"OtherClass", R"({"model_type":"llama"})", Code::Unimplemented,
                "model_type is \"llama\" (expected gemma4"},
        BadJson{"Drafter", R"({"model_type":"gemma4_assistant"})", Code::Unimplemented,
                "\"gemma4_assistant\""},
        BadJson{"NoTextConfig", R"({"text_config":null})", Code::InvalidArgument,
                "text_config is missing"},
        BadJson{"TextConfigNotAnObject", R"({"text_config":7})", Code::InvalidArgument,
                "text_config is number (expected an object)"},
        BadJson{"Missing", R"({"text_config":{"hidden_size":null}})", Code::InvalidArgument,
                "text_config.hidden_size is missing"},
        BadJson{"Text", R"({"text_config":{"hidden_size":"8"}})", Code::InvalidArgument,
                "text_config.hidden_size is string (expected a whole number)"},
        BadJson{"Fraction", R"({"text_config":{"hidden_size":8.0}})", Code::InvalidArgument,
                "text_config.hidden_size is number (expected a whole number)"},
        BadJson{"TooLarge", R"({"text_config":{"num_hidden_layers":18446744073709551615}})",
                Code::InvalidArgument, "num_hidden_layers is 9223372036854775807 (expected 1 to"},
        BadJson{"Negative", R"({"text_config":{"sliding_window":-1}})", Code::InvalidArgument,
                "sliding_window is -1 (expected 1 to"},
        BadJson{"FlagAsNumber", R"({"text_config":{"attention_k_eq_v":1}})", Code::InvalidArgument,
                "attention_k_eq_v is number (expected true or false)"},
        BadJson{"ShortPattern", R"({"text_config":{"layer_types":["full_attention"]}})",
                Code::InvalidArgument, "layer_types has 1 entries, the model has 4 layers"},
        BadJson{"UnknownLayerType",
                R"({"text_config":{"num_hidden_layers":1,"num_kv_shared_layers":0,
                    "layer_types":["linear_attention"]}})",
                Code::InvalidArgument, "layer_types[0] is neither"},
        BadJson{"PerLayerIndexOutside",
                R"({"text_config":{"global_head_dim":null,"per_layer_config":{"9":{}}}})",
                Code::InvalidArgument, "per_layer_config.\"9\" is no layer (expected 0 to 3)"},
        BadJson{"PerLayerIndexNotANumber",
                R"({"text_config":{"global_head_dim":null,"per_layer_config":{"-1":{}}}})",
                Code::InvalidArgument, "is no layer"},
        BadJson{"RowsDisagree", R"({"text_config":{"vocab_size":4}})", Code::InvalidArgument,
                "vocab_size is 4, model.embed_tokens.weight has 3 rows"},
        BadJson{"PerLayerTensorMissing", R"({"text_config":{"hidden_size_per_layer_input":256}})",
                Code::InvalidArgument, "tensor \"embed_tokens_per_layer.weight\" is missing"},
        BadJson{"Encoder", R"({"text_config":{"use_bidirectional_attention":"all"}})",
                Code::Unimplemented, "use_bidirectional_attention is \"\\\"all\\\"\""},
        BadJson{"OtherActivation", R"({"text_config":{"hidden_activation":"silu"}})",
                Code::Unimplemented, "hidden_activation is \"silu\""},
        BadJson{"Bias", R"({"text_config":{"attention_bias":true}})", Code::Unimplemented,
                "attention_bias is true"},
        BadJson{"OtherRope",
                R"({"text_config":{"rope_parameters":{"full_attention":{"rope_type":"yarn"}}}})",
                Code::Unimplemented,
                "rope_parameters.full_attention.rope_type is \"yarn\" (expected proportional)"},
        BadJson{"ExpertCountMissing", R"({"text_config":{"enable_moe_block":true}})",
                Code::InvalidArgument, "num_experts is missing"},
        BadJson{"PlaceholderOutside", R"({"image_token_id":3})", Code::InvalidArgument,
                "image_token_id is 3 (expected 0 to 2)"},
        BadJson{"EosAsText", R"({"eos_token_id":"<eos>"})", Code::InvalidArgument,
                "eos_token_id is string"}),
    [](const auto& row) { return row.param.what; });

TEST(FolderConfig, BrokenJsonIsReportedWithItsOffset) {
  const TempFolder folder;
  folder.write("config.json", "{\"model_type\": ");
  folder.write("model.safetensors", safetensors_bytes(kEmbedding, 48));
  EXPECT_THAT(load(folder.path()).error().message,
              HasSubstr("/config.json: offset 15: unexpected end of input"));
}

TEST(FolderConfig, UntiedHeadIsRefusedOnlyWhenThereIsOne) {
  const auto untied = patched(tiny_config(), R"({"tie_word_embeddings":false})");
  EXPECT_TRUE(load(untied).ok());
  const auto refused =
      load(untied, "",
           R"({"model.embed_tokens.weight":{"dtype":"BF16","shape":[3,8],"data_offsets":[0,48]},)"
           R"("lm_head.weight":{"dtype":"BF16","shape":[3,8],"data_offsets":[48,96]}})",
           96);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("tie_word_embeddings is false"));
}

}  // namespace
}  // namespace fourfold
