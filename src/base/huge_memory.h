// Address space that becomes memory where it is first written, in huge pages where the system has
// them: a stream then comes to the end of a page 512 times less often.
//
//   const HugeMemory memory(n_bytes);  // costs nothing yet
//   if (memory.data()) std::memcpy(memory.data(), …);
#pragma once

#include <cstddef>
#include <cstdint>

namespace fourfold {

class HugeMemory {
 public:
  explicit HugeMemory(std::uint64_t size_bytes);
  ~HugeMemory();
  HugeMemory(const HugeMemory&) = delete;
  HugeMemory& operator=(const HugeMemory&) = delete;

  // Zeroed, from the beginning of a huge page on. Null when the system refuses the size, or it is
  // 0.
  std::byte* data() const { return data_; }

 private:
  void* mapping_ = nullptr;
  std::uint64_t mapping_bytes_ = 0;
  std::byte* data_ = nullptr;
};

}  // namespace fourfold
