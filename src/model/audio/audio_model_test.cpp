// The audio tower against the reference implementation (tests/golden/audio), from both file forms,
// whole and in pieces.
#include "model/audio/audio_model.h"

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
#include "formats/test_files.h"
#include "kernels/dispatch.h"
#include "media/log_mel.h"
#include "media/sound.h"
#include "tensor/blocks.h"
#include "tensor/quantize.h"

namespace fourfold {
namespace {

using testing_files::TempFolder;

constexpr int kNoLayer = -1;

std::string tower_path(const std::string& relative) {
  return golden_path("audio/tower/" + relative);
}

nlohmann::json read_case(const std::string& folder) {
  const auto text = read_text_file(folder + "/case.json");
  if (!text.ok()) {
    ADD_FAILURE() << text.error().message;
    return {};
  }
  return parse_json(*text).value();
}

Result<std::shared_ptr<const AudioModel>> load(std::shared_ptr<const Checkpoint> checkpoint,
                                               const AudioConfig& config, bool exact) {
  ThreadPool pool(2);
  Ops ops(*usable_kernels().front(), pool, exact);
  return AudioModel::load(std::move(checkpoint), config, ops);
}

Result<std::shared_ptr<const AudioModel>> load(const std::string& path, bool exact = true) {
  auto checkpoint = std::make_shared<const Checkpoint>(TRY(Checkpoint::open(path)));
  const auto config = TRY(load_audio_config(*checkpoint));
  if (!config) return not_found("{}: no audio part", path);
  return load(std::move(checkpoint), *config, exact);
}

std::shared_ptr<const AudioModel> must_load(const std::string& path, bool exact = true) {
  auto model = load(path, exact);
  EXPECT_TRUE(model.ok()) << model.error().message;
  return std::move(model).value();  // throws, and the test ends, when there is none
}

// An encoder with the threads and kernels that it needs.
struct Runner {
  explicit Runner(std::shared_ptr<const AudioModel> model, int n_threads = 2, bool exact = true,
                  const Kernels& kernels = *usable_kernels().front(),
                  AudioEncoderOptions options = {})
      : pool(n_threads), ops(kernels, pool, exact), encoder(std::move(model), ops, options) {}

  ThreadPool pool;
  Ops ops;
  AudioEncoder encoder;
};

MatView view(std::vector<float>& values, std::int64_t width) {
  return {values.data(), static_cast<std::int64_t>(values.size()) / width, width, width};
}

std::vector<float> random_samples(std::int64_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 0.2f);
  std::vector<float> samples(static_cast<std::size_t>(n));
  for (float& s : samples) s = std::clamp(normal(random), -1.0f, 1.0f);
  return samples;
}

std::vector<float> encode_whole(AudioEncoder& encoder, const std::vector<float>& samples) {
  auto mel = log_mel(samples);
  auto rows = encoder.encode_features(view(mel, kMelBins), nullptr);
  EXPECT_TRUE(rows.ok());
  return rows.ok() ? *rows : std::vector<float>();
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = std::fabs(double{a[i]} - double{b[i]});
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

double least_cosine(const std::vector<float>& a, const std::vector<float>& b, std::int64_t width) {
  double least = 1.0;
  for (std::size_t row = 0; row < a.size(); row += static_cast<std::size_t>(width)) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (std::size_t i = row; i < row + static_cast<std::size_t>(width); ++i) {
      ab += double{a[i]} * b[i];
      aa += double{a[i]} * a[i];
      bb += double{b[i]} * b[i];
    }
    least = std::min(least, ab / std::sqrt(aa * bb));
  }
  return least;
}

// --- goldens ---

// Taps under the goldens' names, in their layouts.
std::map<std::string, std::vector<float>> run_with_taps(AudioEncoder& encoder, MatView features) {
  std::map<std::string, std::vector<float>> taps;
  const AudioTap tap = [&](std::string_view what, int layer, const MatView& value) {
    const std::string name =
        layer == kNoLayer ? std::string(what) : fmt::format("{}{}", what, layer);
    auto& rows = taps[name];
    for (std::int64_t r = 0; r < value.n_rows; ++r) {
      rows.insert(rows.end(), value.row(r), value.row(r) + value.n_cols);
    }
  };
  auto rows = encoder.encode_features(features, &tap);
  EXPECT_TRUE(rows.ok());
  taps["soft_tokens"] = rows.value();
  return taps;
}

// [time, frequency, channels] → [channels, time, frequency]
std::vector<float> channels_first(const std::vector<float>& values, int n_columns, int n_channels) {
  const std::size_t n_times = values.size() / static_cast<std::size_t>(n_columns * n_channels);
  const auto columns = static_cast<std::size_t>(n_columns);
  const auto channels = static_cast<std::size_t>(n_channels);
  std::vector<float> result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = i % channels, f = i / channels % columns, t = i / channels / columns;
    result[(c * n_times + t) * columns + f] = values[i];
  }
  return result;
}

