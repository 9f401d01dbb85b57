#include "convert/conversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <set>

#include "convert/model_keys.h"
#include "convert/test_folder.h"
#include "tensor/blocks.h"
#include "tensor/quantize.h"

namespace fourfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing_files::TempFolder;

std::vector<float> values_of(const TensorInfo& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.n_elements()));
  dequantize(tensor.dtype, tensor.bytes().data(), tensor.n_elements(), values.data());
  return values;
}

Result<Checkpoint> convert_golden(std::string_view source, DType type, const TempFolder& folder) {
  const auto checkpoint = TRY(Checkpoint::open(golden_text(source)));
  return convert(checkpoint, {.type = type}, folder.file("out.gguf"));
}

class GoldenBodies : public testing::TestWithParam<const char*> {};

// The golden GGUF was written by another program from the same weights.
TEST_P(GoldenBodies, GiveTheTensorsAndSizesOfTheirGgufForm) {
  const TempFolder folder;
  const auto made = convert_golden(GetParam(), DType::F32, folder);
  ASSERT_TRUE(made.ok()) << made.error().message;
  const auto golden = Checkpoint::open(golden_text(GetParam(), "model.gguf"));
  ASSERT_TRUE(golden.ok());
  auto config = load_model_config(*made);
  const auto expected = load_model_config(*golden);
  ASSERT_TRUE(config.ok()) << config.error().message;

  std::set<std::string> missing;
  for (const TensorInfo& tensor : golden->tensors()) missing.insert(tensor.name);
  for (const TensorInfo& tensor : made->tensors()) {
    ASSERT_TRUE(missing.erase(tensor.name)) << tensor.name;
    const TensorInfo& other = *golden->find(tensor.name);
    EXPECT_EQ(tensor.dtype, DType::F32) << tensor.name;
    EXPECT_EQ(tensor.shape, other.shape) << tensor.name;
    EXPECT_EQ(values_of(tensor), values_of(other)) << tensor.name;
  }
  // Only what no layer reads is left out.
  for (const auto& tensor : text_tensor_names(config->text.n_layers)) {
    if (is_dead(tensor, config->text)) missing.erase(tensor.gguf);
  }
  EXPECT_THAT(missing, IsEmpty());

  // Without a tokenizer.json beside these weights the media ids have no names.
  config->text.image_token_id = expected->text.image_token_id;
  config->text.audio_token_id = expected->text.audio_token_id;
  config->text.video_token_id = expected->text.video_token_id;
  EXPECT_TRUE(config->text == expected->text);
  EXPECT_EQ(config->suppress_ids, expected->suppress_ids);
}

