#include "model/audio/silero_vad.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "formats/safetensors.h"
#include "formats/tensor_shape.h"
#include "kernels/dispatch.h"

namespace fourfold {
namespace {

constexpr int kContext = 64;  // samples of the frame before that a frame begins with
constexpr int kMirrored = 64;
constexpr int kWindow = 256;
constexpr int kHop = 128;
constexpr int kBins = 129;
constexpr int kSpectra = 4;  // of a frame
constexpr int kHidden = 128;

// A convolution over time of three rows, padded with a zero row at both ends, then ReLU.
struct Convolution {
  int n_in, n_out, stride;
  std::vector<float> weight;  // [out, 3 times, in]
  std::vector<float> bias;    // [out]
};

// Rows with a zero row before and one behind.
struct PaddedRows {
  PaddedRows(int n, int w)
      : n_rows(n), width(w), values(static_cast<std::size_t>((n + 2) * w), 0.0f) {}
  float* row(int r) { return values.data() + (r + 1) * width; }

  int n_rows, width;
  std::vector<float> values;
};

PaddedRows convolve(const Kernels& kernels, const Convolution& w, PaddedRows& in) {
  PaddedRows out((in.n_rows + w.stride - 1) / w.stride, w.n_out);
  // The rows that meet the kernel lie side by side.
  kernels.matmul_f32(w.weight.data(), 3 * w.n_in, w.n_out, in.values.data(),
                     std::int64_t{w.stride} * w.n_in, out.n_rows, 3 * w.n_in, out.row(0), w.n_out);
  for (int r = 0; r < out.n_rows; ++r) {
    kernels.add(out.row(r), w.bias.data(), w.n_out);
    kernels.clamp(out.row(r), 0.0f, std::numeric_limits<float>::infinity(), w.n_out, out.row(r));
  }
  return out;
}

// The tensors of the file by name, checked.
class Tensors {
 public:
  static Result<Tensors> open(const std::string& path) {
    Tensors tensors;
    tensors.path_ = path;
    const auto file = TRY(MappedFile::open(path));
    tensors.tensors_ = TRY(read_safetensors(file));
    return tensors;
  }

  Result<std::vector<float>> floats(std::string_view name, const Shape& shape) const {
    for (const auto& tensor : tensors_) {
      if (tensor.name != name) continue;
      if (tensor.dtype != DType::F32 || tensor.shape != shape) {
        return failed_precondition("{}: {}: {} {} in file, expected F32 {}", path_, name,
                                   fourfold::name(tensor.dtype), shape_text(tensor.shape),
                                   shape_text(shape));
      }
      std::vector<float> values(static_cast<std::size_t>(tensor.n_elements()));
      std::memcpy(values.data(), tensor.bytes().data(), tensor.size_bytes);
      return values;
    }
    return failed_precondition("{}: missing tensor {} {}", path_, name, shape_text(shape));
  }

  Result<Convolution> convolution(const std::string& name, int n_in, int n_out, int stride) const {
    const auto values = TRY(floats(name + ".weight", {n_out, n_in, 3}));
    auto bias = TRY(floats(name + ".bias", {n_out}));
    std::vector<float> weight(values.size());
    for (int out = 0; out < n_out; ++out) {
      for (int i = 0; i < 3 * n_in; ++i) {
        const int t = i / n_in, in = i % n_in;
        weight[static_cast<std::size_t>(out * 3 * n_in + i)] =
            values[static_cast<std::size_t>((out * n_in + in) * 3 + t)];
      }
    }
    return Convolution{n_in, n_out, stride, std::move(weight), std::move(bias)};
  }

