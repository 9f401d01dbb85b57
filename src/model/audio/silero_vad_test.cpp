#include "model/audio/silero_vad.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <random>
#include <vector>

#include "formats/golden.h"
#include "formats/safetensors.h"
#include "formats/tensor_shape.h"
#include "formats/test_files.h"
#include "media/sound.h"

namespace fourfold {
namespace {

using testing_files::TempFolder;

using Frame = std::array<float, kVadFrame>;

// Small random weights of the true shapes, which a test may change before it writes them.
struct Weights {
  struct Array {
    Shape shape;
    std::vector<float> values;
  };
  std::map<std::string, Array> arrays;

  Weights() {
    add("stft_conv.weight", {258, 1, 256});
    add("conv1.weight", {128, 129, 3});
    add("conv1.bias", {128});
    add("conv2.weight", {64, 128, 3});
    add("conv2.bias", {64});
    add("conv3.weight", {64, 64, 3});
    add("conv3.bias", {64});
    add("conv4.weight", {128, 64, 3});
    add("conv4.bias", {128});
    add("lstm_cell.weight_ih", {512, 128});
    add("lstm_cell.weight_hh", {512, 128});
    add("lstm_cell.bias_ih", {512});
    add("lstm_cell.bias_hh", {512});
    add("final_conv.weight", {1, 128, 1});
    add("final_conv.bias", {1});
  }

  void add(const std::string& name, Shape shape) {
    std::mt19937 random(static_cast<std::uint32_t>(arrays.size()));
    std::int64_t n = 1;
    for (const auto dim : shape) n *= dim;
    std::normal_distribution<float> normal(0.0f, 0.15f);
    std::vector<float> values;
    for (std::int64_t i = 0; i < n; ++i) values.push_back(normal(random));
    arrays[name] = {std::move(shape), std::move(values)};
  }

  double at(const std::string& name, int i) const {
    return arrays.at(name).values.at(static_cast<std::size_t>(i));
  }

  std::string write(const TempFolder& folder) const {
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, array] : arrays) {
      tensors.push_back({.name = name,
                         .dtype = DType::F32,
                         .shape = array.shape,
                         .bytes = std::as_bytes(std::span(array.values))});
    }
    const auto path = folder.file(kSileroFile);
    EXPECT_TRUE(write_safetensors(path, tensors).ok());
    return path;
  }
};

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// The network as plain loops in f64.
class Reference {
 public:
  explicit Reference(const Weights& weights) : w_(weights) {}

  double next(const Frame& frame) {
    std::vector<double> x(context_);
    x.insert(x.end(), frame.begin(), frame.end());
    context_.assign(frame.end() - 64, frame.end());
    for (int i = 0; i < 64; ++i) x.push_back(frame[static_cast<std::size_t>(510 - i)]);

    Rows rows(4, std::vector<double>(129));
    for (int t = 0; t < 4; ++t) {
      for (int f = 0; f < 129; ++f)
        rows[at(t)][at(f)] = std::hypot(wave(x, t, f), wave(x, t, 129 + f));
    }
    rows = convolve(rows, "conv1", 128, 1);
    rows = convolve(rows, "conv2", 64, 2);
    rows = convolve(rows, "conv3", 64, 2);
    rows = convolve(rows, "conv4", 128, 1);
    EXPECT_EQ(rows.size(), 1u);
    remember(rows[0]);
    double logit = w_.at("final_conv.bias", 0);
    for (int i = 0; i < 128; ++i)
      logit += w_.at("final_conv.weight", i) * std::max(0.0, hidden_[at(i)]);
    return sigmoid(logit);
  }

 private:
  using Rows = std::vector<std::vector<double>>;
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  double wave(const std::vector<double>& x, int t, int channel) const {
    double sum = 0.0;
    for (int i = 0; i < 256; ++i)
      sum += w_.at("stft_conv.weight", channel * 256 + i) * x[at(128 * t + i)];
    return sum;
  }

  Rows convolve(const Rows& in, const std::string& name, int n_out, int stride) const {
    const int n_rows = static_cast<int>(in.size()), n_in = static_cast<int>(in[0].size());
    Rows out;
    for (int first = -1; first + 3 <= n_rows + 1; first += stride) {
      std::vector<double> row;
      for (int c = 0; c < n_out; ++c) {
        double sum = w_.at(name + ".bias", c);
        for (int t = 0; t < 3; ++t) {
          if (first + t < 0 || first + t >= n_rows) continue;
          for (int i = 0; i < n_in; ++i) {
            sum += w_.at(name + ".weight", (c * n_in + i) * 3 + t) * in[at(first + t)][at(i)];
          }
        }
        row.push_back(std::max(0.0, sum));
      }
      out.push_back(std::move(row));
    }
    return out;
  }

