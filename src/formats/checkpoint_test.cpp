#include "formats/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "formats/test_files.h"

namespace fourfold {
namespace {

using namespace testing_files;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// One part of a split set; part 0 carries the metadata.
GgufBuilder part(std::uint16_t number, std::uint16_t count, std::int32_t n_tensors,
                 const std::string& tensor) {
  GgufBuilder builder;
  if (number == 0) builder.string("general.architecture", "gemma4");
  builder.key("split.no", kGgufU16, ByteWriter().number(number));
  builder.key("split.count", kGgufU16, ByteWriter().number(count));
  builder.key("split.tensors.count", kGgufI32, ByteWriter().number(n_tensors));
  if (!tensor.empty()) builder.tensor(tensor, {8});
  return builder;
}

TEST(Checkpoint, OpensASplitSetFromAnyPart) {
  const TempFolder folder;
  folder.write("m-00001-of-00003.gguf", part(0, 3, 2, "").build());
  folder.write("m-00002-of-00003.gguf", part(1, 3, 2, "b").build());
  folder.write("m-00003-of-00003.gguf", part(2, 3, 2, "a").build());
  for (const auto* name :
       {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"}) {
    const auto checkpoint = Checkpoint::open(folder.file(name));
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    EXPECT_EQ(checkpoint->path(), folder.file(name));
    EXPECT_EQ(*checkpoint->metadata()->require_string("general.architecture"), "gemma4");
    ASSERT_EQ(checkpoint->tensors().size(), 2u);
    EXPECT_EQ(checkpoint->tensors()[0].name, "b");
    ASSERT_NE(checkpoint->find("a"), nullptr);
    EXPECT_EQ(checkpoint->find("a")->bytes().size(), 32u);
    ASSERT_EQ(checkpoint->files().size(), 3u);
    EXPECT_EQ(checkpoint->files()[2].path, folder.file("m-00003-of-00003.gguf"));
  }
}

TEST(Checkpoint, AFileWithoutSplitKeysMayBeNamedLikeAPart) {
  const TempFolder folder;
  const auto path = folder.write("m-00002-of-00009.gguf", GgufBuilder().tensor("t", {8}).build());
  const auto merged = folder.write("merged.gguf", part(0, 0, 1, "t").build());
  EXPECT_TRUE(Checkpoint::open(path).ok());
  EXPECT_TRUE(Checkpoint::open(merged).ok());
}

struct BrokenSet {
  const char* what;
  std::vector<std::pair<std::string, Bytes>> files;  // the first is opened
  Code code;
  std::vector<const char*> parts;
};

class BrokenSplitSet : public testing::TestWithParam<BrokenSet> {};

TEST_P(BrokenSplitSet, IsRefused) {
  const TempFolder folder;
  for (const auto& [name, bytes] : GetParam().files) folder.write(name, bytes);
  const auto checkpoint = Checkpoint::open(folder.file(GetParam().files.front().first));
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(code_name(checkpoint.error().code), code_name(GetParam().code));
  for (const auto* text : GetParam().parts) {
    EXPECT_THAT(checkpoint.error().message, HasSubstr(text));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sets, BrokenSplitSet,
    testing::Values(
        BrokenSet{"PartMissing",
                  {{"m-00001-of-00002.gguf", part(0, 2, 2, "a").build()}},
                  Code::NotFound,
                  {"part 2 of 2", "m-00002-of-00002.gguf: no such file"}},
        BrokenSet{"NameWithoutNumber",
                  {{"model.gguf", part(1, 2, 2, "a").build()}},
                  Code::InvalidArgument,
                  {"part 2 of a set of 2", "-00002-of-00002.gguf"}},
        BrokenSet{"CountDisagreesWithTheName",
                  {{"m-00001-of-00002.gguf", part(0, 3, 2, "a").build()}},
                  Code::DataLoss,
                  {"split.no 0 of split.count 3, the name says 0 of 2"}},
        BrokenSet{"PartsSwapped",
                  {{"m-00001-of-00002.gguf", part(0, 2, 2, "a").build()},
                   {"m-00002-of-00002.gguf", part(0, 2, 2, "b").build()}},
                  Code::DataLoss,
                  {"m-00002-of-00002.gguf: split.no 0 of split.count 2, the name says 1 of 2"}},
        BrokenSet{"TensorInTwoParts",
                  {{"m-00001-of-00002.gguf", part(0, 2, 2, "a").build()},
                   {"m-00002-of-00002.gguf", part(1, 2, 2, "a").build()}},
                  Code::DataLoss,
                  {"m-00002-of-00002.gguf: tensor \"a\" is already in", "m-00001-of-00002.gguf"}},
        BrokenSet{"TotalDisagrees",
                  {{"m-00001-of-00002.gguf", part(0, 2, 5, "a").build()},
                   {"m-00002-of-00002.gguf", part(1, 2, 5, "b").build()}},
                  Code::DataLoss,
                  {"split.tensors.count is 5, the parts have 2 tensors"}},
        BrokenSet{"PartIsBroken",
                  {{"m-00001-of-00002.gguf", part(0, 2, 2, "a").build()},
                   {"m-00002-of-00002.gguf", Bytes(40)}},
                  Code::DataLoss,
                  {"part 2 of 2: ", "m-00002-of-00002.gguf: header at offset 0: magic"}}),
    [](const auto& row) { return row.param.what; });

TEST(Checkpoint, KeepsTheTowersOfAnAllInOneFile) {
  const TempFolder folder;
  const auto path = folder.write("m.gguf", GgufBuilder()
                                               .tensor("token_embd.weight", {8, 4})
                                               .tensor("v.blk.0.attn_q.weight", {8})
                                               .tensor("a.blk.0.attn_q.weight", {8})
                                               .tensor("mm.input_projection.weight", {8})
                                               .build());
  const auto checkpoint = Checkpoint::open(path);
  ASSERT_TRUE(checkpoint.ok());
  EXPECT_NE(checkpoint->find("v.blk.0.attn_q.weight"), nullptr);
  EXPECT_NE(checkpoint->find("a.blk.0.attn_q.weight"), nullptr);
  EXPECT_NE(checkpoint->find("mm.input_projection.weight"), nullptr);
}

TEST(Checkpoint, QuantizationVersionMustBe2) {
  const TempFolder folder;
  const GgufBuilder::Tensor blocks{.name = "w", .ne = {32}, .type = kGgufTypeQ40, .size_bytes = 18};
  const auto silent = folder.write("silent.gguf", GgufBuilder().tensor(blocks).build());
  const auto newer = folder.write(
      "newer.gguf", GgufBuilder().u32("general.quantization_version", 3).tensor(blocks).build());
  const auto accepted = Checkpoint::open(silent);
  ASSERT_TRUE(accepted.ok());
  EXPECT_THAT(accepted->warnings(),
              ElementsAre(HasSubstr("general.quantization_version is missing")));
  const auto refused = Checkpoint::open(newer);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::Unimplemented);
  EXPECT_THAT(refused.error().message, HasSubstr("general.quantization_version 3 (expected 2)"));
}

TEST(Checkpoint, PathThatIsNoModelIsExplained) {
  const TempFolder folder;
  const auto weights = folder.write("model.safetensors", safetensors_bytes("{}", 0));
  EXPECT_THAT(Checkpoint::open(weights).error().message,
              HasSubstr("give the folder that holds it"));
  EXPECT_THAT(Checkpoint::open(folder.path()).error().message,
              HasSubstr("config.json: no such file"));
  EXPECT_EQ(Checkpoint::open(folder.file("none.gguf")).error().code, Code::NotFound);
  const TempFolder empty;
  const auto refused = Checkpoint::open(empty.path());
  EXPECT_EQ(refused.error().code, Code::NotFound);
  EXPECT_THAT(refused.error().message, HasSubstr("no model.safetensors"));
}

constexpr std::string_view kTensorA = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
constexpr std::string_view kTensorB = R"({"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
constexpr std::string_view kShard1 = "model-00001-of-00002.safetensors";
constexpr std::string_view kShard2 = "model-00002-of-00002.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

TEST(CheckpointFolder, ReadsTheFilesAndTextsOfAModel) {
  const TempFolder folder;
  folder.write("model.safetensors", safetensors_bytes(kTensorA, 8));
  folder.write("stray.safetensors", "not read");
  folder.write("config.json", "{}");
  folder.write("chat_template.jinja", "{{ text }}");
  folder.write("tokenizer.json", "not read either");
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->form(), Checkpoint::Form::Safetensors);
  EXPECT_EQ(checkpoint->metadata(), nullptr);
  EXPECT_EQ(checkpoint->json_text("config.json"), "{}");
  EXPECT_EQ(checkpoint->json_text("chat_template.jinja"), "{{ text }}");
  EXPECT_EQ(checkpoint->json_text("generation_config.json"), "");
  EXPECT_EQ(checkpoint->find_file("tokenizer.json"), folder.file("tokenizer.json"));
  EXPECT_EQ(checkpoint->find_file("generation_config.json"), "");
  EXPECT_EQ(Checkpoint::open(folder.path() + "/")->path(), folder.path());
  EXPECT_EQ(checkpoint->files().size(), 4u);
}

TEST(CheckpointFolder, ReadsExactlyTheShardsOfTheIndex) {
  const TempFolder folder;
  folder.write("config.json", "{}");
  folder.write(kShard1, safetensors_bytes(kTensorA, 8));
  folder.write(kShard2, safetensors_bytes(kTensorB, 8));
  folder.write(kIndex, R"({"metadata":{"total_size":16},"weight_map":{"a":")" +
                           std::string(kShard1) + R"(","b":")" + std::string(kShard2) + "\"}}");
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  ASSERT_NE(checkpoint->find("b"), nullptr);
  EXPECT_EQ(checkpoint->find("b")->file->path(), folder.file(kShard2));
  EXPECT_EQ(checkpoint->find("c"), nullptr);
}

struct BrokenIndex {
  const char* what;
  const char* text;
  Code code;
  const char* message;
};

class BrokenIndexFile : public testing::TestWithParam<BrokenIndex> {};

TEST_P(BrokenIndexFile, IsRefused) {
  const TempFolder folder;
  folder.write("config.json", "{}");
  folder.write(kShard1, safetensors_bytes(kTensorA, 8));
  folder.write(kIndex, GetParam().text);
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(code_name(checkpoint.error().code), code_name(GetParam().code));
  EXPECT_THAT(checkpoint.error().message,
              AllOf(HasSubstr("model.safetensors.index.json"), HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    Texts, BrokenIndexFile,
    testing::Values(
        BrokenIndex{"NotJson", "{", Code::InvalidArgument, "offset 1: unexpected end"},
        BrokenIndex{"NoMap", "{}", Code::InvalidArgument, "weight_map is missing"},
        BrokenIndex{"Traversal", R"({"weight_map":{"a":"../model-00001-of-00002.safetensors"}})",
                    Code::InvalidArgument, "is no shard name"},
        BrokenIndex{"AbsolutePath", R"({"weight_map":{"a":"/etc/passwd"}})", Code::InvalidArgument,
                    "weight_map.\"a\": \"/etc/passwd\" is no shard name"},
        BrokenIndex{"NotAString", R"({"weight_map":{"a":1}})", Code::InvalidArgument,
                    "is no shard name"},
        BrokenIndex{"ShardMissing", R"({"weight_map":{"a":"model-00002-of-00002.safetensors"}})",
                    Code::NotFound, "model-00002-of-00002.safetensors: no such file"},
        BrokenIndex{"TensorMissing",
                    R"({"weight_map":{"a":"model-00001-of-00002.safetensors",)"
                    R"("z":"model-00001-of-00002.safetensors"}})",
                    Code::DataLoss, "tensor \"z\" is not in model-00001-of-00002.safetensors"},
        BrokenIndex{"Duplicate",
                    R"({"weight_map":{"a":"model-00001-of-00002.safetensors",)"
                    R"("a":"model-00001-of-00002.safetensors"}})",
                    Code::InvalidArgument, "duplicate key \"a\""}),
    [](const auto& row) { return row.param.what; });

struct ForeignFolder {
  const char* what;
  const char* header;
  std::size_t n_data_bytes;
  const char* config;
  const char* message;
};

class QuantisedFolder : public testing::TestWithParam<ForeignFolder> {};

TEST_P(QuantisedFolder, IsRefusedByName) {
  const TempFolder folder;
  folder.write("model.safetensors", safetensors_bytes(GetParam().header, GetParam().n_data_bytes));
  if (*GetParam().config) folder.write("config.json", GetParam().config);
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(code_name(checkpoint.error().code), code_name(Code::Unimplemented));
  EXPECT_THAT(checkpoint.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Styles, QuantisedFolder,
    testing::Values(
        ForeignFolder{"BitsAndBytes8",
                      R"({"q.weight":{"dtype":"I8","shape":[4],"data_offsets":[4,8]},)"
                      R"("q.SCB":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                      8, "", "tensor \"q.SCB\": the weights are quantised by bitsandbytes 8-bit"},
        ForeignFolder{"BitsAndBytes4",
                      R"({"q.weight":{"dtype":"U8","shape":[4,1],"data_offsets":[4,8]},)"
                      R"("q.weight.absmax":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                      8, "{}", "bitsandbytes 4-bit; merge in bf16"},
        ForeignFolder{"Mlx",
                      R"({"q.weight":{"dtype":"U32","shape":[1],"data_offsets":[0,4]},)"
                      R"("q.scales":{"dtype":"BF16","shape":[1],"data_offsets":[4,6]},)"
                      R"("q.biases":{"dtype":"BF16","shape":[1],"data_offsets":[6,8]}})",
                      8, "{}", "tensor \"q.weight\": the weights are quantised by MLX"},
        ForeignFolder{"Gptq",
                      R"({"q.qweight":{"dtype":"I32","shape":[1],"data_offsets":[0,4]},)"
                      R"("q.g_idx":{"dtype":"I32","shape":[1],"data_offsets":[4,8]}})",
                      8, "{}", "quantised by GPTQ"},
        ForeignFolder{"Awq", R"({"q.qweight":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})", 4,
                      "{}", "quantised by AWQ"},
        ForeignFolder{"AnyOther", "{}", 0, R"({"quantization_config":{"quant_method":"hqq"}})",
                      "config.json: quantization_config.quant_method: \"hqq\" is not supported"}),
    [](const auto& row) { return row.param.what; });

TEST(CheckpointFolder, CompressedTensorsAndStaleConfigsPass) {
  for (const auto* method : {"compressed-tensors", "modelopt", "fp8", "bitsandbytes"}) {
    const TempFolder folder;
    folder.write("model.safetensors", safetensors_bytes(kTensorA, 8));
    folder.write("config.json",
                 R"({"quantization_config":{"quant_method":")" + std::string(method) + "\"}}");
    EXPECT_TRUE(Checkpoint::open(folder.path()).ok()) << method;
  }
}

}  // namespace
}  // namespace fourfold