INSTANTIATE_TEST_SUITE_P(Bodies, GoldenBodies,
                         testing::Values("e2b", "e4b", "12b", "26b", "31b", "text-only", "gemma3"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Conversion, LeavesOutKeysAndValuesThatNoLayerReads) {
  const TempFolder folder;
  const auto made = convert_golden("e2b", DType::BF16, folder);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_NE(made->find("blk.4.attn_k.weight"), nullptr);
  EXPECT_EQ(made->find("blk.5.attn_k.weight"), nullptr);
  EXPECT_EQ(made->find("blk.9.attn_k_norm.weight"), nullptr);
}

TEST(Conversion, TakesNameAndSamplingFromTheFolder) {
  const TestFolder source("text-only");
  source.write_text("README.md", "---\nlicense: apache-2.0\n---\n");
  source.write_text("generation_config.json", R"({"temperature": 0.5, "top_k": 7, "top_p": 0.25})");
  const auto checkpoint = source.open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const auto made = convert(*checkpoint, {.type = DType::Q8_0}, source.file("out.gguf"));
  ASSERT_TRUE(made.ok()) << made.error().message;
  const GgufMetadata& keys = *made->metadata();
  EXPECT_EQ(*keys.require_string("general.name"),
            std::filesystem::path(source.path()).filename().string());
  EXPECT_EQ(*keys.require_string("general.license"), "apache-2.0");
  EXPECT_EQ(*keys.require_u64("general.file_type"), 7u);
  EXPECT_EQ(*keys.require_f64("general.sampling.temp"), 0.5);
  EXPECT_EQ(*keys.require_u64("general.sampling.top_k"), 7u);
  EXPECT_EQ(*keys.require_f64("general.sampling.top_p"), 0.25);

  const auto named = convert(*checkpoint, {.name = "My Model"}, source.file("out.gguf"));
  ASSERT_TRUE(named.ok()) << named.error().message;
  EXPECT_EQ(*named->metadata()->require_string("general.name"), "My Model");
}

TEST(Conversion, ChoosesTypesByTheRoleOfATensor) {
  struct Case {
    const char* body;
    const char* tensor;
    DType q8_0, q4_0;
  } kCases[] = {
      {"e2b", "token_embd.weight", DType::Q8_0, DType::Q8_0},
      {"e2b", "per_layer_token_embd.weight", DType::Q8_0, DType::Q8_0},
      {"e2b", "per_layer_model_proj.weight", DType::Q8_0, DType::Q4_0},
      {"e2b", "blk.0.attn_q.weight", DType::Q8_0, DType::Q4_0},
      {"e2b", "blk.0.proj.weight", DType::Q8_0, DType::Q4_0},
      {"e2b", "blk.0.attn_norm.weight", DType::F32, DType::F32},
      {"e2b", "blk.0.layer_output_scale.weight", DType::F32, DType::F32},
      {"e2b", "rope_freqs.weight", DType::F32, DType::F32},
      {"26b", "blk.0.ffn_gate_inp.weight", DType::F32, DType::F32},
      {"26b", "blk.0.ffn_gate_inp.scale", DType::F32, DType::F32},
      {"26b", "blk.0.ffn_down_exps.scale", DType::F32, DType::F32},
      {"26b", "blk.0.ffn_down_exps.weight", DType::Q8_0, DType::Q4_0},
  };
  for (const DType type : {DType::Q8_0, DType::Q4_0}) {
    std::map<std::string, Checkpoint> made;
    for (const auto& c : kCases) {
      SCOPED_TRACE(fmt::format("{} {}", c.tensor, name(type)));
      if (!made.contains(c.body)) {
        const TempFolder folder;
        auto checkpoint = convert_golden(c.body, type, folder);
        ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
        made.emplace(c.body, std::move(*checkpoint));
      }
      const TensorInfo* tensor = made.at(c.body).find(c.tensor);
      ASSERT_NE(tensor, nullptr);
      EXPECT_EQ(tensor->dtype, type == DType::Q8_0 ? c.q8_0 : c.q4_0);
    }
  }
}

// A GGUF file of one layer, complete enough to be converted.
class SmallFile {
 public:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };

  // n values between −1 and 1, of a fixed sequence.
  static std::vector<float> random_values(std::int64_t n) {
    std::vector<float> values;
    std::uint32_t state = 1;
    for (std::int64_t i = 0; i < n; ++i) {
      state = state * 1664525u + 1013904223u;
      values.push_back(static_cast<float>(state >> 8) / float{1 << 23} - 1.0f);
    }
    return values;
  }

  std::string write(const TempFolder& folder, const std::vector<Tensor>& tensors) const {
    ModelConfig config;
    config.architecture = "gemma4";
    config.text = {
        .n_layers = 1, .width = 48, .n_heads = 1, .sliding_window = 8, .max_context = 64};
    config.text.layers = {{.sliding = false, .n_kv_heads = 1, .head_dim = 8, .ffn_width = 8}};
    GgufWriter out;
    out.add_string("general.architecture", "gemma4");
    EXPECT_TRUE(add_model_keys(config, out).ok());
    for (const auto& tensor : tensors) out.add_tensor(tensor.name, DType::F32, tensor.shape);
    const auto path = folder.file("small.gguf");
    const Status written = out.write_file(path, [&](const auto& tensor, const auto& sink) {
      const auto index = static_cast<std::size_t>(&tensor - out.tensors().data());
      return sink(std::as_bytes(std::span(tensors[index].values)));
    });
    EXPECT_TRUE(written.ok()) << written.error().message;
    return path;
  }
};

