// The discrete Fourier transform of a short real signal, in double.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <span>

namespace fourfold {

// N real values → bins 0 … N/2. N is a power of two, at least 4.
template <std::size_t N>
class RealFft {
 public:
  RealFft();
  void transform(std::span<const double, N> signal,
                 std::span<std::complex<double>, N / 2 + 1> bins) const;

 private:
  static constexpr std::size_t kHalf = N / 2;

  std::array<std::complex<double>, kHalf> twiddles_;  // e^(−2πi k / N)
  std::array<std::size_t, kHalf> reversed_;           // k with its bits in reverse order
};

extern template class RealFft<512>;

}  // namespace fourfold
