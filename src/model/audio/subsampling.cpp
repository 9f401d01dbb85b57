#include "model/audio/subsampling.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "media/log_mel.h"

namespace fourfold {
namespace {

// A row of convolution 0: a column of zeros, which is the padding of convolution 1, and then the
// channels of each frequency.
constexpr int kRowWidth = (1 + kConv0Columns) * kConv0Channels;
constexpr int kPatch = 3 * kConv0Channels;  // what a row gives to one frequency of convolution 1
constexpr int kPatchWidth = 3 * kPatch;
constexpr std::int64_t kPiece = 64;  // mel rows that are convolved together

// Rows of a 3×3 kernel of stride 2 that n input rows give.
std::int64_t n_outputs(std::int64_t n) { return (n - 1) / 2; }

// LayerNorm over the channels without bias, then ReLU.
void norm_relu(const Kernels& kernels, float* x, const float* weight, int n, float eps) {
  float ones[kConv0Channels];
  std::fill_n(ones, n, 1.0f);
  const float mean = kernels.dot(x, ones, n) / static_cast<float>(n);
  for (int i = 0; i < n; ++i) x[i] -= mean;
  kernels.rms_norm(x, weight, n, eps, x);
  kernels.clamp(x, 0.0f, std::numeric_limits<float>::infinity(), n, x);
}

}  // namespace

Subsampling::Subsampling(const AudioWeights& weights, float eps, Ops& ops)
    : w_(weights), eps_(eps), ops_(ops) {
  reset();
}

// The row before the first is zero in both convolutions.
void Subsampling::reset() {
  mel_.assign(kMelBins, 0.0f);
  rows_.assign(kRowWidth, 0.0f);
}

void Subsampling::push(MatView mel, const AudioTap* tap, std::vector<float>& out) {
  for (std::int64_t first = 0; first < mel.n_rows; first += kPiece) {
    const std::int64_t n = std::min(kPiece, mel.n_rows - first);
    for (std::int64_t r = first; r < first + n; ++r) {
      mel_.insert(mel_.end(), mel.row(r), mel.row(r) + kMelBins);
    }
    convolve(tap, out);
  }
}

// A row after the last is zero too, but only beside one that exists: convolution 1 must not see a
// row that convolution 0 would make of the padding.
void Subsampling::finish(const AudioTap* tap, std::vector<float>& out) {
  if (mel_.size() > kMelBins) mel_.resize(mel_.size() + kMelBins);
  convolve(tap, out);
  if (rows_.size() > kRowWidth) rows_.resize(rows_.size() + kRowWidth);
  convolve(tap, out);
  reset();
}

void Subsampling::convolve(const AudioTap* tap, std::vector<float>& out) {
  convolve_mel(tap);
  convolve_rows(tap, out);
}

void Subsampling::convolve_mel(const AudioTap* tap) {
  const std::int64_t n = n_outputs(static_cast<std::int64_t>(mel_.size()) / kMelBins);
  if (n == 0) return;
  const std::size_t first = rows_.size();
  rows_.resize(first + static_cast<std::size_t>(n * kRowWidth));
  const Kernels& kernels = ops_.kernels();
  const MatView out{rows_.data() + first + kConv0Channels, n, kRowWidth - kConv0Channels,
                    kRowWidth};
  ops_.for_rows(n, [&](std::int64_t r) {
    for (int f = 0; f < kConv0Columns; ++f) {
      float* channels = out.row(r) + f * kConv0Channels;
      for (int i = 0; i < 9; ++i) {
        const int bin = 2 * f - 1 + i % 3;
        if (bin < 0) continue;
        kernels.add_scaled(channels, w_.conv0.data() + i * kConv0Channels,
                           mel_[static_cast<std::size_t>((2 * r + i / 3) * kMelBins + bin)],
                           kConv0Channels);
      }
      norm_relu(kernels, channels, w_.conv0_norm, kConv0Channels, eps_);
    }
  });
  mel_.erase(mel_.begin(), mel_.begin() + 2 * n * kMelBins);
  if (tap) (*tap)("conv0", -1, out);
}

void Subsampling::convolve_rows(const AudioTap* tap, std::vector<float>& out) {
  const std::int64_t n = n_outputs(static_cast<std::int64_t>(rows_.size()) / kRowWidth);
  if (n == 0) return;
  const Matrix kernel{.dtype = DType::F32,
                      .data = reinterpret_cast<const std::byte*>(w_.conv1.data()),
                      .n_rows = kConv1Channels,
                      .n_cols = kPatchWidth};
  const std::int64_t n_patches = n * kConv1Columns;
  patches_.resize(static_cast<std::size_t>(n_patches * kPatchWidth));
  ops_.for_rows(n_patches, [&](std::int64_t p) {
    const std::int64_t row = 2 * (p / kConv1Columns);
    const std::int64_t column = 2 * (p % kConv1Columns) * kConv0Channels;
    for (int t = 0; t < 3; ++t) {
      std::memcpy(patches_.data() + p * kPatchWidth + t * kPatch,
                  rows_.data() + (row + t) * kRowWidth + column, kPatch * sizeof(float));
    }
  });
  const std::size_t first = out.size();
  out.resize(first + static_cast<std::size_t>(n * kSubsampledWidth));
  // A frequency's channels are a row here and 32 of the 1024 values outside.
  const MatView channels{out.data() + first, n_patches, kConv1Channels, kConv1Channels};
  patches_q_.set({patches_.data(), n_patches, kPatchWidth, kPatchWidth});
  ops_.matmul(kernel, patches_q_, channels);
  ops_.for_rows(n_patches, [&](std::int64_t p) {
    norm_relu(ops_.kernels(), channels.row(p), w_.conv1_norm, kConv1Channels, eps_);
  });
  rows_.erase(rows_.begin(), rows_.begin() + 2 * n * kRowWidth);
  if (tap) (*tap)("conv1", -1, {out.data() + first, n, kSubsampledWidth, kSubsampledWidth});
}

}  // namespace fourfold
