#include "kernels/dispatch.h"

#if defined(FOURFOLD_X86)
#include <cpuid.h>
#elif defined(FOURFOLD_ARM64)
#include <sys/auxv.h>
#endif

#include "kernels/tables.h"

namespace fourfold {
namespace {

#if defined(FOURFOLD_X86)
// Clang 16 cannot ask for it by name.
bool has_avx_vnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & (1u << 4));
}
#endif

}  // namespace

const std::vector<const Kernels*>& usable_kernels() {
  static const std::vector<const Kernels*> tables = [] {
    std::vector<const Kernels*> usable;
#if defined(FOURFOLD_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni")) {
      if (__builtin_cpu_supports("avx512bf16")) usable.push_back(&kAvx512Bf16Kernels);
      usable.push_back(&kAvx512Kernels);
    }
    // Every CPU with AVX2 has F16C; Clang 16 cannot ask for it.
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      if (has_avx_vnni()) usable.push_back(&kAvx2VnniKernels);
      usable.push_back(&kAvx2Kernels);
    }
#elif defined(FOURFOLD_ARM64)
    if (::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) {
      if (::getauxval(AT_HWCAP2) & HWCAP2_I8MM) usable.push_back(&kI8mmKernels);
      usable.push_back(&kDotprodKernels);
    }
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
