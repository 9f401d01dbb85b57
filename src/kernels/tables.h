// The tables that exist; dispatch.h chooses one. Plain data: included by ISA files.
#pragma once

#include "kernels/table.h"

namespace fourfold {

extern const Kernels kScalarKernels;
extern const Kernels kAvx2Kernels;        // AVX2, FMA, F16C
extern const Kernels kAvx2VnniKernels;    // with AVX-VNNI
extern const Kernels kAvx512Kernels;      // AVX-512 F, BW, DQ, VL, VNNI
extern const Kernels kAvx512Bf16Kernels;  // with BF16
extern const Kernels kNeonKernels;        // any 64-bit Arm
extern const Kernels kDotprodKernels;     // with FEAT_DotProd
extern const Kernels kI8mmKernels;        // with FEAT_DotProd and FEAT_I8MM

}  // namespace fourfold
