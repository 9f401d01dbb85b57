#include "engine/encoder_work.h"

namespace fourfold {
namespace {

// Of one thread, before anything was measured: an x86 core of 2020 with and without int8 products.
constexpr double kFlopsPerSecond = 120e9;
constexpr double kExactFlopsPerSecond = 25e9;
// Below this the clock says more of the first touch of the weights than of the pace.
constexpr double kLeastSeconds = 0.2;

constexpr double kPatchValues = 16.0 * 16.0 * 3.0;
constexpr double kUnifiedPatchValues = 48.0 * 48.0 * 3.0;
constexpr double kPatchesPerRow = 9.0;

}  // namespace

double picture_flops(const VisionConfig& config, std::int64_t n_rows) {
  const double rows = static_cast<double>(n_rows), D = config.width, F = config.ffn_width;
  const double projector = 2.0 * rows * D * config.text_width;
  if (config.unified) return 2.0 * rows * kUnifiedPatchValues * D + projector;
  const double N = kPatchesPerRow * rows;
  const double linears = 2.0 * N * (4.0 * D * D + 3.0 * D * F);
  const double attention = 4.0 * N * N * D;
  return config.n_layers * (linears + attention) + 2.0 * kPatchValues * N * D + projector;
}

double sound_flops(const AudioConfig& config, std::int64_t n_rows) {
  const double rows = static_cast<double>(n_rows), D = config.width, F = config.ffn_width;
  const double projector = 2.0 * rows * D * config.text_width;
  if (config.unified) return projector;
  // Two halves of a feed-forward; q, k, v, post and the relative positions; the convolution's
  // three.
  const double layer = 2.0 * rows * (4.0 * D * F + 5.0 * D * D + 3.0 * D * D);
  return config.n_layers * layer + projector;
}

EncoderPace::EncoderPace(int n_threads, bool exact)
    : assumed_per_second_(n_threads * (exact ? kExactFlopsPerSecond : kFlopsPerSecond)) {}

void EncoderPace::add(double flops, double seconds) {
  flops_ += flops;
  seconds_ += seconds;
}

double EncoderPace::seconds_for(double flops) const {
  const bool is_measured = seconds_ >= kLeastSeconds && flops_ > 0.0;
  return flops / (is_measured ? flops_ / seconds_ : assumed_per_second_);
}

}  // namespace fourfold
