#include "media/log_mel.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/math.h"
#include "media/fft.h"

namespace fourfold {
namespace {

constexpr std::size_t kFftSize = 512, kFftBins = kFftSize / 2 + 1;
constexpr double kBinHz = 16'000.0 / kFftSize;
constexpr double kHighestHz = 8'000.0;
constexpr double kFloor = 0.001;  // added before the logarithm

// HTK's scale.
double mel_of_hz(double hz) { return 2595.0 * math::log(1.0 + hz / 700.0) / std::numbers::ln10; }
double hz_of_mel(double mel) { return 700.0 * (math::pow(10.0, mel / 2595.0) - 1.0); }

// A triangle over a few neighbouring bins.
struct MelFilter {
  std::size_t first_bin = 0;
  std::vector<float> weights;
};

std::array<MelFilter, kMelBins> make_filters() {
  std::array<double, kMelBins + 2> corners;  // Hz, equally far apart in mel
  for (std::size_t i = 0; i < corners.size(); ++i) {
    corners[i] = hz_of_mel(mel_of_hz(kHighestHz) * static_cast<double>(i) / (kMelBins + 1));
  }
  std::array<MelFilter, kMelBins> filters;
  for (std::size_t b = 0; b < filters.size(); ++b) {
    for (std::size_t k = 0; k < kFftBins; ++k) {
      const double hz = kBinHz * static_cast<double>(k);
      const double rising = (hz - corners[b]) / (corners[b + 1] - corners[b]);
      const double falling = (corners[b + 2] - hz) / (corners[b + 2] - corners[b + 1]);
      const auto weight = static_cast<float>(std::min(rising, falling));
      if (weight <= 0.0f) continue;
      if (filters[b].weights.empty()) filters[b].first_bin = k;
      filters[b].weights.push_back(weight);
    }
  }
  return filters;
}

// Periodic Hann.
std::array<float, kMelWindow> make_window() {
  std::array<float, kMelWindow> window;
  for (std::size_t n = 0; n < window.size(); ++n) {
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(n) / kMelWindow;
    window[n] = static_cast<float>(0.5 - 0.5 * math::cos(angle));
  }
  return window;
}

struct FrontEnd {
  RealFft<kFftSize> fft;
  std::array<float, kMelWindow> window = make_window();
  std::array<MelFilter, kMelBins> filters = make_filters();

  // One frame of 320 samples → 128 features. The steps round where the reference's do: products
  // with the window, bins and magnitudes are float32, all else is double.
  void analyse(const float* samples, float* features) const {
    std::array<double, kFftSize> signal = {};
    for (std::size_t n = 0; n < window.size(); ++n) {
      const float windowed = samples[n] * window[n];
      signal[n] = windowed;
    }
    std::array<std::complex<double>, kFftBins> bins;
    fft.transform(signal, bins);
    std::array<float, kFftBins> magnitudes;
    for (std::size_t k = 0; k < kFftBins; ++k) {
      const double re = static_cast<float>(bins[k].real());
      const double im = static_cast<float>(bins[k].imag());
      magnitudes[k] = static_cast<float>(std::sqrt(re * re + im * im));
    }
    for (std::size_t b = 0; b < filters.size(); ++b) {
      double mel = 0.0;
      for (std::size_t i = 0; i < filters[b].weights.size(); ++i) {
        mel += static_cast<double>(filters[b].weights[i]) * magnitudes[filters[b].first_bin + i];
      }
      features[b] = static_cast<float>(math::log(mel + kFloor));
    }
  }
};

const FrontEnd& front_end() {
  static const FrontEnd front_end;
  return front_end;
}

}  // namespace

LogMel::LogMel() { reset(); }

void LogMel::reset() { pending_.assign(kMelHop, 0.0f); }

std::int64_t LogMel::push(std::span<const float> samples, std::vector<float>& rows) {
  pending_.insert(pending_.end(), samples.begin(), samples.end());
  std::size_t begin = 0;
  std::int64_t n = 0;
  while (pending_.size() - begin > kMelWindow) {
    rows.resize(rows.size() + kMelBins);
    front_end().analyse(pending_.data() + begin, rows.data() + rows.size() - kMelBins);
    begin += kMelHop;
    ++n;
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(begin));
  return n;
}

std::vector<float> log_mel(std::span<const float> samples) {
  std::vector<float> rows;
  rows.reserve(static_cast<std::size_t>(mel_frames(static_cast<std::int64_t>(samples.size()))) *
               kMelBins);
  LogMel mel;
  mel.push(samples, rows);
  return rows;
}

std::vector<float> mel_window() {
  const auto& window = front_end().window;
  return {window.begin(), window.end()};
}

std::vector<float> mel_filters() {
  std::vector<float> weights(kMelBins * kFftBins, 0.0f);
  for (std::size_t b = 0; b < std::size_t{kMelBins}; ++b) {
    const auto& filter = front_end().filters[b];
    std::copy(filter.weights.begin(), filter.weights.end(),
              weights.begin() + static_cast<std::ptrdiff_t>(b * kFftBins + filter.first_bin));
  }
  return weights;
}

}  // namespace fourfold