class Tower : public testing::TestWithParam<std::tuple<std::string, std::string, int>> {};

TEST_P(Tower, MatchesEveryInnerValueOfTheReference) {
  const auto& [body, file, n_frames] = GetParam();
  const std::string folder = tower_path(fmt::format("{}_f{}", body, n_frames));
  const double tolerance = read_case(folder).at("tolerance").get<double>();
  const GoldenArrays golden(folder + "/expected.safetensors");
  auto features = golden.floats("features");
  Runner runner(must_load(tower_path(fmt::format("model_{}{}", body, file))));
  auto taps = run_with_taps(runner.encoder, view(features, kMelBins));
  if (golden.has("conv0")) {
    taps["conv0"] = channels_first(taps["conv0"], 64, 128);
    taps["conv1"] = channels_first(taps["conv1"], 32, 32);
  } else {
    taps.erase("conv0");
    taps.erase("conv1");
  }
  EXPECT_GE(taps.size(), 5u);
  for (const auto& [name, values] : taps) {
    EXPECT_LE(largest_difference(values, golden.floats(name)), tolerance) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, Tower,
                         testing::Combine(testing::Values("a", "b"),
                                          testing::Values("", "/mmproj.gguf"),
                                          testing::Values(1, 7, 40, 200)));

class Batch : public testing::TestWithParam<std::string> {};

// The padded frames of the batch hold garbage: only what is left of them counts.
TEST_P(Batch, GivesTheValidRowsOfEachClip) {
  const std::string folder = tower_path(GetParam() + "_batch");
  const auto about = read_case(folder);
  const GoldenArrays golden(folder + "/expected.safetensors");
  auto features = golden.floats("features");
  const std::int64_t padded = golden.shape("features").at(1);
  Runner runner(must_load(tower_path("model_" + GetParam())));
  for (std::size_t i = 0; i < about.at("frames").size(); ++i) {
    const MatView clip = view(features, kMelBins)
                             .rows(static_cast<std::int64_t>(i) * padded,
                                   about.at("frames").at(i).get<std::int64_t>());
    const auto rows = runner.encoder.encode_features(clip, nullptr);
    ASSERT_TRUE(rows.ok());
    EXPECT_LE(largest_difference(*rows, golden.floats(fmt::format("soft_tokens{}", i))),
              about.at("tolerance").get<double>())
        << "clip " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, Batch, testing::Values("a", "b"));

class FastForm : public testing::TestWithParam<std::tuple<std::string, int>> {};

TEST_P(FastForm, PointsWhereTheReferencePoints) {
  const auto& [body, n_frames] = GetParam();
  const GoldenArrays golden(tower_path(fmt::format("{}_f{}/expected.safetensors", body, n_frames)));
  auto features = golden.floats("features");
  const auto model = must_load(tower_path("model_" + body), false);
  Runner runner(model, 2, false);
  const auto rows = runner.encoder.encode_features(view(features, kMelBins), nullptr);
  ASSERT_TRUE(rows.ok());
  EXPECT_GE(least_cosine(*rows, golden.floats("soft_tokens"), model->config().text_width), 0.999);
  EXPECT_GT(model->owned_bytes(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Goldens, FastForm,
                         testing::Combine(testing::Values("a", "b"), testing::Values(7, 40, 200)));

// --- the same bits ---

TEST(AudioEncoder, GivesTheSameBitsForAnyThreadsAndTable) {
  const auto samples = random_samples(48'000, 1);
  for (const bool exact : {true, false}) {
    const auto model = must_load(tower_path("model_a"), exact);
    Runner first(model, 1, exact);
    const auto expected = encode_whole(first.encoder, samples);
    for (const int n_threads : {2, 3}) {
      Runner runner(model, n_threads, exact);
      EXPECT_EQ(encode_whole(runner.encoder, samples), expected) << n_threads << " threads";
    }
    for (const Kernels* kernels : usable_kernels()) {
      Runner runner(model, 1, exact, *kernels);
      EXPECT_EQ(encode_whole(runner.encoder, samples), expected) << kernels->name;
    }
  }
}

// Feeds packets of the sizes that `next` gives and looks at the count after each.
template <class Next>
std::vector<float> stream(AudioEncoder& encoder, const std::vector<float>& samples, Next next) {
  std::vector<float> rows;
  std::int64_t n_rows = 0;
  for (std::size_t at = 0; at < samples.size();) {
    const std::size_t n = std::min<std::size_t>(next(), samples.size() - at);
    const auto more = encoder.push(std::span(samples).subspan(at, n), rows);
    EXPECT_TRUE(more.ok());
    at += n;
    n_rows += more.value();
    EXPECT_EQ(n_rows, at == 0 ? 0 : (static_cast<std::int64_t>(at) - 1) / 640) << at << " samples";
  }
  EXPECT_LE(encoder.finish(rows).value(), 1);
  return rows;
}

class Lengths : public testing::TestWithParam<std::int64_t> {};

TEST_P(Lengths, InPacketsOfAnySizeGiveTheRowsOfTheWhole) {
  const std::int64_t n_samples = GetParam();
  const auto samples = random_samples(n_samples, 2);
  const auto model = must_load(tower_path("model_a/mmproj.gguf"));
  Runner whole(model);
  const auto expected = encode_whole(whole.encoder, samples);
  EXPECT_EQ(static_cast<std::int64_t>(expected.size()),
            model->soft_tokens(n_samples) * model->config().text_width);
  Runner pieces(model);  // each block must leave nothing to the next
  for (const std::size_t size : {1u, 160u, 640u, 641u, 8320u}) {
    if (size == 1 && n_samples > 4000) continue;
    EXPECT_EQ(stream(pieces.encoder, samples, [&] { return size; }), expected) << size;
  }
  std::mt19937 random(3);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(stream(pieces.encoder, samples, [&] { return 1 + random() % 3000; }), expected);
  }
}

// F mod 4 is 0 to 3; 640 k and 640 k + 1 samples; more tokens than one pass takes.
INSTANTIATE_TEST_SUITE_P(Samples, Lengths,
                         testing::Values(161, 320, 640, 641, 1281, 2400, 2560, 2561, 3200, 3361,
                                         3521, 3681, 16'000, 16'001, 100'000));

TEST(AudioEncoder, HoldsRowsBackUntilAPassIsWorthIt) {
  const auto samples = random_samples(64'001, 4);
  const auto model = must_load(tower_path("model_a"));
  Runner whole(model);
  Runner held(model, 2, true, *usable_kernels().front(), {.least_rows = 16});
  std::vector<float> rows;
  std::set<std::int64_t> sizes;
  for (std::size_t at = 0; at < samples.size(); at += 640) {
    const std::size_t n = std::min<std::size_t>(640, samples.size() - at);
    sizes.insert(held.encoder.push(std::span(samples).subspan(at, n), rows).value());
  }
  EXPECT_EQ(sizes, (std::set<std::int64_t>{0, 16}));
  EXPECT_GT(held.encoder.finish(rows).value(), 0);
  EXPECT_EQ(rows, encode_whole(whole.encoder, samples));
}

TEST(AudioEncoder, ForgetsABlockThatWasGivenUp) {
  const auto samples = random_samples(20'000, 5);
  const auto model = must_load(tower_path("model_a"));
  Runner runner(model);
  const auto expected = encode_whole(runner.encoder, samples);
  std::vector<float> rows;
  ASSERT_TRUE(runner.encoder.push(random_samples(7000, 6), rows).ok());
  runner.encoder.reset();
  EXPECT_EQ(stream(runner.encoder, samples, [] { return 5000; }), expected);
}

TEST(AudioEncoder, RefusesMoreThanABlock) {
  const auto model = must_load(tower_path("model_a"));
  Runner runner(model);
  std::vector<float> rows;
  ASSERT_TRUE(runner.encoder.push(random_samples(1000, 7), rows).ok());
  const std::vector<float> rest(kBlockSamples - 999);
  const auto more = runner.encoder.push(rest, rows);
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().message,
            "audio: a block of 480001 samples, expected at most 480000 (30 s)");
  EXPECT_EQ(model->soft_tokens(kBlockSamples), 750);
}

TEST(AudioEncoder, RefusesFeaturesOfAnotherForm) {
  Runner runner(must_load(tower_path("model_a")));
  std::vector<float> values(3000 * 128);
  EXPECT_EQ(runner.encoder.encode_features(view(values, 64), nullptr).error().message,
            "audio features: 64 values a row, expected 128");
  EXPECT_EQ(runner.encoder.encode_features(view(values, 128), nullptr).error().message,
            "audio features: 3000 rows, expected at most 2999 (30 s)");
}

TEST(AudioEncoder, SeesThirteenKeysWhereAsked) {
  const auto samples = random_samples(16'000, 8);
  auto checkpoint =
      std::make_shared<const Checkpoint>(Checkpoint::open(tower_path("model_a")).value());
  AudioConfig config = load_audio_config(*checkpoint).value().value();
  ASSERT_EQ(config.left_keys, 12);
  Runner twelve(load(checkpoint, config, true).value());
  config.left_keys = 13;
  Runner thirteen(load(checkpoint, config, true).value());
  const auto a = encode_whole(twelve.encoder, samples);
  const auto b = encode_whole(thirteen.encoder, samples);
  const std::ptrdiff_t same = 12 * config.text_width;
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + same, b.begin()));
  EXPECT_GT(largest_difference(a, b), 0.1);
  EXPECT_EQ(stream(thirteen.encoder, samples, [] { return 641; }), b);
}

// --- the unified form ---

TEST(Unified, MatchesTheReferenceWholeAndInPieces) {
  const std::string folder = golden_path("audio/unified/unified_frames");
  const auto about = read_case(folder);
  const GoldenArrays golden(folder + "/expected.safetensors");
  for (const char* file : {"", "/mmproj.gguf"}) {
    const auto model = must_load(golden_path(std::string("audio/unified/model_unified") + file));
    Runner runner(model);
    for (const auto& clip : about.at("cases")) {
      const auto n = clip.at("samples").get<std::int64_t>();
      auto frames = golden.floats(fmt::format("frames{}", n));
      const auto soft = golden.floats(fmt::format("soft{}", n));
      EXPECT_EQ(model->soft_tokens(n), clip.at("soft_tokens").get<std::int64_t>());
      const auto rows = runner.encoder.encode_features(view(frames, 640), nullptr).value();
      EXPECT_LE(largest_difference(rows, soft), about.at("tolerance").get<double>()) << n;
      std::vector<float> streamed;
      for (std::int64_t at = 0; at < n; at += 300) {
        const auto size = static_cast<std::size_t>(std::min<std::int64_t>(300, n - at));
        const auto piece = std::span(frames).subspan(static_cast<std::size_t>(at), size);
        ASSERT_TRUE(runner.encoder.push(piece, streamed).ok());
      }
      EXPECT_EQ(static_cast<std::int64_t>(streamed.size()), n / 640 * model->config().text_width);
      ASSERT_TRUE(runner.encoder.finish(streamed).ok());
      EXPECT_EQ(streamed, rows) << n;
    }
  }
}

// --- files of other origins ---

// Copies of a tower whose tensors have other names, types or bytes.
class OtherFile {
 public:
  explicit OtherFile(const std::string& path) : source_(Checkpoint::open(path).value()) {}

  std::map<std::string, std::string> names;  // whole names, old and new
  std::map<std::string, std::string> parts;  // of names: what stands there in the copy
  std::set<std::string> dropped;             // tensors by their old names
  DType matrices = DType::BF16;              // type of those that are BF16
  std::map<std::string, std::vector<std::int64_t>> shapes;  // by old name
  std::map<std::string, float> constants;                   // tensors of one value, by old name

  std::string renamed(const std::string& name) const {
    const auto whole = names.find(name);
    if (whole != names.end()) return whole->second;
    std::string text = name;
    for (const auto& [from, to] : parts) {
      const auto at = text.find(from);
      if (at != std::string::npos) text.replace(at, from.size(), to);
    }
    return text;
  }

  std::vector<std::byte> bytes(const TensorInfo& tensor) const {
    if (const auto constant = constants.find(tensor.name); constant != constants.end()) {
      std::vector<std::byte> result(sizeof(float));
      std::memcpy(result.data(), &constant->second, sizeof(float));
      return result;
    }
    std::vector<std::byte> result(tensor.bytes().begin(), tensor.bytes().end());
    if (tensor.dtype != DType::BF16 || matrices == DType::BF16) return result;
    std::vector<float> values(static_cast<std::size_t>(tensor.n_elements()));
    dequantize(tensor.dtype, result.data(), tensor.n_elements(), values.data());
    const DType type = type_of(tensor);
    result.resize(static_cast<std::size_t>(size_bytes(type, tensor.n_elements())));
    EXPECT_TRUE(quantize(type, values, result).ok());
    return result;
  }

  DType type_of(const TensorInfo& tensor) const {
    if (tensor.dtype != DType::BF16) return tensor.dtype;
    return tensor.shape.back() % traits(matrices).block == 0 ? matrices : DType::F32;
  }

  // As mmproj, or as one file of all parts with Ollama's keys.
  std::string write_gguf(const TempFolder& folder, bool ollama) const {
    GgufWriter writer;
    const auto& entries = source_.metadata()->entries();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      std::string key(entries[i].first);
      if (ollama && key == "general.architecture") continue;
      if (ollama && key.starts_with("clip.audio.")) key.replace(0, 4, "gemma4");
      writer.add_copy(key, source_.metadata()->value_bytes(i));
    }
    if (ollama) {
      writer.add_string("general.architecture", "gemma4");
      writer.add_u32("gemma4.embedding_length", 40);
    }
    std::map<std::string, const TensorInfo*> sources;
    for (const auto& tensor : source_.tensors()) {
      if (dropped.count(tensor.name)) continue;
      const auto shape = shapes.find(tensor.name);
      writer.add_tensor(renamed(tensor.name), type_of(tensor),
                        shape == shapes.end() ? tensor.shape : shape->second);
      sources[renamed(tensor.name)] = &tensor;
    }
    const std::string path = folder.file("tower.gguf");
    const auto written =
        writer.write_file(path, [&](const GgufWriter::Tensor& tensor, const auto& sink) {
          auto data = bytes(*sources.at(tensor.name));
          data.resize(tensor.size_bytes);
          return sink(data);
        });
    EXPECT_TRUE(written.ok());
    return path;
  }

  std::string write_folder(const TempFolder& folder) const {
    std::vector<TensorToWrite> tensors;
    for (const auto& tensor : source_.tensors()) {
      tensors.push_back({.name = renamed(tensor.name),
                         .dtype = tensor.dtype,
                         .shape = tensor.shape,
                         .bytes = tensor.bytes()});
    }
    EXPECT_TRUE(write_safetensors(folder.file("model.safetensors"), tensors).ok());
    std::filesystem::copy_file(source_.path() + "/config.json", folder.file("config.json"));
    return folder.path();
  }

 private:
  Checkpoint source_;
};

std::vector<float> encode_file(const std::string& path, const std::vector<float>& samples) {
  Runner runner(must_load(path));
  return encode_whole(runner.encoder, samples);
}

std::string load_error(const std::string& path) {
  const auto model = load(path);
  return model.ok() ? "loaded" : model.error().message;
}

TEST(Dialects, OllamasNamesMeanTheSameTensors) {
  const TempFolder folder;
  OtherFile ollama(tower_path("model_a/mmproj.gguf"));
  ollama.names = {{"a.input_projection.weight", "a.pre_encode.out.weight"},
                  {"a.pre_encode.out.weight", "mm.a.fc.weight"},
                  {"a.pre_encode.out.bias", "mm.a.fc.bias"}};
  for (const int layer : {0, 1}) {
    const std::string at = fmt::format("a.blk.{}.", layer);
    ollama.names[at + "attn_k_rel.weight"] = at + "linear_pos.weight";
    ollama.names[at + "attn_pre_norm.weight"] = at + "ln1.weight";
    ollama.names[at + "attn_post_norm.weight"] = at + "ln2.weight";
    ollama.names[at + "ln2.weight"] = at + "layer_pre_norm.weight";
  }
  const std::string path = ollama.write_gguf(folder, true);
  const auto samples = random_samples(16'000, 9);
  EXPECT_EQ(encode_file(path, samples), encode_file(tower_path("model_a/mmproj.gguf"), samples));
}

TEST(Dialects, EarlyNamesInFoldersMeanTheSameTensors) {
  const TempFolder folder;
  OtherFile early(tower_path("model_b"));
  early.parts = {
      {"model.audio_tower.", "audio_tower."},
      {"layer0.", "conv_0."},
      {"layer1.", "conv_1."},
      {"layers.", "conformer."},
      {"feed_forward1", "ffw_layer_start"},
      {"feed_forward2", "ffw_layer_end"},
      {"ffw_layer_1.linear", "ffw_layer_1"},
      {"self_attn.q_proj.", "attention.attn.q_proj."},
      {"self_attn.k_proj.", "attention.attn.k_proj."},
      {"self_attn.v_proj.", "attention.attn.v_proj."},
      {"self_attn.relative_k_proj", "attention.attn.relative_position_embedding.pos_proj"},
      {"self_attn.per_dim_scale", "attention.attn.per_dim_scale"},
      {"self_attn.post", "attention.post"},
      {"norm_pre_attn", "attention.pre_attn_norm"},
      {"norm_post_attn", "attention.post_norm"}};
  ASSERT_EQ(early.renamed("model.audio_tower.layers.1.self_attn.post.linear.weight"),
            "audio_tower.conformer.1.attention.post.linear.weight");
  const auto samples = random_samples(16'000, 10);
  EXPECT_EQ(encode_file(early.write_folder(folder), samples),
            encode_file(tower_path("model_b"), samples));
}

TEST(Dialects, BothFileFormsOfOneTowerAgree) {
  const auto samples = random_samples(16'000, 11);
  for (const std::string model : {"model_a", "model_b"}) {
    // softplus was rounded to f32 in one of them.
    EXPECT_LE(largest_difference(encode_file(tower_path(model), samples),
                                 encode_file(tower_path(model + "/mmproj.gguf"), samples)),
              1e-4);
  }
}

class WeightTypes : public testing::TestWithParam<std::pair<DType, double>> {};

TEST_P(WeightTypes, AreReadAsTheyLieInTheFile) {
  const TempFolder folder;
  OtherFile other(tower_path("model_b/mmproj.gguf"));
  other.matrices = GetParam().first;
  const auto samples = random_samples(16'000, 12);
  const auto expected = encode_file(tower_path("model_b/mmproj.gguf"), samples);
  const auto rows = encode_file(other.write_gguf(folder, false), samples);
  EXPECT_GE(least_cosine(rows, expected, 64), GetParam().second);
}

INSTANTIATE_TEST_SUITE_P(All, WeightTypes,
                         testing::Values(std::pair(DType::F32, 1.0 - 1e-12),
                                         std::pair(DType::F16, 1.0 - 1e-8),
                                         std::pair(DType::Q8_0, 0.999)));

// --- what is wrong with a file ---

TEST(AudioModel, NamesATensorThatIsMissing) {
  const TempFolder folder;
  OtherFile other(tower_path("model_a/mmproj.gguf"));
  other.dropped = {"a.blk.1.attn_k.weight"};
  const auto path = other.write_gguf(folder, false);
  EXPECT_EQ(load_error(path), path + ": missing tensor a.blk.1.attn_k.weight [64, 64]");
}

TEST(AudioModel, NamesATensorOfAnotherShape) {
  const TempFolder folder;
  OtherFile other(tower_path("model_a/mmproj.gguf"));
  other.shapes["a.blk.0.conv_dw.weight"] = {64, 4};
  const auto path = other.write_gguf(folder, false);
  EXPECT_EQ(load_error(path), path +
                                  ": a.blk.0.conv_dw.weight: shape [64, 4] in file, model config "
                                  "needs [64, 1, 5]");
}

TEST(AudioModel, NamesATensorThatItDoesNotKnow) {
  const TempFolder folder;
  OtherFile other(tower_path("model_a/mmproj.gguf"));
  other.names["a.blk.1.attn_out.input_min"] = "a.blk.1.attn_out.bias";
  const auto path = other.write_gguf(folder, false);
  EXPECT_EQ(load_error(path), path + ": unexpected tensor a.blk.1.attn_out.bias [1]");
}

TEST(AudioModel, RefusesBoundsThatLeaveNothing) {
  const TempFolder folder;
  OtherFile other(tower_path("model_a/mmproj.gguf"));
  other.constants["a.blk.0.attn_q.input_min"] = 5e8f;
  const auto path = other.write_gguf(folder, false);
  EXPECT_TRUE(load_error(path).starts_with(path + ": a.blk.0.attn_q.weight: clip bounds 500000000"))
      << load_error(path);
}

TEST(AudioModel, LoadsATowerWithoutBounds) {
  const TempFolder folder;
  OtherFile other(tower_path("model_b/mmproj.gguf"));  // all infinite there
  const auto source = Checkpoint::open(tower_path("model_b/mmproj.gguf")).value();
  for (const auto& tensor : source.tensors()) {
    if (tensor.name.ends_with("_min") || tensor.name.ends_with("_max")) {
      other.dropped.insert(tensor.name);
    }
  }
  const auto samples = random_samples(16'000, 13);
  EXPECT_EQ(encode_file(other.write_gguf(folder, false), samples),
            encode_file(tower_path("model_b/mmproj.gguf"), samples));
}

TEST(AudioModel, RefusesSizesThatItCannotRun) {
  auto checkpoint =
      std::make_shared<const Checkpoint>(Checkpoint::open(tower_path("model_a")).value());
  const AudioConfig config = load_audio_config(*checkpoint).value().value();
  const auto error = [&](auto change) {
    AudioConfig other = config;
    change(other);
    const auto model = load(checkpoint, other, true);
    return model.ok() ? "loaded" : model.error().message;
  };
  EXPECT_NE(error([](AudioConfig& c) { c.n_heads = 5; }).find("width 64 with 5 heads"),
            std::string::npos);
  EXPECT_NE(error([](AudioConfig& c) { c.left_keys = 65; }).find("audio_left_keys is 65"),
            std::string::npos);
  EXPECT_NE(error([](AudioConfig& c) {
              c.unified = true;
              c.width = 320;
            }).find("frames of 320 samples (expected 640)"),
            std::string::npos);
}

}  // namespace
}  // namespace fourfold
