#include "kernels/machine_bench.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/probes.h"

namespace fourfold {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

const Probes& probes_of(const Kernels& kernels) {
  [[maybe_unused]] const std::string_view name = kernels.name;
#if defined(FOURFOLD_X86)
  if (name.starts_with("avx512")) return kAvx512Probes;
  if (name == "avx2-vnni") return kAvx2VnniProbes;
  if (name == "avx2") return kAvx2Probes;
#elif defined(FOURFOLD_ARM64)
  if (name == "neon-i8mm") return kI8mmProbes;
  if (name == "neon-dotprod") return kDotprodProbes;
  if (name == "neon") return kNeonProbes;
#endif
  return kScalarProbes;
}

bool has_bf16_dot([[maybe_unused]] const Probes& probes) {
#if defined(FOURFOLD_X86)
  return probes.bf16_dot.run && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

// Anonymous memory in large pages where the system has them.
class Buffer {
 public:
  static Result<Buffer> make(std::int64_t size_bytes) {
    const auto size = static_cast<std::size_t>(size_bytes);
    void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
      return resource_exhausted("measuring the memory: needs {} bytes for a while", size_bytes);
    }
    ::madvise(data, size, MADV_HUGEPAGE);
    std::memset(data, 0, size);
    return Buffer(data, size);
  }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  Buffer& operator=(Buffer&&) = delete;
  ~Buffer() {
    if (data_) ::munmap(data_, size_);
  }

  const float* data() const { return static_cast<const float*>(data_); }

 private:
  Buffer(void* data, std::size_t size) : data_(data), size_(size) {}

  void* data_;
  std::size_t size_;
};

// Units of work a second of all threads together, in the best window. `work(thread)` does some
// microseconds of it and returns how much.
template <class Work>
double best_rate(int n_threads, const MachineBenchOptions& options, const Work& work) {
  std::barrier window_starts(n_threads);
  std::vector<std::vector<double>> rates(static_cast<std::size_t>(n_threads));
  const auto measure = [&](int thread) {
    for (int window = 0; window < options.n_windows; ++window) {
      window_starts.arrive_and_wait();
      const auto start = Clock::now();
      double done = 0.0;
      double seconds = 0.0;
      while (seconds < options.window_ms / 1e3) {
        done += work(thread);
        seconds = seconds_since(start);
      }
      rates[static_cast<std::size_t>(thread)].push_back(done / seconds);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int t = 1; t < n_threads; ++t) threads.emplace_back(measure, t);
    measure(0);
  }
  double best = 0.0;
  for (std::size_t window = 0; window < rates[0].size(); ++window) {
    double total = 0.0;
    for (const auto& of_thread : rates) total += of_thread[window];
    best = std::max(best, total);
  }
  return best;
}

std::atomic<float> result_of_probes;  // what is read here must be computed

double gmac_s(const Probe& probe, int n_threads, const MachineBenchOptions& options) {
  constexpr std::int64_t kRounds = 10'000;  // some 20 µs
  const double macs = static_cast<double>(kRounds * probe.macs_per_round);
  return 1e-9 * best_rate(n_threads, options, [&](int) {
           result_of_probes.store(probe.run(kRounds), std::memory_order_relaxed);
           return macs;
         });
}

// Each thread goes round its own part of the buffer, piece after piece.
Result<double> read_gb_s(const Probes& probes, int n_threads, const MachineBenchOptions& options) {
  constexpr std::int64_t kPiece = std::int64_t{1} << 18;  // bytes
  constexpr std::int64_t kPieceFloats = kPiece / static_cast<std::int64_t>(sizeof(float));
  const std::int64_t n_pieces =
      std::max<std::int64_t>(1, options.buffer_bytes / n_threads / kPiece);
  const Buffer buffer = TRY(Buffer::make(n_threads * n_pieces * kPiece));
  std::vector<std::int64_t> next(static_cast<std::size_t>(n_threads));
  return 1e-9 * best_rate(n_threads, options, [&](int thread) {
           std::int64_t& piece = next[static_cast<std::size_t>(thread)];
           const float* from = buffer.data() + (thread * n_pieces + piece) * kPieceFloats;
           result_of_probes.store(probes.read(from, kPiece), std::memory_order_relaxed);
           piece = (piece + 1) % n_pieces;
           return static_cast<double>(kPiece);
         });
}

}  // namespace

Result<MachineLimits> measure_machine(const Kernels& kernels, int n_threads,
                                      const MachineBenchOptions& options) {
  const Probes& probes = probes_of(kernels);
  MachineLimits limits{.n_threads = n_threads};
  limits.read_gb_s = TRY(read_gb_s(probes, n_threads, options));
  limits.int8_gmac_s = gmac_s(probes.int8, n_threads, options);
  limits.f32_gmac_s = gmac_s(probes.f32, n_threads, options);
  limits.bf16_gmac_s =
      has_bf16_dot(probes) ? gmac_s(probes.bf16_dot, n_threads, options) : limits.f32_gmac_s;
  return limits;
}

}  // namespace fourfold
