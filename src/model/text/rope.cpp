#include "model/text/rope.h"

#include "base/math.h"

namespace fourfold {
namespace {

// rope_freqs of 1e30 stand for "does not turn".
constexpr float kStillFactor = 1e20f;

}  // namespace

Rope::Rope(const TextConfig& config, bool sliding, int channels, const std::vector<float>& factors)
    : distance_(channels / 2) {
  const double base = sliding ? config.rope_base_sliding : config.rope_base_global;
  const double scale = sliding ? 1.0 : config.rope_scale_global;
  int n_pairs = channels / 2;
  const bool use_factors = !sliding && static_cast<int>(factors.size()) == channels / 2;
  if (use_factors) {
    while (n_pairs > 0 && factors[static_cast<std::size_t>(n_pairs - 1)] > kStillFactor) --n_pairs;
  } else if (!sliding) {
    n_pairs = static_cast<int>(config.rope_rotated_fraction * static_cast<float>(n_pairs));
  }
  for (int j = 0; j < n_pairs; ++j) {
    const double factor = use_factors ? factors[static_cast<std::size_t>(j)] : 1.0;
    omega_.push_back(math::pow(base, -2.0 * j / channels) / (scale * factor));
  }
}

void Rope::angles(std::int64_t position, float* cos, float* sin) const {
  for (std::size_t j = 0; j < omega_.size(); ++j) {
    const double angle = static_cast<double>(position) * omega_[j];
    cos[j] = static_cast<float>(math::cos(angle));
    sin[j] = static_cast<float>(math::sin(angle));
  }
}

}  // namespace fourfold
