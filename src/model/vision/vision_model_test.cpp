// The vision tower against the reference implementation (tests/golden/vision), from both file
// forms.
#include "model/vision/vision_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "base/json.h"
#include "formats/gguf_writer.h"
#include "formats/golden.h"
#include "formats/tensor_shape.h"
#include "formats/test_files.h"
#include "kernels/dispatch.h"
#include "media/resize.h"
#include "model/vision/vision_rope.h"
#include "model/vision/vision_weights.h"
#include "tensor/blocks.h"
#include "tensor/quantize.h"

namespace fourfold {
namespace {

using testing::HasSubstr;
using testing_files::TempFolder;

constexpr double kTolerance = 1e-4;  // case.json "compare", f32
constexpr double kUnifiedTolerance = 1e-3;
constexpr double kFastCosine = 0.999;
const char* const kTowers[] = {"e_series", "large", "large_wide_range"};
const char* const kForms[] = {"", "/mmproj.gguf"};
const char* const kPictures[] = {"grid6x9", "cell", "strip", "budget70"};

std::string tower_path(const std::string& relative) {
  return golden_path("vision/tower/" + relative);
}

Result<std::shared_ptr<const VisionModel>> load(const std::string& path, bool exact = true) {
  auto checkpoint = std::make_shared<const Checkpoint>(TRY(Checkpoint::open(path)));
  const auto config = TRY(load_vision_config(*checkpoint));
  if (!config) return not_found("{}: no vision part", path);
  ThreadPool pool(2);
  Ops ops(*usable_kernels().front(), pool, exact);
  return VisionModel::load(std::move(checkpoint), *config, ops);
}

std::shared_ptr<const VisionModel> must_load(const std::string& path, bool exact = true) {
  auto model = load(path, exact);
  EXPECT_TRUE(model.ok()) << model.error().message;
  return std::move(model).value();  // throws, and the test ends, when there is none
}

// An encoder with the threads and kernels that it needs.
struct Runner {
  explicit Runner(const std::shared_ptr<const VisionModel>& model, int n_threads = 2,
                  const Kernels& kernels = *usable_kernels().front())
      : pool(n_threads), ops(kernels, pool, model->exact()), encoder(model, ops) {}

  std::vector<float> soft(const Patches& patches) {
    auto rows = encoder.encode(patches, nullptr, {});
    EXPECT_TRUE(rows.ok()) << rows.error().message;
    return rows.ok() ? *rows : std::vector<float>();
  }

  ThreadPool pool;
  Ops ops;
  VisionEncoder encoder;
};

Patches patches_of(const GoldenArrays& golden, const std::string& picture) {
  const std::string name = picture + ".pixels";
  const auto shape = golden.shape(name);
  Picture pixels{.width = static_cast<int>(shape.at(1)),
                 .height = static_cast<int>(shape.at(0)),
                 .rgb = golden.bytes(name)};
  return make_patches(pixels, 16, PixelScale::Picture);
}

GoldenArrays expected_of(const std::string& tower) {
  return GoldenArrays(tower_path(tower + "/expected.safetensors"));
}

// |a − b| / |b|
double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0.0, norm = 0.0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double d = double{a[i]} - double{b[i]};
    difference += d * d;
    norm += double{b[i]} * double{b[i]};
  }
  return std::sqrt(difference / norm);
}

double least_cosine(const std::vector<float>& a, const std::vector<float>& b, std::size_t width) {
  EXPECT_EQ(a.size(), b.size());
  double least = 1.0;
  for (std::size_t row = 0; row < std::min(a.size(), b.size()); row += width) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (std::size_t i = row; i < row + width; ++i) {
      ab += double{a[i]} * double{b[i]};
      aa += double{a[i]} * double{a[i]};
      bb += double{b[i]} * double{b[i]};
    }
    const double cosine = ab / std::sqrt(aa * bb);
    if (!(cosine >= least)) least = cosine;
  }
  return least;
}

// Taps under the goldens' names.
std::map<std::string, std::vector<float>> run_with_taps(VisionEncoder& encoder,
                                                        const Patches& patches) {
  std::map<std::string, std::vector<float>> taps;
  const MediaTap tap = [&](std::string_view what, int layer, const MatView& value) {
    auto& rows = taps[layer < 0 ? std::string(what) : fmt::format("{}{}", what, layer)];
    for (std::int64_t r = 0; r < value.n_rows; ++r) {
      rows.insert(rows.end(), value.row(r), value.row(r) + value.n_cols);
    }
  };
  const auto rows = encoder.encode(patches, &tap, {});
  EXPECT_TRUE(rows.ok()) << rows.error().message;
  EXPECT_EQ(taps["soft"], rows.ok() ? *rows : std::vector<float>());
  return taps;
}

