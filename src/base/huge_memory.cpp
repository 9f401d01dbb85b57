#include "base/huge_memory.h"

#include <sys/mman.h>

namespace fourfold {

HugeMemory::HugeMemory(std::uint64_t size_bytes) {
  constexpr std::uint64_t kHugePage = 2u << 20;
  if (size_bytes == 0 || size_bytes > UINT64_MAX - 2 * kHugePage) return;
  const std::uint64_t whole = (size_bytes + kHugePage - 1) / kHugePage * kHugePage;
  mapping_bytes_ = whole + kHugePage;  // room to align
  void* mapping = ::mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return;
  mapping_ = mapping;
  const auto start = reinterpret_cast<std::uintptr_t>(mapping);
  data_ = static_cast<std::byte*>(mapping) + (kHugePage - start % kHugePage) % kHugePage;
  ::madvise(data_, whole, MADV_HUGEPAGE);  // a kernel without them gives small ones
}

HugeMemory::~HugeMemory() {
  if (mapping_) ::munmap(mapping_, mapping_bytes_);
}

}  // namespace fourfold
