#include "engine/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "formats/golden.h"
#include "formats/test_files.h"
#include "model/text/text_model.h"

namespace fourfold {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using testing_files::Bytes;
using testing_files::GgufBuilder;
using testing_files::safetensors_bytes;
using testing_files::TempFolder;

// --- The released bodies, from text-model.md 1.2 and 8 ---

struct Shape {
  Family family = Family::Gemma4;
  int n_layers = 0, width = 0, ffn = 0, n_heads = 0;
  int kv_sliding = 0, kv_global = 0;
  int period = 6, window = 0;
  bool k_eq_v = false;
  int n_shared = 0;
  bool double_wide = false;
  int per_layer_width = 0;
  int n_experts = 0, n_experts_used = 0, expert_ffn = 0;
  std::int64_t max_context = 0;
};

constexpr Shape kE2b = {.n_layers = 35,
                        .width = 1536,
                        .ffn = 6144,
                        .n_heads = 8,
                        .kv_sliding = 1,
                        .kv_global = 1,
                        .period = 5,
                        .window = 512,
                        .n_shared = 20,
                        .double_wide = true,
                        .per_layer_width = 256,
                        .max_context = 131'072};
constexpr Shape kE4b = {.n_layers = 42,
                        .width = 2560,
                        .ffn = 10'240,
                        .n_heads = 8,
                        .kv_sliding = 2,
                        .kv_global = 2,
                        .window = 512,
                        .n_shared = 18,
                        .per_layer_width = 256,
                        .max_context = 131'072};
constexpr Shape k12b = {.n_layers = 48,
                        .width = 3840,
                        .ffn = 15'360,
                        .n_heads = 16,
                        .kv_sliding = 8,
                        .kv_global = 1,
                        .window = 1024,
                        .k_eq_v = true,
                        .max_context = 262'144};
constexpr Shape k26b = {.n_layers = 30,
                        .width = 2816,
                        .ffn = 2112,
                        .n_heads = 16,
                        .kv_sliding = 8,
                        .kv_global = 2,
                        .window = 1024,
                        .k_eq_v = true,
                        .n_experts = 128,
                        .n_experts_used = 8,
                        .expert_ffn = 704,
                        .max_context = 262'144};
constexpr Shape k31b = {.n_layers = 60,
                        .width = 5376,
                        .ffn = 21'504,
                        .n_heads = 32,
                        .kv_sliding = 16,
                        .kv_global = 4,
                        .window = 1024,
                        .k_eq_v = true,
                        .max_context = 262'144};
constexpr Shape k270m = {.family = Family::Gemma3,
                         .n_layers = 18,
                         .width = 640,
                         .ffn = 2048,
                         .n_heads = 4,
                         .kv_sliding = 1,
                         .kv_global = 1,
                         .window = 512,
                         .max_context = 32'768};
constexpr Shape k1b = {.family = Family::Gemma3,
                       .n_layers = 26,
                       .width = 1152,
                       .ffn = 6912,
                       .n_heads = 4,
                       .kv_sliding = 1,
                       .kv_global = 1,
                       .window = 512,
                       .max_context = 32'768};

TextConfig make_config(const Shape& shape) {
  const bool gemma4 = shape.family == Family::Gemma4;
  TextConfig config;
  config.family = shape.family;
  config.n_layers = shape.n_layers;
  config.width = shape.width;
  config.n_heads = shape.n_heads;
  config.vocab_size = 262'144;
  config.sliding_window = shape.window;
  config.max_context = shape.max_context;
  config.n_kv_shared_layers = shape.n_shared;
  config.per_layer_width = shape.per_layer_width;
  config.n_experts = shape.n_experts;
  config.n_experts_used = shape.n_experts_used;
  config.expert_ffn_width = shape.expert_ffn;
  config.rope_rotated_fraction = gemma4 ? 0.25f : 1.0f;
  int last_sliding = -1, last_global = -1;
  for (int i = 0; i < shape.n_layers; ++i) {
    LayerConfig layer;
    layer.sliding = (i + 1) % shape.period != 0;
    layer.n_kv_heads = layer.sliding ? shape.kv_sliding : shape.kv_global;
    layer.head_dim = gemma4 && !layer.sliding ? 512 : 256;
    layer.k_eq_v = shape.k_eq_v && !layer.sliding;
    const bool shared = i >= config.first_shared_layer();
    layer.ffn_width = shape.double_wide && shared ? 2 * shape.ffn : shape.ffn;
    int& last = layer.sliding ? last_sliding : last_global;
    if (!shared) last = i;
    layer.kv_source = last;
    config.layers.push_back(layer);
  }
  return config;
}

TEST(BodyParameters, EqualTheCountsOfTheReleasedBodies) {
  const struct {
    Shape shape;
    std::int64_t used, active, effective;
  } kCases[] = {
      {kE2b, 4'628'569'379, 2'279'759'139, 1'877'105'955},
      {kE4b, 7'463'013'418, 4'644'441'130, 3'973'352'490},
      {k12b, 11'907'350'320, 11'907'350'320, 10'900'717'360},
      {k26b, 25'233'141'790, 3'822'530'590, 3'084'333'086},
      {k31b, 30'697'345'340, 30'697'345'340, 29'288'059'196},
      {k270m, 268'098'176, 268'098'176, 100'326'016},
      {k1b, 999'885'952, 999'885'952, 697'896'064},
  };
  for (const auto& c : kCases) {
    const BodyParameters body = body_parameters(make_config(c.shape));
    EXPECT_EQ(body.used, c.used);
    EXPECT_EQ(body.active(), c.active);
    EXPECT_EQ(body.effective(), c.effective);
  }
}

// The table of text-model.md 1.6: rings of exactly W rows, K and V in full.
KvPlan plain_plan(const Shape& shape, KvType type) {
  const TextConfig config = make_config(shape);
  const KvOptions options{.ring = type, .global = type, .fold = false, .chunk = 1};
  return make_kv_plan(config, foldable_pairs(config), options);
}

TEST(KvFigures, EqualTheTableOfTheReleasedBodies) {
  constexpr double kAbsent = 0.0;
  const struct {
    Shape shape;
    std::int64_t within_bf16, beyond_bf16, beyond_q8_0, ring_mib;
    double mib_32k[2], mib_128k[2], mib_256k[2];  // bf16, q8_0
  } kCases[] = {
      {kE2b, 18'432, 6'144, 3'264, 6, {198, 105.2}, {774, 411.2}, {kAbsent, kAbsent}},
      {kE4b, 57'344, 16'384, 8'704, 20, {532, 282.6}, {2068, 1098.6}, {kAbsent, kAbsent}},
      {k12b, 344'064, 16'384, 8'704, 320, {832, 442}, {2368, 1258}, {4416, 2346}},
      {k26b, 225'280, 20'480, 10'880, 200, {840, 446.3}, {2760, 1466.3}, {5320, 2826.3}},
      {k31b, 901'120, 81'920, 43'520, 800, {3360, 1785}, {11'040, 5865}, {21'280, 11'305}},
  };
  constexpr double kMiB = 1 << 20;
  constexpr double kRounding = 0.051;
  for (const auto& c : kCases) {
    const KvPlan bf16 = plain_plan(c.shape, KvType::BF16);
    const KvPlan q8_0 = plain_plan(c.shape, KvType::Q8_0);
    EXPECT_EQ(bf16.bytes_per_token_within_window(), c.within_bf16);
    EXPECT_EQ(kv_figures(bf16, c.shape.max_context).bytes_per_token, c.beyond_bf16);
    EXPECT_EQ(kv_figures(q8_0, c.shape.max_context).bytes_per_token, c.beyond_q8_0);
    EXPECT_EQ(kv_figures(bf16, c.shape.max_context).ring_bytes, c.ring_mib << 20);
    const auto expect_mib = [&](std::int64_t context, const double(&mib)[2]) {
      EXPECT_NEAR(static_cast<double>(bf16.bytes(context)) / kMiB, mib[0], kRounding);
      EXPECT_NEAR(static_cast<double>(q8_0.bytes(context)) / kMiB, mib[1], kRounding);
    };
    expect_mib(32'768, c.mib_32k);
    expect_mib(131'072, c.mib_128k);
    if (c.shape.max_context > 131'072) expect_mib(262'144, c.mib_256k);
  }
}

TEST(KvFigures, ShowTheSmallerFoldedFormWhereVIsK) {
  const TextConfig config = make_config(k31b);
  const KvPlan plan = make_kv_plan(config, foldable_pairs(config), KvOptions{});
  EXPECT_EQ(kv_figures(plan, config.max_context).bytes_per_token, 81'920 * 640 / 1024);
  EXPECT_THAT(foldable_pairs(make_config(kE4b)), testing::Each(0));
}

TEST(KvFigures, AreForTheUsualContextsUpToTheMaximum) {
  const auto contexts = [](std::int64_t max_context) {
    std::vector<std::int64_t> result;
    for (const auto& at : kv_figures(plain_plan(kE2b, KvType::BF16), max_context).at) {
      result.push_back(at.context);
    }
    return result;
  };
  EXPECT_THAT(contexts(131'072), ElementsAre(8192, 32'768, 131'072));
  EXPECT_THAT(contexts(32'768), ElementsAre(8192, 32'768));
  EXPECT_THAT(contexts(100), ElementsAre(100));
}

TEST(KvFigures, CountNoRingLongerThanTheContext) {
  const KvPlan plan = plain_plan(kE2b, KvType::BF16);
  const KvFigures figures = kv_figures(plan, 64);
  EXPECT_EQ(figures.ring_bytes + 64 * figures.bytes_per_token, figures.at.front().size_bytes);
}

// --- Files ---

Inspection must_inspect(const std::string& path, const InspectOptions& options = {}) {
  auto report = inspect(path, options);
  if (!report.ok()) {
    ADD_FAILURE() << report.error().message;
    return {};
  }
  return std::move(*report);
}

// The GGUF file of a golden body, to be spoilt.
Bytes read_bytes(const std::string& path) {
  const auto file = MappedFile::open(path);
  if (!file.ok()) {
    ADD_FAILURE() << file.error().message;
    return {};
  }
  const auto bytes = (*file)->bytes();
  return {bytes.begin(), bytes.end()};
}

// Where `text` begins for the first time.
std::size_t find_in(const Bytes& bytes, std::string_view text) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t at = all.find(text);
  EXPECT_NE(at, all.npos) << text;
  return at;
}

void put(Bytes& bytes, std::size_t at, std::string_view text) {
  std::memcpy(bytes.data() + at, text.data(), text.size());
}

template <class T>
void put_number(Bytes& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

struct GoldenFile {
  const char* path;
  const char* architecture;
};

class InspectGolden : public testing::TestWithParam<GoldenFile> {};

TEST_P(InspectGolden, FindsEverythingInPlace) {
  const std::string path = golden_path(std::string("text/") + GetParam().path);
  const Inspection report = must_inspect(path);
  EXPECT_EQ(report.kind, FileKind::Model);
  EXPECT_EQ(report.architecture, GetParam().architecture);
  EXPECT_TRUE(report.complete()) << report.weights.summary();
  ASSERT_TRUE(report.config && report.parameters && report.kv);

  const auto checkpoint = std::make_shared<const Checkpoint>(std::move(*Checkpoint::open(path)));
  const auto model = TextModel::load(checkpoint, report.config->text);
  ASSERT_TRUE(model.ok());
  const std::vector<int> pairs = foldable_pairs(report.config->text);
  for (int i = 0; i < report.config->text.n_layers; ++i) {
    EXPECT_EQ(pairs[static_cast<std::size_t>(i)], (*model)->foldable_pairs(i)) << "layer " << i;
  }

  std::int64_t n_tensors = 0;
  std::uint64_t size_bytes = 0;
  for (const TypeCensus& census : report.types) {
    n_tensors += census.n_tensors;
    size_bytes += census.size_bytes;
  }
  EXPECT_EQ(n_tensors, static_cast<std::int64_t>(report.tensors.size()));
  std::uint64_t file_bytes = 0;
  for (const Checkpoint::File& file : report.files) file_bytes += file.size_bytes;
  EXPECT_LT(size_bytes, file_bytes);
}

INSTANTIATE_TEST_SUITE_P(
    Bodies, InspectGolden,
    testing::Values(GoldenFile{"e2b", "gemma4"}, GoldenFile{"e2b/model.gguf", "gemma4"},
                    GoldenFile{"12b", "gemma4"}, GoldenFile{"12b/model.gguf", "gemma4"},
                    GoldenFile{"26b/model.gguf", "gemma4"}, GoldenFile{"31b", "gemma4"},
                    GoldenFile{"text-only", "gemma4"}, GoldenFile{"gemma3", "gemma3"},
                    GoldenFile{"gemma3/model.gguf", "gemma3"},
                    GoldenFile{"e4b-quant/model-q4_0.gguf", "gemma4"}));

TEST(Inspect, CountsWhatTheFileHolds) {
  for (const char* body : {"12b", "26b", "31b", "text-only", "gemma3"}) {
    const Inspection report = must_inspect(golden_path(fmt::format("text/{}/model.gguf", body)));
    EXPECT_EQ(report.parameters->total, body_parameters(report.config->text).used) << body;
  }
  // K and V of layers that share them lie in both forms of this one.
  for (const char* form : {"text/e2b", "text/e2b/model.gguf"}) {
    const Inspection report = must_inspect(golden_path(form));
    const TextConfig& config = report.config->text;
    std::int64_t dead = 0;
    for (int i = config.first_shared_layer(); i < config.n_layers; ++i) {
      const LayerConfig& layer = config.layers[static_cast<std::size_t>(i)];
      dead += 2 * layer.n_kv_heads * layer.head_dim * std::int64_t{config.width} + layer.head_dim;
    }
    const BodyParameters body = body_parameters(config);
    EXPECT_EQ(report.parameters->total, body.used + dead) << form;
    EXPECT_EQ(report.parameters->active, body.active()) << form;
    EXPECT_EQ(report.parameters->effective, body.effective()) << form;
  }
}

TEST(Inspect, NamesMissingUnexpectedAndMisshapenTensors) {
  Bytes bytes = read_bytes(golden_path("text/gemma3/model.gguf"));
  put(bytes, find_in(bytes, "blk.1.attn_q.weight"), "blk.1.attn_x.weight");
  constexpr std::string_view kNorm = "blk.0.attn_norm.weight";
  const std::size_t n_rows = find_in(bytes, kNorm) + kNorm.size() + sizeof(std::uint32_t);
  put_number<std::uint64_t>(bytes, n_rows, 128);
  const TempFolder folder;
  const Inspection report = must_inspect(folder.write("broken.gguf", bytes));
  EXPECT_FALSE(report.complete());
  EXPECT_THAT(report.weights.missing, ElementsAre(StartsWith("blk.1.attn_q.weight")));
  EXPECT_THAT(report.weights.unexpected, ElementsAre("blk.1.attn_x.weight"));
  EXPECT_THAT(report.weights.misshaped, ElementsAre(StartsWith("blk.0.attn_norm.weight: shape")));
}

TEST(Inspect, SaysWhatIsMissingForEachModality) {
  const Inspection e2b = must_inspect(golden_path("text/e2b/model.gguf"));
  EXPECT_FALSE(e2b.image.available || e2b.audio.available || e2b.video.available);
  EXPECT_THAT(e2b.image.missing, Contains("vision tower (v.*)"));
  EXPECT_THAT(e2b.audio.missing, Contains("audio tower (a.*)"));
  EXPECT_EQ(e2b.video.missing, e2b.image.missing);
  const Inspection gemma3 = must_inspect(golden_path("text/gemma3"));
  EXPECT_THAT(gemma3.image.missing, Contains("vision tower (vision_tower.*)"));
  EXPECT_THAT(gemma3.audio.missing, ElementsAre("audio is not part of this body"));
}

std::string tokenizer_golden(std::string_view file) {
  return std::string(FOURFOLD_SOURCE_DIR) + "/tests/golden/tokenizer/" + std::string(file);
}

TEST(Inspect, KnowsATokenizerOnlyFile) {
  const Inspection gguf = must_inspect(tokenizer_golden("tokenizer-small.gguf"));
  const Inspection json = must_inspect(tokenizer_golden("tokenizer-small.json"));
  for (const Inspection* report : {&gguf, &json}) {
    EXPECT_EQ(report->kind, FileKind::Tokenizer);
    EXPECT_TRUE(report->complete());
    EXPECT_FALSE(report->config);
    ASSERT_TRUE(report->tokenizer);
    EXPECT_EQ(report->tokenizer->n_pieces, 4000);
    EXPECT_GT(report->tokenizer->n_merges, 1000);
    EXPECT_EQ(report->tokenizer->bos, 2);
    EXPECT_THAT(report->tokenizer->stop, SizeIs(3));
  }
  EXPECT_EQ(gguf.tokenizer->model, "gemma4");
  EXPECT_EQ(gguf.format, "gguf");
  EXPECT_EQ(json.tokenizer->model, "BPE");
  EXPECT_EQ(json.format, "tokenizer.json");
}

TEST(Inspect, RefusesATokenizerOnlyFileWithoutAUsableTokenizer) {
  const TempFolder folder;
  const auto bytes = GgufBuilder()
                         .string("general.architecture", "gemma4")
                         .string("tokenizer.ggml.model", "gemma4")
                         .strings("tokenizer.ggml.tokens", {"<pad>", "<eos>"})
                         .build();
  const auto report = inspect(folder.write("file.gguf", bytes), {});
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.error().message, HasSubstr("not a Gemma vocabulary"));
}

TEST(Inspect, NamesGgufFilesThatAreNoBodyAsWhatTheyAre) {
  const auto keys = [](std::string_view architecture) {
    return GgufBuilder().string("general.architecture", architecture);
  };
  const struct {
    GgufBuilder file;
    FileKind kind;
  } kCases[] = {
      {keys("gemma4").string("general.type", "adapter"), FileKind::Adapter},
      {keys("clip"), FileKind::Projector},
      {keys("gemma4").string("general.type", "mmproj"), FileKind::Projector},
      {keys("gemma4-assistant"), FileKind::Drafter},
      {keys("gemma4_assistant"), FileKind::Drafter},
      {keys("gemma4_mtp"), FileKind::Drafter},
      {keys("gemma4").string("gemma4.assistant.type", "mtp"), FileKind::Drafter},
  };
  const TempFolder folder;
  for (const auto& c : kCases) {
    GgufBuilder file = c.file;
    const Inspection report =
        must_inspect(folder.write("file.gguf", file.tensor("some.weight", {32, 2}).build()));
    EXPECT_EQ(report.kind, c.kind) << report.architecture;
    EXPECT_TRUE(report.complete());
    ASSERT_TRUE(report.parameters);
    EXPECT_EQ(report.parameters->total, 64);
    EXPECT_FALSE(report.kv);
  }
}

constexpr std::string_view kTensorHeader =
    R"({"x":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]}})";

TEST(Inspect, NamesFoldersThatAreNoBodyAsWhatTheyAre) {
  const TempFolder adapter;
  adapter.write("adapter_config.json", R"({"peft_type":"LORA"})");
  adapter.write("adapter_model.safetensors", safetensors_bytes(kTensorHeader, 32));
  EXPECT_EQ(must_inspect(adapter.path()).kind, FileKind::Adapter);
  EXPECT_EQ(must_inspect(adapter.path()).parameters->total, 8);

  const TempFolder drafter;
  drafter.write("config.json", R"({"model_type":"gemma4_assistant"})");
  drafter.write("model.safetensors", safetensors_bytes(kTensorHeader, 32));
  const Inspection report = must_inspect(drafter.path());
  EXPECT_EQ(report.kind, FileKind::Drafter);
  EXPECT_EQ(report.architecture, "gemma4_assistant");

  const TempFolder tokenizer;
  tokenizer.write("tokenizer.json", read_bytes(tokenizer_golden("tokenizer-small.json")));
  EXPECT_EQ(must_inspect(tokenizer.path()).kind, FileKind::Tokenizer);
}

TEST(Inspect, ReportsWhatIsNoModelAtAll) {
  const TempFolder folder;
  const struct {
    std::string path;
    Code code;
  } kCases[] = {
      {folder.file("absent.gguf"), Code::NotFound},
      {folder.path(), Code::NotFound},
      {folder.write("text.gguf", "not a model, only a text of some length"), Code::DataLoss},
      {folder.write(
           "llama.gguf",
           GgufBuilder().string("general.architecture", "llama").tensor("t", {32}).build()),
       Code::Unimplemented},
  };
  for (const auto& c : kCases) {
    const auto report = inspect(c.path, {});
    ASSERT_FALSE(report.ok()) << c.path;
    EXPECT_EQ(report.error().code, c.code) << report.error().message;
    EXPECT_THAT(report.error().message, HasSubstr(folder.path()));
  }
}

// A drafter's folder is the shortest one with texts of a model.
std::optional<TemplateFacts> template_of_folder(
    std::initializer_list<std::pair<std::string_view, std::string_view>> files) {
  const TempFolder folder;
  folder.write("config.json", R"({"model_type":"gemma4_assistant"})");
  folder.write("model.safetensors", safetensors_bytes(kTensorHeader, 32));
  for (const auto& [name, text] : files) folder.write(name, text);
  return must_inspect(folder.path()).chat_template;
}

TEST(Inspect, FindsTheTemplateInTheOrderOfItsPlaces) {
  const auto digest_of = [](std::string_view text) { return sha256_hex(text); };
  const std::pair<std::string_view, std::string_view> jinja = {"chat_template.jinja", "one"};
  const std::pair<std::string_view, std::string_view> json = {"chat_template.json",
                                                              R"({"chat_template":"two"})"};
  const std::pair<std::string_view, std::string_view> config = {
      "tokenizer_config.json",
      R"({"chat_template":[{"name":"rag","template":"x"},{"name":"default","template":"three"}]})"};
  EXPECT_EQ(template_of_folder({jinja, json, config})->sha256, digest_of("one"));
  EXPECT_EQ(template_of_folder({json, config})->sha256, digest_of("two"));
  EXPECT_EQ(template_of_folder({config})->sha256, digest_of("three"));
  EXPECT_FALSE(template_of_folder({}));
}

TEST(Inspect, FindsTheTemplateOfAGgufFile) {
  const TempFolder folder;
  const auto bytes = GgufBuilder()
                         .string("general.architecture", "gemma4-assistant")
                         .string("tokenizer.chat_template", "abc")
                         .tensor("t", {32})
                         .build();
  const Inspection report = must_inspect(folder.write("file.gguf", bytes));
  ASSERT_TRUE(report.chat_template);
  EXPECT_EQ(report.chat_template->sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(report.chat_template->revision, "");
}

TEST(InspectCheck, FindsNothingInSoundFiles) {
  for (const char* file : {"model-q4_0.gguf", "model-kmix.gguf", "model-legacy.gguf"}) {
    const Inspection report =
        must_inspect(golden_path(std::string("text/e4b-quant/") + file), {.check_data = true});
    EXPECT_THAT(report.bad_data, IsEmpty()) << file;
  }
}

// Spoils 16 bits of one tensor of a quantised golden and tells what --check says.
std::vector<std::string> check_spoilt(const char* file, std::string_view tensor,
                                      std::uint64_t offset, std::uint16_t bits) {
  const std::string path = golden_path(std::string("text/e4b-quant/") + file);
  Bytes bytes = read_bytes(path);
  const auto checkpoint = Checkpoint::open(path);
  const TensorInfo* found = checkpoint.ok() ? checkpoint->find(tensor) : nullptr;
  if (!found) {
    ADD_FAILURE() << tensor;
    return {};
  }
  put_number(bytes, found->offset + offset, bits);
  const TempFolder folder;
  const Inspection report = must_inspect(folder.write("spoilt.gguf", bytes), {.check_data = true});
  EXPECT_EQ(report.complete(), report.bad_data.empty());
  return report.bad_data;
}

TEST(InspectCheck, NamesTheTensorAndItsFirstBadElement) {
  constexpr std::uint16_t kInfinity = 0x7C00, kNan = 0x7E01;  // f16
  EXPECT_THAT(check_spoilt("model-q4_0.gguf", "blk.1.ffn_up.weight", 5 * 18, kInfinity),
              ElementsAre("blk.1.ffn_up.weight: the scale of elements 160 to 191 is inf (a finite "
                          "number expected)"));
  EXPECT_THAT(check_spoilt("model-q4_0.gguf", "blk.1.ffn_up.weight", 0, kNan),
              ElementsAre(AnyOf(HasSubstr("elements 0 to 31 is nan"),
                                HasSubstr("elements 0 to 31 is -nan"))));
  // The upper half of an f32: all ones are a NaN.
  EXPECT_THAT(check_spoilt("model-q4_0.gguf", "output_norm.weight", 7 * 4 + 2, 0xFFFF),
              ElementsAre(AnyOf(StartsWith("output_norm.weight: element 7 is -nan"),
                                StartsWith("output_norm.weight: element 7 is nan"))));
}

TEST(InspectCheck, TellsAScaleFromAMinimum) {
  // The minimum of a Q4_1 block comes behind its scale.
  const auto checkpoint = Checkpoint::open(golden_path("text/e4b-quant/model-legacy.gguf"));
  ASSERT_TRUE(checkpoint.ok());
  for (const TensorInfo& tensor : checkpoint->tensors()) {
    if (tensor.dtype != DType::Q4_1) continue;
    EXPECT_THAT(check_spoilt("model-legacy.gguf", tensor.name, 2, 0x7C00),
                ElementsAre(HasSubstr("the minimum of elements 0 to 31 is inf")));
    return;
  }
  FAIL() << "no Q4_1 tensor in the golden";
}

}  // namespace
}  // namespace fourfold