TEST(Conversion, EncodesEveryRowOfALongTensor) {
  const TempFolder folder;
  constexpr std::int64_t kRows = 2100, kCols = 512;  // more than one piece
  const auto values = SmallFile::random_values(kRows * kCols);
  const auto path = SmallFile().write(folder, {{"token_embd.weight", {kRows, kCols}, values}});
  const auto source = Checkpoint::open(path);
  ASSERT_TRUE(source.ok()) << source.error().message;
  const auto made = convert(*source, {.type = DType::Q8_0}, folder.file("out.gguf"));
  ASSERT_TRUE(made.ok()) << made.error().message;
  const TensorInfo& tensor = *made->find("token_embd.weight");
  std::vector<std::byte> expected(tensor.size_bytes);
  ASSERT_TRUE(quantize(DType::Q8_0, values, expected).ok());
  EXPECT_TRUE(std::ranges::equal(tensor.bytes(), expected));
}

TEST(Conversion, KeepsRowsThatAreNoMultipleOfABlockInBf16) {
  const TempFolder folder;
  const auto path =
      SmallFile().write(folder, {{"token_embd.weight", {4, 48}, SmallFile::random_values(192)}});
  const auto source = Checkpoint::open(path);
  ASSERT_TRUE(source.ok()) << source.error().message;
  const auto made = convert(*source, {.type = DType::Q4_0}, folder.file("out.gguf"));
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->find("token_embd.weight")->dtype, DType::BF16);
}

TEST(Conversion, TakesATensorWithoutDimensions) {
  const TempFolder folder;
  const auto bytes = testing_files::GgufBuilder()
                         .string("general.architecture", "gemma3")
                         .u32("gemma3.block_count", 1)
                         .u32("gemma3.embedding_length", 8)
                         .u32("gemma3.context_length", 64)
                         .u32("gemma3.attention.head_count", 1)
                         .u32("gemma3.attention.head_count_kv", 1)
                         .u32("gemma3.attention.key_length", 8)
                         .f32("gemma3.attention.layer_norm_rms_epsilon", 1e-6f)
                         .u32("gemma3.attention.sliding_window", 16)
                         .u32("gemma3.feed_forward_length", 8)
                         .tensor("token_embd.weight", {8, 3})
                         .tensor("scalar", {})
                         .build();
  const auto source = Checkpoint::open(folder.write("in.gguf", bytes));
  ASSERT_TRUE(source.ok()) << source.error().message;
  const auto made = convert(*source, {.type = DType::BF16}, folder.file("out.gguf"));
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_THAT(made->find("scalar")->shape, ElementsAre(1));
}

TEST(Conversion, NamesTheRowThatCannotBeEncoded) {
  const TempFolder folder;
  auto values = SmallFile::random_values(2100 * 512);
  values[2050 * 512 + 33] = std::numeric_limits<float>::quiet_NaN();
  const auto path = SmallFile().write(folder, {{"token_embd.weight", {2100, 512}, values}});
  const auto source = Checkpoint::open(path);
  ASSERT_TRUE(source.ok()) << source.error().message;
  const auto made = convert(*source, {.type = DType::Q8_0}, folder.file("out.gguf"));
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().message, HasSubstr("token_embd.weight"));
  EXPECT_THAT(made.error().message, HasSubstr("row 2050: Q8_0: values 32 to 63"));
}

TEST(Conversion, KeepsEverythingElseOfAGgufFile) {
  const TempFolder folder;
  const auto source = Checkpoint::open(golden_text("12b", "model.gguf"));
  ASSERT_TRUE(source.ok());
  const auto made = convert(*source, {.type = DType::BF16}, folder.file("out.gguf"));
  ASSERT_TRUE(made.ok()) << made.error().message;
  const GgufMetadata& before = *source->metadata();
  const GgufMetadata& after = *made->metadata();
  ASSERT_EQ(after.entries().size(), before.entries().size() + 1);
  for (std::size_t i = 0; i < before.entries().size(); ++i) {
    EXPECT_EQ(after.entries()[i].first, before.entries()[i].first);
    EXPECT_TRUE(std::ranges::equal(after.value_bytes(i), before.value_bytes(i)))
        << before.entries()[i].first;
  }
  EXPECT_EQ(after.entries().back().first, "general.file_type");
  ASSERT_EQ(made->tensors().size(), source->tensors().size());
  for (std::size_t i = 0; i < source->tensors().size(); ++i) {
    EXPECT_EQ(made->tensors()[i].name, source->tensors()[i].name);
    EXPECT_TRUE(std::ranges::equal(made->tensors()[i].bytes(), source->tensors()[i].bytes()));
  }
}

