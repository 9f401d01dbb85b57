#include "media/fft.h"

#include <bit>
#include <numbers>
#include <utility>

#include "base/math.h"

namespace fourfold {

template <std::size_t N>
RealFft<N>::RealFft() {
  static_assert(std::has_single_bit(N) && N >= 4);
  for (std::size_t k = 0; k < kHalf; ++k) {
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(N);
    twiddles_[k] = {math::cos(angle), -math::sin(angle)};
    reversed_[k] = 0;
    for (std::size_t bit = 1; bit < kHalf; bit *= 2) {
      reversed_[k] = reversed_[k] * 2 + ((k & bit) != 0 ? 1 : 0);
    }
  }
}

// Even and odd values become real and imaginary parts of a signal half as long (radix 2, decimation
// in time); its bins and their mirror images then give those of the real signal.
template <std::size_t N>
void RealFft<N>::transform(std::span<const double, N> signal,
                           std::span<std::complex<double>, N / 2 + 1> bins) const {
  // Plain products: std::complex would test for infinities.
  const auto times = [](std::complex<double> a, std::complex<double> b) {
    return std::complex<double>(a.real() * b.real() - a.imag() * b.imag(),
                                a.real() * b.imag() + a.imag() * b.real());
  };
  std::array<std::complex<double>, kHalf> z;
  for (std::size_t k = 0; k < kHalf; ++k) {
    z[reversed_[k]] = {signal[2 * k], signal[2 * k + 1]};
  }
  for (std::size_t size = 2; size <= kHalf; size *= 2) {
    const std::size_t stride = N / size;
    for (std::size_t begin = 0; begin < kHalf; begin += size) {
      for (std::size_t k = 0; k < size / 2; ++k) {
        auto& upper = z[begin + k];
        auto& lower = z[begin + k + size / 2];
        const auto turned = times(lower, twiddles_[k * stride]);
        lower = upper - turned;
        upper = upper + turned;
      }
    }
  }
  for (std::size_t k = 0; k <= kHalf; ++k) {
    const auto a = z[k % kHalf];
    const auto b = std::conj(z[(kHalf - k) % kHalf]);
    const auto even = 0.5 * (a + b);
    const auto difference = 0.5 * (a - b);
    const std::complex<double> odd = {difference.imag(), -difference.real()};
    // At k = N/2 the turn is by −1.
    bins[k] = k == kHalf ? even - odd : even + times(odd, twiddles_[k]);
  }
}

template class RealFft<512>;

}  // namespace fourfold
