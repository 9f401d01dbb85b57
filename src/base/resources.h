// What this process may use of the machine: affinity masks, cgroup quotas and memory limits count,
// not what the hardware has.
//
//   const auto cpus = read_cpu_budget();
//   note("{}", cpus.reason);  // 1 thread: cpu.max 100000 100000
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fourfold {

struct CpuBudget {
  int n_threads = 1;
  std::string reason;  // "2 threads: affinity mask 0-1", "1 thread: cpu.max 150000 100000"
};

struct MemoryBudget {
  std::uint64_t size_bytes = 0;
  std::string reason;  // "3.2 GiB: MemAvailable", "1.5 GiB: memory.max 2.0 GiB, 0.5 GiB in use"
};

// `root` stands before /proc and /sys (tests put a tree of their own there). Files that are absent
// or unreadable set no limit.
CpuBudget read_cpu_budget(const std::string& root = "");
MemoryBudget read_memory_budget(const std::string& root = "");

// "12G", "800M", "1.5GiB", "4096" → bytes; K, M, G and T are powers of 1024, in any case.
// InvalidArgument for anything else.
Result<std::uint64_t> parse_size(std::string_view text);

// "3.2 GiB", "12.0 MiB", "17 bytes".
std::string format_size(std::uint64_t size_bytes);

}  // namespace fourfold