TEST(Conversion, OfAGgufFileEqualsThatOfItsFolder) {
  const TempFolder folder;
  const auto first = convert_golden("26b", DType::F32, folder);
  ASSERT_TRUE(first.ok()) << first.error().message;
  const TempFolder direct_folder;
  const auto direct = convert_golden("26b", DType::Q4_0, direct_folder);
  const auto second = convert(*first, {.type = DType::Q4_0}, folder.file("second.gguf"));
  ASSERT_TRUE(direct.ok() && second.ok());
  for (const TensorInfo& tensor : direct->tensors()) {
    EXPECT_TRUE(std::ranges::equal(tensor.bytes(), second->find(tensor.name)->bytes()))
        << tensor.name;
  }
}

TEST(Conversion, WarnsOfASecondRounding) {
  const auto source = Checkpoint::open(golden_text("e4b-quant", "model-q4_0.gguf"));
  ASSERT_TRUE(source.ok());
  const auto again = Conversion::plan(*source, {.type = DType::Q8_0});
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_THAT(again->warnings(), ElementsAre(HasSubstr("second time")));
  const auto widened = Conversion::plan(*source, {.type = DType::F32});
  ASSERT_TRUE(widened.ok());
  EXPECT_THAT(widened->warnings(), IsEmpty());
}

// Folders of older programs hold each expert as a tensor of its own.
TEST(Conversion, PutsSingleExpertsTogether) {
  TestFolder source("26b");
  const auto stacked = source.open();
  ASSERT_TRUE(stacked.ok()) << stacked.error().message;
  const auto expected = convert(*stacked, {.type = DType::BF16}, source.file("stacked.gguf"));
  ASSERT_TRUE(expected.ok()) << expected.error().message;

  std::vector<TestFolder::Tensor> apart;
  for (const auto& tensor : source.tensors) {
    const bool down = tensor.name.ends_with("experts.down_proj");
    if (!down && !tensor.name.ends_with("experts.gate_up_proj")) {
      apart.push_back(tensor);
      continue;
    }
    const auto n_experts = tensor.shape[0];
    const auto stem = tensor.name.substr(0, tensor.name.rfind('.'));
    const std::size_t size = tensor.bytes.size() / static_cast<std::size_t>(n_experts);
    const auto add = [&](std::int64_t expert, const char* what, std::int64_t n_rows,
                         std::size_t begin, std::size_t n_bytes) {
      const auto from = tensor.bytes.begin() + static_cast<std::ptrdiff_t>(begin);
      apart.push_back({fmt::format("{}.{}.{}.weight", stem, expert, what),
                       tensor.dtype,
                       {n_rows, tensor.shape[2]},
                       {from, from + static_cast<std::ptrdiff_t>(n_bytes)}});
    };
    for (std::int64_t e = 0; e < n_experts; ++e) {
      const std::size_t begin = static_cast<std::size_t>(e) * size;
      if (down) {
        add(e, "down_proj", tensor.shape[1], begin, size);
      } else {
        add(e, "gate_proj", tensor.shape[1] / 2, begin, size / 2);
        add(e, "up_proj", tensor.shape[1] / 2, begin + size / 2, size / 2);
      }
    }
  }
  source.tensors = std::move(apart);
  const auto checkpoint = source.open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const auto made = convert(*checkpoint, {.type = DType::BF16}, source.file("made.gguf"));
  ASSERT_TRUE(made.ok()) << made.error().message;

  EXPECT_TRUE(std::ranges::equal(made->find("blk.1.ffn_down_exps.weight")->bytes(),
                                 expected->find("blk.1.ffn_down_exps.weight")->bytes()));
  const auto& both = *expected->find("blk.1.ffn_gate_up_exps.weight");
  const auto& gate = *made->find("blk.1.ffn_gate_exps.weight");
  const auto& up = *made->find("blk.1.ffn_up_exps.weight");
  EXPECT_THAT(gate.shape, ElementsAre(8, 96, 256));
  const std::size_t half = both.size_bytes / 16;
  for (std::size_t e = 0; e < 8; ++e) {
    EXPECT_TRUE(std::ranges::equal(gate.bytes().subspan(e * half, half),
                                   both.bytes().subspan(2 * e * half, half)));
    EXPECT_TRUE(std::ranges::equal(up.bytes().subspan(e * half, half),
                                   both.bytes().subspan((2 * e + 1) * half, half)));
  }
}