  void remember(const std::vector<double>& x) {
    std::vector<double> gates;
    for (int g = 0; g < 512; ++g) {
      double sum = w_.at("lstm_cell.bias_ih", g) + w_.at("lstm_cell.bias_hh", g);
      for (int i = 0; i < 128; ++i) {
        sum += w_.at("lstm_cell.weight_ih", g * 128 + i) * x[at(i)] +
               w_.at("lstm_cell.weight_hh", g * 128 + i) * hidden_[at(i)];
      }
      gates.push_back(sum);
    }
    for (int i = 0; i < 128; ++i) {
      double& cell = cell_[at(i)];
      cell = sigmoid(gates[at(128 + i)]) * cell +
             sigmoid(gates[at(i)]) * std::tanh(gates[at(256 + i)]);
    }
    for (int i = 0; i < 128; ++i) {
      hidden_[at(i)] = sigmoid(gates[at(384 + i)]) * std::tanh(cell_[at(i)]);
    }
  }

  const Weights& w_;
  std::vector<double> context_ = std::vector<double>(64);
  std::vector<double> hidden_ = std::vector<double>(128), cell_ = std::vector<double>(128);
};

std::vector<Frame> random_frames(int n) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0f, 0.3f);
  std::vector<Frame> frames(static_cast<std::size_t>(n));
  for (Frame& frame : frames) {
    for (float& sample : frame) sample = normal(random);
  }
  return frames;
}

std::unique_ptr<SileroVad> must_load(const std::string& path) {
  auto vad = SileroVad::load(path);
  EXPECT_TRUE(vad.ok()) << vad.error().message;
  return std::move(vad).value();
}

TEST(SileroVad, IsTheNetworkFrameByFrame) {
  const TempFolder folder;
  const Weights weights;
  const auto vad = must_load(weights.write(folder));
  Reference reference(weights);
  double least = 1.0, most = 0.0;
  for (const Frame& frame : random_frames(8)) {
    const double expected = reference.next(frame);
    EXPECT_NEAR(vad->next(frame), expected, 1e-4);
    least = std::min(least, expected);
    most = std::max(most, expected);
  }
  EXPECT_GT(most - least, 0.01);  // or the test would see nothing
}

TEST(SileroVad, BeginsAnewAfterAReset) {
  const TempFolder folder;
  const auto vad = must_load(Weights().write(folder));
  const auto frames = random_frames(3);
  const float first = vad->next(frames[0]);
  EXPECT_NE(vad->next(frames[0]), first);
  vad->reset();
  EXPECT_EQ(vad->next(frames[0]), first);
}

TEST(SileroVad, NamesWhatIsWrongWithItsFile) {
  const TempFolder folder;
  EXPECT_EQ(SileroVad::load(folder.file("none")).error().code, Code::NotFound);
  Weights weights;
  weights.arrays.erase("conv3.bias");
  auto path = weights.write(folder);
  EXPECT_EQ(SileroVad::load(path).error().message, path + ": missing tensor conv3.bias [64]");
  weights.add("conv3.bias", {32});
  path = weights.write(folder);
  EXPECT_EQ(SileroVad::load(path).error().message,
            path + ": conv3.bias: F32 [32] in file, expected F32 [64]");
}

// With the real weights (tests/silero_vad_test.py names them).
TEST(SileroVad, AgreesWithItsPackageOnSpeechAndNoise) {
  const char* path = std::getenv("FOURFOLD_TEST_SILERO");
  if (!path) GTEST_SKIP() << "FOURFOLD_TEST_SILERO does not name the weights";
  const auto vad = must_load(path);
  const GoldenArrays golden(std::string(FOURFOLD_SOURCE_DIR) +
                            "/tests/golden/silero/expected.safetensors");
  for (const std::string clip : {"speech1", "speech2", "white"}) {
    const auto file = MappedFile::open(golden_path("audio/frontend/" + clip + "/audio.wav"));
    ASSERT_TRUE(file.ok()) << file.error().message;
    auto samples = decode_sound((*file)->bytes(), {}, kBlockSamples).value();
    const auto expected = golden.floats(clip);
    samples.resize(expected.size() * kVadFrame, 0.0f);
    vad->reset();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::span<const float, kVadFrame> frame(samples.data() + i * kVadFrame, kVadFrame);
      EXPECT_NEAR(vad->next(frame), expected[i], 1e-4) << clip << ", frame " << i;
    }
  }
}

}  // namespace
}  // namespace fourfold
