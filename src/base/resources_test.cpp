#include "base/resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace fourfold {
namespace {

using testing::EndsWith;
using testing::StartsWith;

constexpr const char* kVersion2 =
    "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kVersion1 =
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
    "34 31 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

// A tree of files that stands for /proc and /sys.
class FakeSystem : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fmt::format("{}fourfold_resources_{}_{}", testing::TempDir(), ::getpid(), test->name());
    std::filesystem::remove_all(root_);
    put("/proc/self/status", "Name:\ttest\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n");
    put("/proc/meminfo", "MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  void use_version_2(const std::string& group) {
    put("/proc/self/mountinfo", kVersion2);
    put("/proc/self/cgroup", "0::" + group + "\n");
  }
  void use_version_1(const std::string& group) {
    put("/proc/self/mountinfo", kVersion1);
    put("/proc/self/cgroup",
        "9:name=systemd:/\n4:memory:" + group + "\n2:cpu,cpuacct:" + group + "\n0::/\n");
  }

  std::string root_;
};

using CpuBudgetTest = FakeSystem;
using MemoryBudgetTest = FakeSystem;

TEST_F(CpuBudgetTest, IsTheAffinityMaskWithoutAQuota) {
  use_version_2("/app");
  put("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
  const auto budget = read_cpu_budget(root_);
  EXPECT_EQ(budget.n_threads, 8);
  EXPECT_EQ(budget.reason, "8 threads: affinity mask 0-7");
}

TEST_F(CpuBudgetTest, CountsListsOfRanges) {
  put("/proc/self/status", "Cpus_allowed_list:\t1,3-4,10-11\n");
  EXPECT_EQ(read_cpu_budget(root_).n_threads, 5);
}

TEST_F(CpuBudgetTest, TakesAWholeQuota) {
  use_version_2("/app");
  put("/sys/fs/cgroup/app/cpu.max", "100000 100000\n");
  const auto budget = read_cpu_budget(root_);
  EXPECT_EQ(budget.n_threads, 1);
  EXPECT_EQ(budget.reason, "1 thread: cpu.max 100000 100000");
}

TEST_F(CpuBudgetTest, RoundsAFractionalQuotaDown) {
  use_version_2("/app");
  put("/sys/fs/cgroup/app/cpu.max", "765000 100000\n");
  EXPECT_EQ(read_cpu_budget(root_).n_threads, 7);
}

TEST_F(CpuBudgetTest, IsAtLeastOneThread) {
  use_version_2("/app");
  put("/sys/fs/cgroup/app/cpu.max", "50000 100000\n");
  EXPECT_EQ(read_cpu_budget(root_).n_threads, 1);
}

TEST_F(CpuBudgetTest, TakesTheSmallestQuotaUpToTheRoot) {
  use_version_2("/slice/pod/app");
  put("/sys/fs/cgroup/slice/pod/app/cpu.max", "600000 100000\n");
  put("/sys/fs/cgroup/slice/pod/cpu.max", "max 100000\n");
  put("/sys/fs/cgroup/slice/cpu.max", "400000 200000\n");
  const auto budget = read_cpu_budget(root_);
  EXPECT_EQ(budget.reason, "2 threads: cpu.max 400000 200000");
}

TEST_F(CpuBudgetTest, SeesTheLimitOfItsNamespaceRoot) {
  use_version_2("/");
  put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  EXPECT_EQ(read_cpu_budget(root_).n_threads, 3);
}

TEST_F(CpuBudgetTest, UnderstandsAContainerWithoutItsOwnNamespace) {
  put("/proc/self/mountinfo",
      "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw,nsdelegate\n");
  put("/proc/self/cgroup", "0::/docker/abc/worker\n");
  put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
  put("/sys/fs/cgroup/worker/cpu.max", "200000 100000\n");
  EXPECT_EQ(read_cpu_budget(root_).n_threads, 2);
}

TEST_F(CpuBudgetTest, StaysAtTheMountPointWhenTheGroupLiesOutsideIt) {
  put("/proc/self/mountinfo", "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
  put("/proc/self/cgroup", "0::/../other\n");
  put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
  EXPECT_EQ(read_cpu_budget(root_).n_threads, 4);
}

TEST_F(CpuBudgetTest, ReadsVersion1Quotas) {
  use_version_1("/pod/app");
  put("/sys/fs/cgroup/cpu,cpuacct/pod/app/cpu.cfs_quota_us", "-1\n");
  put("/sys/fs/cgroup/cpu,cpuacct/pod/app/cpu.cfs_period_us", "100000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/pod/cpu.cfs_quota_us", "250000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/pod/cpu.cfs_period_us", "100000\n");
  const auto budget = read_cpu_budget(root_);
  EXPECT_EQ(budget.reason, "2 threads: cpu.cfs_quota_us 250000, cpu.cfs_period_us 100000");
}

TEST_F(CpuBudgetTest, IgnoresGarbage) {
  use_version_2("/app");
  put("/sys/fs/cgroup/app/cpu.max", "many 0\n");
  put("/proc/self/status", "Cpus_allowed_list:\t5-2\n");
  EXPECT_GE(read_cpu_budget(root_).n_threads, 1);
  EXPECT_THAT(read_cpu_budget(root_).reason, EndsWith("CPUs of the machine"));
}

TEST(CpuBudget, OfThisMachineIsPositive) {
  EXPECT_GE(read_cpu_budget().n_threads, 1);
  EXPECT_THAT(read_cpu_budget().reason, StartsWith(std::to_string(read_cpu_budget().n_threads)));
}

TEST_F(MemoryBudgetTest, IsWhatIsAvailableWithoutALimit) {
  use_version_2("/app");
  put("/sys/fs/cgroup/app/memory.max", "max\n");
  const auto budget = read_memory_budget(root_);
  EXPECT_EQ(budget.size_bytes, 8ull << 30);
  EXPECT_EQ(budget.reason, "8.0 GiB: MemAvailable");
}

TEST_F(MemoryBudgetTest, IsTheLimitLessWhatTheGroupUses) {
  use_version_2("/app");
  put("/sys/fs/cgroup/app/memory.max", "2147483648\n");
  put("/sys/fs/cgroup/app/memory.current", "536870912\n");
  const auto budget = read_memory_budget(root_);
  EXPECT_EQ(budget.size_bytes, 3ull << 29);
  EXPECT_EQ(budget.reason, "1.5 GiB: memory.max 2.0 GiB, 512.0 MiB in use");
}

TEST_F(MemoryBudgetTest, DoesNotCountPageCacheAsUsed) {
  use_version_2("/app");
  put("/sys/fs/cgroup/app/memory.max", "2147483648\n");
  put("/sys/fs/cgroup/app/memory.current", "1610612736\n");
  put("/sys/fs/cgroup/app/memory.stat",
      "anon 536870912\ninactive_file 1000000000\nactive_file 73741824\n");
  EXPECT_EQ(read_memory_budget(root_).size_bytes, 3ull << 29);
}

TEST_F(MemoryBudgetTest, TakesTheTightestGroupUpToTheRoot) {
  use_version_2("/slice/app");
  put("/sys/fs/cgroup/slice/app/memory.max", "4294967296\n");
  put("/sys/fs/cgroup/slice/memory.max", "3221225472\n");
  put("/sys/fs/cgroup/slice/memory.current", "2147483648\n");
  EXPECT_EQ(read_memory_budget(root_).size_bytes, 1ull << 30);
}

TEST_F(MemoryBudgetTest, ReadsVersion1Limits) {
  use_version_1("/app");
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("/sys/fs/cgroup/memory/app/memory.limit_in_bytes", "1073741824\n");
  put("/sys/fs/cgroup/memory/app/memory.usage_in_bytes", "805306368\n");
  put("/sys/fs/cgroup/memory/app/memory.stat", "total_inactive_file 268435456\n");
  EXPECT_EQ(read_memory_budget(root_).size_bytes, 1ull << 29);
}

TEST_F(MemoryBudgetTest, IsNothingWhenTheLimitIsUsedUp) {
  use_version_2("/app");
  put("/sys/fs/cgroup/app/memory.max", "1000\n");
  put("/sys/fs/cgroup/app/memory.current", "2000\n");
  EXPECT_EQ(read_memory_budget(root_).size_bytes, 0u);
}

TEST(MemoryBudget, OfThisMachineIsPositive) {
  EXPECT_GT(read_memory_budget().size_bytes, 1u << 20);
}

struct SizeCase {
  const char* text;
  std::uint64_t size_bytes;
};

constexpr SizeCase kSizes[] = {
    {"12G", 12ull << 30},   {"800M", 800ull << 20}, {"4096", 4096}, {"4k", 4096},
    {"1.5GiB", 3ull << 29}, {"2TB", 2ull << 40},    {"7b", 7},      {"0", 0},
    {"0.5m", 1ull << 19},
};

TEST(ParseSize, ReadsNumbersWithUnits) {
  for (const auto& c : kSizes) {
    const auto size = parse_size(c.text);
    ASSERT_TRUE(size.ok()) << c.text;
    EXPECT_EQ(*size, c.size_bytes) << c.text;
  }
}

TEST(ParseSize, RefusesEverythingElse) {
  for (const char* text : {"", "G", "-1G", "-0", "1e3", "12X", "12 G", "12GG", "inf", "nan", "1iB",
                           "99999999999G", "0x10"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_EQ(size.error().code, Code::InvalidArgument);
  }
}

TEST(FormatSize, RoundsToOneDigit) {
  EXPECT_EQ(format_size(17), "17 bytes");
  EXPECT_EQ(format_size(1536), "1.5 KiB");
  EXPECT_EQ(format_size(12ull << 30), "12.0 GiB");
  EXPECT_EQ(format_size(5000ull << 40), "5000.0 TiB");
}

}  // namespace
}  // namespace fourfold
