#include "kernels/dispatch.h"

#if defined(FOURFOLD_ARM64)
#include <sys/auxv.h>
#endif

#include "kernels/tables.h"

namespace fourfold {

const std::vector<const Kernels*>& usable_kernels() {
  static const std::vector<const Kernels*> tables = [] {
    std::vector<const Kernels*> usable;
#if defined(FOURFOLD_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni")) {
      usable.push_back(&kAvx512Kernels);
    }
    // Every CPU with AVX2 has F16C; Clang 16 cannot ask for it.
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      usable.push_back(&kAvx2Kernels);
    }
#elif defined(FOURFOLD_ARM64)
    if (::getauxval(AT_HWCAP2) & HWCAP2_I8MM) usable.push_back(&kI8mmKernels);
    if (::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) usable.push_back(&kDotprodKernels);
    usable.push_back(&kNeonKernels);
#endif
    usable.push_back(&kScalarKernels);
    return usable;
  }();
  return tables;
}

Result<const Kernels*> choose_kernels(std::string_view forced) {
  if (forced.empty()) return usable_kernels().front();
  std::string names;
  for (const Kernels* table : usable_kernels()) {
    if (forced == table->name) return table;
    names += names.empty() ? table->name : fmt::format(", {}", table->name);
  }
  return invalid_argument("FOURFOLD_FORCE_ISA: this CPU cannot run \"{}\" (it has {})", forced,
                          names);
}

}  // namespace fourfold