 private:
  std::string path_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace

struct SileroVad::Network {
  std::vector<float> spectrum;  // [2 · 129, 256]: cosines, then sines, with the window
  std::vector<Convolution> encoder;
  std::vector<float> from_input;   // [4 · 128, 128]: input, forget, cell and output gate
  std::vector<float> from_hidden;  // [4 · 128, 128]
  std::vector<float> gate_bias;    // [4 · 128]
  std::vector<float> output;       // [128]
  float output_bias = 0.0f;
  const Kernels& kernels = *usable_kernels().front();  // all tables give the same bits
};

struct SileroVad::State {
  std::vector<float> hidden = std::vector<float>(kHidden, 0.0f);
  std::vector<float> cell = std::vector<float>(kHidden, 0.0f);
  std::vector<float> context = std::vector<float>(kContext, 0.0f);
};

Result<std::unique_ptr<SileroVad>> SileroVad::load(const std::string& path) {
  constexpr int kGates = 4 * kHidden;
  const auto tensors = TRY(Tensors::open(path));
  auto network = std::make_unique<Network>();
  network->spectrum = TRY(tensors.floats("stft_conv.weight", {2 * kBins, 1, kWindow}));
  network->encoder.push_back(TRY(tensors.convolution("conv1", kBins, 128, 1)));
  network->encoder.push_back(TRY(tensors.convolution("conv2", 128, 64, 2)));
  network->encoder.push_back(TRY(tensors.convolution("conv3", 64, 64, 2)));
  network->encoder.push_back(TRY(tensors.convolution("conv4", 64, kHidden, 1)));
  network->from_input = TRY(tensors.floats("lstm_cell.weight_ih", {kGates, kHidden}));
  network->from_hidden = TRY(tensors.floats("lstm_cell.weight_hh", {kGates, kHidden}));
  network->gate_bias = TRY(tensors.floats("lstm_cell.bias_ih", {kGates}));
  const auto more_bias = TRY(tensors.floats("lstm_cell.bias_hh", {kGates}));
  network->kernels.add(network->gate_bias.data(), more_bias.data(), kGates);
  network->output = TRY(tensors.floats("final_conv.weight", {1, kHidden, 1}));
  const auto output_bias = TRY(tensors.floats("final_conv.bias", {1}));
  network->output_bias = output_bias.front();
  return std::unique_ptr<SileroVad>(new SileroVad(std::move(network)));
}

SileroVad::SileroVad(std::unique_ptr<const Network> network)
    : network_(std::move(network)), s_(std::make_unique<State>()) {}

SileroVad::~SileroVad() = default;

void SileroVad::reset() { *s_ = State(); }

float SileroVad::next(std::span<const float, kVadFrame> frame) {
  const Network& w = *network_;
  const Kernels& kernels = w.kernels;

  // The frame behind its context, and its end once more, mirrored.
  std::vector<float> samples(s_->context);
  samples.insert(samples.end(), frame.begin(), frame.end());
  std::copy(frame.end() - kContext, frame.end(), s_->context.begin());
  samples.insert(samples.end(), frame.rbegin() + 1, frame.rbegin() + 1 + kMirrored);

  float waves[kSpectra * 2 * kBins];
  kernels.matmul_f32(w.spectrum.data(), kWindow, 2 * kBins, samples.data(), kHop, kSpectra, kWindow,
                     waves, 2 * kBins);
  PaddedRows rows(kSpectra, kBins);
  for (int t = 0; t < kSpectra; ++t) {
    const float* wave = waves + t * 2 * kBins;
    for (int f = 0; f < kBins; ++f) {
      rows.row(t)[f] = std::sqrt(wave[f] * wave[f] + wave[kBins + f] * wave[kBins + f]);
    }
  }
  for (const Convolution& convolution : w.encoder) rows = convolve(kernels, convolution, rows);

  float gates[4 * kHidden], from_hidden[4 * kHidden], ones[kHidden];
  kernels.matmul_f32(w.from_input.data(), kHidden, 4 * kHidden, rows.row(0), kHidden, 1, kHidden,
                     gates, 4 * kHidden);
  kernels.matmul_f32(w.from_hidden.data(), kHidden, 4 * kHidden, s_->hidden.data(), kHidden, 1,
                     kHidden, from_hidden, 4 * kHidden);
  kernels.add(gates, from_hidden, 4 * kHidden);
  kernels.add(gates, w.gate_bias.data(), 4 * kHidden);
  std::fill_n(ones, kHidden, 1.0f);
  float* in = gates;
  float* forget = gates + kHidden;
  float* candidate = gates + 2 * kHidden;
  float* out = gates + 3 * kHidden;
  // cell = sigmoid(forget) · cell + sigmoid(in) · tanh(candidate); a softcap of 1 is tanh.
  kernels.softcap(candidate, kHidden, 1.0f);
  kernels.sigmoid_multiply(candidate, in, kHidden, candidate);
  kernels.sigmoid_multiply(s_->cell.data(), forget, kHidden, s_->cell.data());
  kernels.add(s_->cell.data(), candidate, kHidden);
  // hidden = sigmoid(out) · tanh(cell)
  s_->hidden = s_->cell;
  kernels.softcap(s_->hidden.data(), kHidden, 1.0f);
  kernels.sigmoid_multiply(s_->hidden.data(), out, kHidden, s_->hidden.data());

  float positive[kHidden];
  kernels.clamp(s_->hidden.data(), 0.0f, std::numeric_limits<float>::infinity(), kHidden, positive);
  float logit = kernels.dot(w.output.data(), positive, kHidden) + w.output_bias;
  kernels.sigmoid_multiply(ones, &logit, 1, &logit);
  return logit;
}

}  // namespace fourfold
