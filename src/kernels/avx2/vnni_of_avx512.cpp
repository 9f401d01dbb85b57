// The AVX-VNNI table by the same instruction of AVX-512, for tests only: few machines that run them
// have the one, many have the other.
#include <immintrin.h>

#include "kernels/table.h"

namespace fourfold {
namespace {

inline __m256i add_four(__m256i dots, __m256i weights, __m256i four) {
  return _mm256_dpbusd_epi32(dots, weights, four);
}

}  // namespace
}  // namespace fourfold

// After add_four:
#include "kernels/avx2/vnni.inc"

namespace fourfold {

extern const Kernels kVnniOfAvx512Kernels;
const Kernels kVnniOfAvx512Kernels = {
    .name = "avx2-vnni-of-avx512",
#include "kernels/generic/table.inc"
};

}  // namespace fourfold