TEST(Conversion, LeavesTowersOutAloud) {
  TestFolder source("e2b");
  source.tensors.push_back(
      {"model.vision_tower.x.weight", DType::F32, {1}, std::vector<std::byte>(4)});
  const auto checkpoint = source.open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const auto conversion = Conversion::plan(*checkpoint, {});
  ASSERT_TRUE(conversion.ok()) << conversion.error().message;
  EXPECT_THAT(conversion->warnings(), testing::Contains(HasSubstr("1 tensors of other parts")));
}

TEST(Conversion, RefusesTensorsWithoutAPlace) {
  TestFolder source("text-only");
  source.tensors.push_back(
      {"model.layers.0.new.weight", DType::F32, {1}, std::vector<std::byte>(4)});
  const auto checkpoint = source.open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const auto conversion = Conversion::plan(*checkpoint, {});
  ASSERT_FALSE(conversion.ok());
  EXPECT_THAT(conversion.error().message, HasSubstr("model.layers.0.new.weight"));
}

TEST(Conversion, RefusesTypesThatAreNoWeights) {
  TestFolder source("text-only");
  auto& tensor = source.find("model.layers.0.mlp.up_proj.weight");
  tensor.dtype = DType::I16;
  const auto checkpoint = source.open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const auto conversion = Conversion::plan(*checkpoint, {});
  ASSERT_FALSE(conversion.ok());
  EXPECT_EQ(conversion.error().code, Code::Unimplemented);
  EXPECT_THAT(conversion.error().message, HasSubstr("up_proj.weight\": type I16"));
}

TEST(ModelKeys, RefuseWhatNoKeyCanSay) {
  ModelConfig config;
  config.architecture = "gemma4";
  config.text = {.n_layers = 2, .width = 8, .n_heads = 1, .sliding_window = 8, .max_context = 64};
  config.text.layers = {{.sliding = false, .n_kv_heads = 1, .head_dim = 8, .ffn_width = 8},
                        {.sliding = false, .n_kv_heads = 1, .head_dim = 16, .ffn_width = 8}};
  GgufWriter out;
  const Status heads = add_model_keys(config, out);
  ASSERT_FALSE(heads.ok());
  EXPECT_THAT(heads.error().message, HasSubstr("layer 1: heads of 16 values"));

  config.architecture = "gemma3";
  config.text.family = Family::Gemma3;
  config.text.attention_scale = 0.5f;
  const Status scale = add_model_keys(config, out);
  ASSERT_FALSE(scale.ok());
  EXPECT_THAT(scale.error().message, HasSubstr("query_pre_attn_scalar"));
}

TEST(FindLicence, ReadsTheFrontMatterAlone) {
  struct Case {
    const char* text;
    const char* licence;
  } kCases[] = {
      {"---\nlanguage: en\nlicense: apache-2.0\n---\n# x\n", "apache-2.0"},
      {"---\r\nlicense: \"mit\"\r\n---\r\n", "mit"},
      {"---\nlanguage: en\n---\nlicense: later\n", ""},
      {"# Model\nlicense: mit\n", ""},
      {"", ""},
  };
  const TempFolder folder;
  EXPECT_EQ(*find_licence(folder.path()), "");
  for (const auto& c : kCases) {
    folder.write("README.md", std::string_view(c.text));
    EXPECT_EQ(*find_licence(folder.path()), c.licence) << c.text;
  }
}

}  // namespace
}  // namespace fourfold