Patches random_patches(int width, int height, std::uint32_t seed, int side = 16) {
  std::mt19937 random(seed);
  Picture picture{.width = width * side, .height = height * side, .rgb = {}};
  for (int i = 0; i < picture.width * picture.height * 3; ++i) {
    picture.rgb.push_back(static_cast<std::uint8_t>(random()));
  }
  return make_patches(picture, side, PixelScale::Picture);
}

// --- goldens ---

class Tower : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(Tower, MatchesEveryInnerValueOfTheReference) {
  const auto& [tower, form] = GetParam();
  const auto golden = expected_of(tower);
  Runner runner(must_load(tower_path(tower) + form));
  int n_compared = 0;
  for (const std::string picture : kPictures) {
    for (const auto& [name, values] : run_with_taps(runner.encoder, patches_of(golden, picture))) {
      const std::string array = picture + "." + name;
      if (!golden.has(array)) {  // the reference keeps the end of the largest picture only
        EXPECT_EQ(picture, "budget70") << array;
        continue;
      }
      EXPECT_LE(relative_error(values, golden.floats(array)), kTolerance) << array;
      ++n_compared;
    }
  }
  const VisionConfig config = must_load(tower_path(tower) + form)->config();
  const int n_taps = config.n_layers + 3 + (std::string(tower) == "e_series" ? 0 : 1);
  const int n_end_taps = std::string(tower) == "e_series" ? 2 : 3;
  EXPECT_EQ(n_compared, 3 * n_taps + n_end_taps);
}

TEST_P(Tower, InIntegersKeepsEverySoftRow) {
  const auto& [tower, form] = GetParam();
  const auto golden = expected_of(tower);
  const auto model = must_load(tower_path(tower) + form, false);
  Runner runner(model);
  for (const std::string picture : kPictures) {
    const auto soft = runner.soft(patches_of(golden, picture));
    const auto width = static_cast<std::size_t>(model->config().text_width);
    EXPECT_GE(least_cosine(soft, golden.floats(picture + ".soft"), width), kFastCosine) << picture;
  }
}

TEST_P(Tower, HasTheSameBitsWithAnyThreadsKernelsAndHistory) {
  const auto& [tower, form] = GetParam();
  const auto golden = expected_of(tower);
  const auto patches = patches_of(golden, "budget70");
  for (const bool exact : {true, false}) {
    const auto model = must_load(tower_path(tower) + form, exact);
    const auto expected = Runner(model, 1).soft(patches);
    for (const int n_threads : {2, 3}) EXPECT_EQ(Runner(model, n_threads).soft(patches), expected);
    Runner used(model);
    used.soft(patches_of(golden, "strip"));
    EXPECT_EQ(used.soft(patches), expected);
    const auto small = patches_of(golden, "grid6x9");  // plain loops take their time
    const auto expected_small = Runner(model, 1).soft(small);
    for (const Kernels* kernels : usable_kernels()) {
      EXPECT_EQ(Runner(model, 2, *kernels).soft(small), expected_small) << kernels->name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, Tower,
                         testing::Combine(testing::ValuesIn(kTowers), testing::ValuesIn(kForms)),
                         [](const auto& row) {
                           const std::string form = std::get<1>(row.param);
                           return std::string(std::get<0>(row.param)) +
                                  (form.empty() ? "_folder" : "_gguf");
                         });

TEST(UnifiedVision, MatchesEveryInnerValueOfTheReference) {
  const std::string folder = golden_path("multimodal/12b_like");
  const GoldenArrays golden(tower_path("unified/expected.safetensors"));
  auto file = MappedFile::open(folder + "/images/0.png");
  ASSERT_TRUE(file.ok()) << file.error().message;
  const auto decoded = decode_picture((*file)->bytes(), {});
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  const auto size = target_size(decoded->picture.size(), 70);
  ASSERT_TRUE(size.ok());
  const auto patches = make_patches(resize(decoded->picture, *size), 48, PixelScale::Picture);

  const auto first = golden.floats("one_image.patches_first");
  EXPECT_LE(relative_error({patches.values.begin(),
                            patches.values.begin() + static_cast<std::ptrdiff_t>(first.size())},
                           first),
            1e-6);
  Runner runner(must_load(folder + "/mmproj.gguf"));
  auto taps = run_with_taps(runner.encoder, patches);
  auto& norm = taps.at("patch_ln1");  // the reference keeps two rows of it
  norm.resize(golden.floats("one_image.patch_ln1_first").size());
  EXPECT_LE(relative_error(norm, golden.floats("one_image.patch_ln1_first")), kTolerance);
  for (const char* name : {"patch_dense", "patch_ln2", "pos_norm", "soft"}) {
    EXPECT_LE(relative_error(taps.at(name), golden.floats(std::string("one_image.") + name)),
              kUnifiedTolerance)
        << name;
  }
  Runner fast(must_load(folder + "/mmproj.gguf", false));
  EXPECT_GE(least_cosine(fast.soft(patches), golden.floats("one_image.soft"), 64), kFastCosine);
}

// --- rotation ---

std::vector<float> random_head(int channels, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> head(static_cast<std::size_t>(channels));
  for (float& x : head) x = normal(random);
  return head;
}

class Rotation : public testing::TestWithParam<int> {
 protected:
  Rotation() { rope.set(64, 64, GetParam(), 100.0); }

  std::vector<float> turned(std::vector<float> head, int column, int row) const {
    rope.turn(*usable_kernels().front(), head.data(), column, row);
    return head;
  }

  VisionRope rope;
};

TEST_P(Rotation, OfTheColumnLeavesTheSecondHalf) {
  const auto head = random_head(GetParam(), 1);
  const auto half = head.begin() + GetParam() / 2;
  const auto by_column = turned(head, 7, 0);
  const auto by_row = turned(head, 0, 7);
  EXPECT_TRUE(std::equal(half, head.end(), by_column.begin() + GetParam() / 2));
  EXPECT_FALSE(std::equal(head.begin(), half, by_column.begin()));
  EXPECT_TRUE(std::equal(head.begin(), half, by_row.begin()));
  EXPECT_FALSE(std::equal(half, head.end(), by_row.begin() + GetParam() / 2));
  EXPECT_EQ(turned(head, 0, 0), head);
}

TEST_P(Rotation, KeepsScoresWhenAllPositionsMove) {
  const auto q = random_head(GetParam(), 2);
  const auto k = random_head(GetParam(), 3);
  const auto score = [&](int dx, int dy) {
    const auto a = turned(q, 3 + dx, 9 + dy), b = turned(k, 11 + dx, 4 + dy);
    return usable_kernels().front()->dot(a.data(), b.data(), GetParam());
  };
  EXPECT_NEAR(score(0, 0), score(40, 17), 1e-4);
  EXPECT_GT(std::fabs(score(0, 0) - usable_kernels().front()->dot(q.data(), k.data(), GetParam())),
            1e-2);
}

TEST_P(Rotation, HasTheFrequenciesOfAHalf) {
  std::vector<float> head(static_cast<std::size_t>(GetParam()));
  const int n_pairs = GetParam() / 4;
  head[1] = 1.0f;
  const auto by_column = turned(head, 2, 0);
  const double omega = GetParam() == 64 ? 0.749894 : 0.774264;  // vision-video.md 4.1
  EXPECT_NEAR(by_column[1], std::cos(2 * omega), 1e-5);
  EXPECT_NEAR(by_column[static_cast<std::size_t>(n_pairs + 1)], std::sin(2 * omega), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(HeadDims, Rotation, testing::Values(64, 72));

// --- properties ---

TEST(VisionEncoder, StopsBetweenLayersWhenAsked) {
  const auto golden = expected_of("large");
  Runner runner(must_load(tower_path("large")));
  int n_asked = 0;
  const auto rows =
      runner.encoder.encode(patches_of(golden, "cell"), nullptr, [&] { return ++n_asked < 2; });
  ASSERT_FALSE(rows.ok());
  EXPECT_EQ(rows.error().code, Code::Cancelled);
  EXPECT_EQ(n_asked, 2);
  EXPECT_LE(relative_error(runner.soft(patches_of(golden, "cell")), golden.floats("cell.soft")),
            kTolerance);
}

TEST(VisionEncoder, RefusesPicturesBeyondThePositionTable) {
  Runner runner(must_load(tower_path("e_series")));
  const auto rows = runner.encoder.encode(random_patches(129, 3, 1), nullptr, {});
  ASSERT_FALSE(rows.ok());
  EXPECT_EQ(rows.error().code, Code::InvalidArgument);
  EXPECT_THAT(rows.error().message, HasSubstr("129x3 patches: the model's position table has 128"));
}

TEST(VisionEncoder, RefusesPatchesOfAnotherForm) {
  Runner runner(must_load(tower_path("e_series")));
  for (const auto& patches :
       {random_patches(4, 3, 1), random_patches(3, 5, 1), random_patches(3, 3, 1, 48)}) {
    const auto rows = runner.encoder.encode(patches, nullptr, {});
    ASSERT_FALSE(rows.ok());
    EXPECT_EQ(rows.error().code, Code::Internal);
  }
}

// --- files of other origins ---

// Copies of a tower whose tensors have other names, types or values.
class OtherFile {
 public:
  explicit OtherFile(const std::string& path) : source_(Checkpoint::open(path).value()) {}

  // A tensor of the copy, which a test may change.
  struct Tensor {
    std::string name;
    Shape shape;
    std::vector<float> values;
    DType dtype = DType::F32;
  };

  std::vector<Tensor> tensors() const {
    std::vector<Tensor> result;
    for (const auto& tensor : source_.tensors()) {
      Tensor copy{.name = tensor.name, .shape = tensor.shape, .values = {}, .dtype = tensor.dtype};
      copy.values.resize(static_cast<std::size_t>(tensor.n_elements()));
      dequantize(tensor.dtype, tensor.bytes().data(), tensor.n_elements(), copy.values.data());
      result.push_back(std::move(copy));
    }
    return result;
  }

  // With the source's keys; as Ollama's file of all parts if asked.
  std::string write_gguf(const TempFolder& folder, const std::vector<Tensor>& tensors,
                         bool ollama = false) const {
    GgufWriter writer;
    const auto& entries = source_.metadata()->entries();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      std::string key(entries[i].first);
      if (ollama && key == "general.architecture") continue;
      if (ollama && key.starts_with("clip.vision.")) key.replace(0, 4, "gemma4");
      writer.add_copy(key, source_.metadata()->value_bytes(i));
    }
    if (ollama) {
      writer.add_string("general.architecture", "gemma4");
      writer.add_u32("gemma4.embedding_length", 96);
    }
    std::map<std::string, const Tensor*> by_name;
    for (const auto& tensor : tensors) {
      writer.add_tensor(tensor.name, tensor.dtype, tensor.shape);
      by_name[tensor.name] = &tensor;
    }
    const std::string path = folder.file("tower.gguf");
    const auto written =
        writer.write_file(path, [&](const GgufWriter::Tensor& tensor, const auto& sink) {
          return sink(bytes(*by_name.at(tensor.name)));
        });
    EXPECT_TRUE(written.ok()) << written.error().message;
    return path;
  }

  // With the source's config.json, or the one given.
  std::string write_folder(const TempFolder& folder, const std::vector<Tensor>& tensors,
                           const std::string& config = {}) const {
    std::vector<std::vector<std::byte>> data;
    std::vector<TensorToWrite> list;
    for (const auto& tensor : tensors) {
      data.push_back(bytes(tensor));
      list.push_back({.name = tensor.name,
                      .dtype = tensor.dtype,
                      .shape = tensor.shape,
                      .bytes = data.back()});
    }
    const auto written = write_safetensors(folder.file("model.safetensors"), list);
    EXPECT_TRUE(written.ok()) << written.error().message;
    folder.write("config.json", config.empty() ? source_.json_text("config.json") : config);
    return folder.path();
  }

 private:
  static std::vector<std::byte> bytes(const Tensor& tensor) {
    std::vector<std::byte> result(static_cast<std::size_t>(
        size_bytes(tensor.dtype, static_cast<std::int64_t>(tensor.values.size()))));
    EXPECT_TRUE(quantize(tensor.dtype, tensor.values, result).ok()) << tensor.name;
    return result;
  }

  Checkpoint source_;
};

std::string load_error(const std::string& path) {
  const auto model = load(path);
  return model.ok() ? "loaded" : model.error().message;
}

std::vector<float> encode_file(const std::string& path, const Patches& patches) {
  return Runner(must_load(path)).soft(patches);
}

TEST(VisionFiles, FolderAndGgufHoldTheSamePatchProjection) {
  for (const std::string tower : kTowers) {
    const auto folder = must_load(tower_path(tower));
    const auto gguf = must_load(tower_path(tower) + "/mmproj.gguf");
    const Matrix& a = folder->weights().patch;
    const Matrix& b = gguf->weights().patch;
    ASSERT_EQ(a.n_rows, b.n_rows);
    std::vector<float> row(static_cast<std::size_t>(a.n_cols)), other(row.size());
    for (std::int64_t r = 0; r < a.n_rows; ++r) {
      dequantize(a.dtype, a.row(r), a.n_cols, row.data());
      dequantize(b.dtype, b.row(r), b.n_cols, other.data());
      ASSERT_EQ(row, other) << tower << ", row " << r;
    }
  }
}

TEST(VisionFiles, ChannelsFirstIsUndone) {
  std::vector<float> values(2 * 2 * 3);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  EXPECT_EQ(from_channels_first(values, 2),
            (std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
}

TEST(VisionFiles, OllamaPacksTheBounds) {
  const TempFolder folder;
  const OtherFile source(tower_path("e_series/mmproj.gguf"));
  const char* const linears[] = {"attn_q",   "attn_k", "attn_v",  "attn_out",
                                 "ffn_gate", "ffn_up", "ffn_down"};
  const char* const bounds[] = {"input_min", "input_max", "output_min", "output_max"};
  std::map<std::string, float> scalars;
  std::vector<OtherFile::Tensor> tensors;
  for (auto& tensor : source.tensors()) {
    if (tensor.shape == Shape{1}) {
      scalars[tensor.name] = tensor.values[0];
    } else {
      tensors.push_back(std::move(tensor));
    }
  }
  OtherFile::Tensor packed{.name = "v.clamp_data", .shape = {}, .values = {}};
  for (int layer = 0; layer < 3; ++layer) {
    for (const auto* linear : linears) {
      for (const auto* bound : bounds) {
        packed.values.push_back(scalars.at(fmt::format("v.blk.{}.{}.{}", layer, linear, bound)));
      }
    }
  }
  packed.values.resize(packed.values.size() + 4);  // of the projection: none
  packed.shape = {static_cast<std::int64_t>(packed.values.size())};
  tensors.push_back(packed);
  const auto patches = patches_of(expected_of("e_series"), "grid6x9");
  EXPECT_EQ(encode_file(source.write_gguf(folder, tensors, true), patches),
            encode_file(tower_path("e_series/mmproj.gguf"), patches));

  tensors.back().values.pop_back();
  tensors.back().shape[0] -= 1;
  EXPECT_THAT(load_error(source.write_gguf(folder, tensors, true)),
              HasSubstr("v.clamp_data: shape [87] in file, model config needs [88]"));
}

TEST(VisionFiles, WeightsMayBeOfAnyType) {
  const TempFolder folder;
  const OtherFile source(tower_path("e_series/mmproj.gguf"));
  const auto golden = expected_of("e_series");
  const auto patches = patches_of(golden, "grid6x9");
  for (const auto& [dtype, tolerance] :
       {std::pair{DType::F32, 1e-4}, {DType::F16, 1e-3}, {DType::Q8_0, 3e-2}}) {
    auto tensors = source.tensors();
    for (auto& tensor : tensors) {
      if (tensor.dtype == DType::BF16) tensor.dtype = dtype;
    }
    const std::string path = source.write_gguf(folder, tensors);
    EXPECT_LE(relative_error(encode_file(path, patches), golden.floats("grid6x9.soft")), tolerance)
        << name(dtype);
    Runner fast(must_load(path, false));
    EXPECT_GE(least_cosine(fast.soft(patches), golden.floats("grid6x9.soft"), 96), kFastCosine)
        << name(dtype);
  }
}

TEST(VisionFiles, NamesMayLackTheModelPrefixAndTheLinear) {
  const TempFolder folder;
  const OtherFile source(tower_path("e_series"));
  auto tensors = source.tensors();
  for (auto& tensor : tensors) {
    for (const std::string part : {"model.", "linear."}) {
      if (const auto at = tensor.name.find(part); at != std::string::npos) {
        tensor.name.erase(at, part.size());
      }
    }
  }
  const auto patches = patches_of(expected_of("e_series"), "grid6x9");
  EXPECT_EQ(encode_file(source.write_folder(folder, tensors), patches),
            encode_file(tower_path("e_series"), patches));
}

TEST(VisionFiles, AnIncompleteTowerIsNone) {
  const OtherFile source(tower_path("e_series/mmproj.gguf"));
  struct Row {
    const char* dropped;  // part of the names
    const char* message;
  };
  const Row rows[] = {
      {"", "vision: missing tensor v.patch_embd.weight [128, 768]; 42 of 42 are missing"},
      {"v.blk.1.", "vision: missing tensor v.blk.1.ln1.weight [128]; 41 of 126 are missing"},
      {"mm.", "vision: missing tensor mm.input_projection.weight [96, 128]; 1 of 126 are missing"},
      {"v.blk.2.ffn_up.input_max",
       "vision: missing tensor v.blk.2.ffn_up.input_max [1]; 1 of 126 are missing"},
      {"v.position_embd",
       "vision: missing tensor v.position_embd.weight [2, 1, 128]; 1 of 126 are missing"},
  };
  for (const auto& row : rows) {
    const TempFolder folder;
    auto tensors = source.tensors();
    std::erase_if(tensors, [&](const auto& t) { return t.name.find(row.dropped) != t.name.npos; });
    EXPECT_THAT(load_error(source.write_gguf(folder, tensors)), HasSubstr(row.message));
  }
}

TEST(VisionFiles, AMisshapenTensorIsNamed) {
  const TempFolder folder;
  const OtherFile source(tower_path("large/mmproj.gguf"));
  auto tensors = source.tensors();
  for (auto& tensor : tensors) {
    if (tensor.name == "mm.input_projection.weight") std::swap(tensor.shape[0], tensor.shape[1]);
  }
  EXPECT_THAT(load_error(source.write_gguf(folder, tensors)),
              HasSubstr("mm.input_projection.weight: shape [144, 96] in file, model config needs "
                        "[96, 144]"));
}

// --- small towers whose answers can be told ---

class SmallTower : public testing::Test {
 protected:
  OtherFile source{tower_path("e_series/mmproj.gguf")};
  std::vector<OtherFile::Tensor> tensors = source.tensors();
  TempFolder folder;

  OtherFile::Tensor& tensor(const std::string& name) {
    return *std::ranges::find(tensors, name, &OtherFile::Tensor::name);
  }
  // Blocks that add nothing: their last norms weigh nothing.
  void still_blocks() {
    for (auto& t : tensors) {
      if (t.name.ends_with("attn_post_norm.weight") || t.name.ends_with("ffn_post_norm.weight")) {
        std::ranges::fill(t.values, 0.0f);
      }
    }
  }
  std::map<std::string, std::vector<float>> taps(const Patches& patches) {
    Runner runner(must_load(source.write_gguf(folder, tensors)));
    return run_with_taps(runner.encoder, patches);
  }
};

TEST_F(SmallTower, PoolsToTheCentresOfItsCells) {
  still_blocks();
  std::ranges::fill(tensor("v.patch_embd.weight").values, 0.0f);
  auto& positions = tensor("v.position_embd.weight");
  const std::size_t D = 128, length = 128;
  std::ranges::fill(positions.values, 0.0f);
  for (std::size_t i = 0; i < length; ++i) {
    positions.values[i * D] = static_cast<float>(i);                 // by column
    positions.values[(length + i) * D + 1] = static_cast<float>(i);  // by row
    positions.values[(length + i) * D + 2] = 1.0f;
  }
  const auto pooled = taps(random_patches(9, 6, 1)).at("pooled");
  ASSERT_EQ(pooled.size(), 6 * D);
  const float scale = std::sqrt(static_cast<float>(D));
  for (std::size_t Y = 0; Y < 2; ++Y) {
    for (std::size_t X = 0; X < 3; ++X) {
      const float* row = pooled.data() + (Y * 3 + X) * D;
      EXPECT_NEAR(row[0], static_cast<float>(3 * X + 1) * scale, 1e-3f);
      EXPECT_NEAR(row[1], static_cast<float>(3 * Y + 1) * scale, 1e-3f);
      EXPECT_NEAR(row[2], scale, 1e-4f);
      EXPECT_EQ(row[3], 0.0f);
    }
  }
}

// With in_max = 0 of a linear the positive inputs are lost: the same as a tower whose inputs to it
// are negative. Here of the value projection, by way of what attention gives.
TEST_F(SmallTower, ClampsWhatALinearTakes) {
  const auto patches = random_patches(3, 3, 2);
  const auto free = taps(patches).at("layer0");
  for (const int layer : {0, 1, 2}) {
    tensor(fmt::format("v.blk.{}.attn_v.input_max", layer)).values[0] = 0.0f;
  }
  const auto clipped = taps(patches).at("layer0");
  EXPECT_GT(relative_error(clipped, free), 0.01);
  // Norm weights that make every input of the layer 0 zero or less: nothing is left to clip.
  auto& norm = tensor("v.blk.0.ln1.weight");
  std::ranges::fill(norm.values, 0.0f);
  const auto zero_clipped = taps(patches).at("layer0");
  tensor("v.blk.0.attn_v.input_max").values[0] = 5.0f;
  EXPECT_EQ(taps(patches).at("layer0"), zero_clipped);
}

TEST_F(SmallTower, ClampsWhatALinearGives) {
  const auto patches = random_patches(3, 3, 3);
  for (const char* bound : {"output_min", "output_max"}) {
    tensor(fmt::format("v.blk.0.ffn_up.{}", bound)).values[0] = 0.0f;
  }
  tensor("v.blk.0.ffn_post_norm.weight").values.assign(128, 1.0f);
  const auto layer = taps(patches);
  // up is zero, so the layer adds nothing after attention: the same as without the last norm.
  std::ranges::fill(tensor("v.blk.0.ffn_post_norm.weight").values, 0.0f);
  EXPECT_EQ(taps(patches).at("layer0"), layer.at("layer0"));
}

TEST(UnifiedFiles, AFolderIsTheSameAsItsGguf) {
  const std::string path = golden_path("multimodal/12b_like/mmproj.gguf");
  const OtherFile source(path);
  const std::map<std::string, std::string> names = {
      {"v.patch_embd.weight", "model.vision_embedder.patch_dense.weight"},
      {"v.patch_embd.bias", "model.vision_embedder.patch_dense.bias"},
      {"v.position_embd.weight", "model.vision_embedder.pos_embedding"},
      {"v.patch_norm.1.weight", "model.vision_embedder.patch_ln1.weight"},
      {"v.patch_norm.1.bias", "model.vision_embedder.patch_ln1.bias"},
      {"v.patch_norm.2.weight", "model.vision_embedder.patch_ln2.weight"},
      {"v.patch_norm.2.bias", "model.vision_embedder.patch_ln2.bias"},
      {"v.patch_norm.3.weight", "model.vision_embedder.pos_norm.weight"},
      {"v.patch_norm.3.bias", "model.vision_embedder.pos_norm.bias"},
      {"mm.input_projection.weight", "model.embed_vision.embedding_projection.weight"}};
  auto tensors = source.tensors();
  for (auto& tensor : tensors) {
    const std::size_t width = 6912;
    if (tensor.name.starts_with("v.patch_norm.1") || tensor.name == "v.patch_embd.weight") {
      for (std::size_t at = 0; at < tensor.values.size(); at += width) {
        const auto first = tensor.values.begin() + static_cast<std::ptrdiff_t>(at);
        std::ranges::copy(from_channels_first({first, first + width}, 48), first);
      }
    }
    if (tensor.name == "v.position_embd.weight") {  // [2, 1120, D] → [1120, 2, D]
      const auto D = static_cast<std::size_t>(tensor.shape[2]);
      const auto length = static_cast<std::size_t>(tensor.shape[1]);
      std::vector<float> turned(tensor.values.size());
      for (std::size_t i = 0; i < turned.size(); ++i) {
        const std::size_t axis = i / D / length, position = i / D % length;
        turned[(position * 2 + axis) * D + i % D] = tensor.values[i];
      }
      tensor.values = turned;
      std::swap(tensor.shape[0], tensor.shape[1]);
    }
    tensor.name = names.at(tensor.name);
  }
  const TempFolder folder;
  const auto written =
      source.write_folder(folder, tensors,
                          R"({"model_type": "gemma4_unified", "text_config": {"hidden_size": 64},
          "vision_config": {"mm_embed_dim": 64, "rms_norm_eps": 1e-06}})");
  const auto patches = random_patches(5, 4, 5, 48);
  EXPECT_EQ(encode_file(written, patches), encode_file(path, patches));
}

}  // namespace
}  // namespace fourfold
