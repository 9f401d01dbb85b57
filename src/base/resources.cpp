#include "base/resources.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

namespace fourfold {
namespace {

std::optional<std::string> read_small_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The lines of a file; none if it is absent.
std::vector<std::string> read_lines(const std::string& path) {
  std::vector<std::string> lines;
  std::istringstream text(read_small_file(path).value_or(""));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> split_words(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream text(line);
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

// True if `item` is one of "a,b,c".
bool list_contains(std::string_view list, std::string_view item) {
  while (true) {
    const auto comma = list.find(',');
    if (list.substr(0, comma) == item) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The number that is the first word of a file; "max" and "-1" are none.
std::optional<std::uint64_t> read_number(const std::string& path) {
  const auto words = split_words(read_small_file(path).value_or(""));
  return words.empty() ? std::nullopt : parse_number(words[0]);
}

// The number behind a key in a file of lines "key number" or "key: number unit".
std::optional<std::uint64_t> read_keyed_number(const std::string& path, std::string_view key) {
  for (const auto& line : read_lines(path)) {
    const auto words = split_words(line);
    if (words.size() < 2) continue;
    std::string_view name = words[0];
    if (name.ends_with(':')) name.remove_suffix(1);
    if (name == key) return parse_number(words[1]);
  }
  return std::nullopt;
}

// --- cgroups ---

// Where one hierarchy is mounted, and which of its folders lies there.
struct Mount {
  std::string folder;
  std::string point;
};

// `controller` is empty for version 2.
std::optional<Mount> find_cgroup_mount(const std::string& root, std::string_view controller) {
  for (const auto& line : read_lines(root + "/proc/self/mountinfo")) {
    // 36 35 98:0 FOLDER POINT options … - TYPE source SUPER_OPTIONS
    const auto words = split_words(line);
    const auto dash = std::ranges::find(words, "-");
    if (words.size() < 5 || words.end() - dash < 4) continue;
    const bool matches = controller.empty()
                             ? dash[1] == "cgroup2"
                             : dash[1] == "cgroup" && list_contains(dash[3], controller);
    if (matches) return Mount{words[3], words[4]};
  }
  return std::nullopt;
}

// The process's group in one hierarchy, from /proc/self/cgroup lines "7:cpu,cpuacct:/path".
std::optional<std::string> find_cgroup_path(const std::string& root, std::string_view controller) {
  for (const auto& line : read_lines(root + "/proc/self/cgroup")) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view controllers(line.data() + first + 1, second - first - 1);
    const bool matches =
        controller.empty() ? controllers.empty() : list_contains(controllers, controller);
    if (matches) return line.substr(second + 1);
  }
  return std::nullopt;
}

// The folders of the process's group and of its parents, up to the mount point. Limits of every
// one of them hold.
std::vector<std::string> cgroup_folders(const std::string& root, std::string_view controller) {
  const auto mount = find_cgroup_mount(root, controller);
  const auto path = find_cgroup_path(root, controller);
  if (!mount || !path) return {};
  // A container may see only its own part of the tree, mounted as if it were the root.
  const std::string prefix = mount->folder == "/" ? "" : mount->folder;
  std::string below;
  if (path->starts_with(prefix + "/")) below = path->substr(prefix.size());

  std::vector<std::string> folders;
  while (!below.empty()) {
    if (below != "/") folders.push_back(root + mount->point + below);
    below.resize(below.rfind('/'));
  }
  folders.push_back(root + mount->point);
  return folders;
}

// --- CPUs ---

struct Quota {
  double cpus = std::numeric_limits<double>::infinity();
  std::string reason;
};

// What one group may use: version 2 "cpu.max", version 1 "cpu.cfs_quota_us".
std::optional<Quota> read_quota_v2(const std::string& folder) {
  const auto words = split_words(read_small_file(folder + "/cpu.max").value_or(""));
  if (words.size() != 2) return std::nullopt;
  const auto quota = parse_number(words[0]);
  const auto period = parse_number(words[1]);
  if (!quota || !period || *period == 0) return std::nullopt;
  return Quota{static_cast<double>(*quota) / static_cast<double>(*period),
               fmt::format("cpu.max {} {}", *quota, *period)};
}

std::optional<Quota> read_quota_v1(const std::string& folder) {
  const auto quota = read_number(folder + "/cpu.cfs_quota_us");
  const auto period = read_number(folder + "/cpu.cfs_period_us");
  if (!quota || !period || *period == 0) return std::nullopt;
  return Quota{static_cast<double>(*quota) / static_cast<double>(*period),
               fmt::format("cpu.cfs_quota_us {}, cpu.cfs_period_us {}", *quota, *period)};
}

Quota smallest_quota(const std::string& root) {
  Quota smallest;
  const auto consider = [&smallest](const std::optional<Quota>& quota) {
    if (quota && quota->cpus < smallest.cpus) smallest = *quota;
  };
  for (const auto& folder : cgroup_folders(root, "")) consider(read_quota_v2(folder));
  for (const auto& folder : cgroup_folders(root, "cpu")) consider(read_quota_v1(folder));
  return smallest;
}

// Number of CPUs in a list such as "0-3,8"; 0 if it is not one.
int count_cpus(std::string_view list) {
  std::uint64_t n = 0;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    const auto range = list.substr(0, comma);
    const auto dash = range.find('-');
    const auto first = parse_number(range.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_number(range.substr(dash + 1));
    if (!first || !last || *last < *first) return 0;
    n += *last - *first + 1;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return static_cast<int>(n);
}

std::optional<std::string> read_affinity_list(const std::string& root) {
  for (const auto& line : read_lines(root + "/proc/self/status")) {
    const auto words = split_words(line);
    if (words.size() == 2 && words[0] == "Cpus_allowed_list:") return words[1];
  }
  return std::nullopt;
}

CpuBudget make_cpu_budget(int n_threads, std::string_view reason) {
  return {n_threads, fmt::format("{} thread{}: {}", n_threads, n_threads == 1 ? "" : "s", reason)};
}

// --- memory ---

// The files of a group's memory limits, which the two versions name differently.
struct MemoryFiles {
  const char* limit;
  const char* usage;
  const char* inactive_cache;  // keys of memory.stat
  const char* active_cache;
};
constexpr MemoryFiles kVersion2 = {"memory.max", "memory.current", "inactive_file", "active_file"};
constexpr MemoryFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                   "total_inactive_file", "total_active_file"};

// What one group may still take. Page cache counts as free: it is given back under pressure, and
// the files that we read are in the memory plan already.
std::optional<MemoryBudget> read_group_memory(const std::string& folder, const MemoryFiles& files) {
  constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;  // version 1 writes about 2^63
  const auto limit = read_number(folder + "/" + files.limit);
  if (!limit || *limit >= kNoLimit) return std::nullopt;
  const auto usage = read_number(folder + "/" + files.usage).value_or(0);
  const std::string stat = folder + "/memory.stat";
  const auto cache = read_keyed_number(stat, files.inactive_cache).value_or(0) +
                     read_keyed_number(stat, files.active_cache).value_or(0);
  const std::uint64_t in_use = usage - std::min(usage, cache);
  const std::uint64_t left = *limit - std::min(*limit, in_use);
  return MemoryBudget{left, fmt::format("{}: {} {}, {} in use", format_size(left), files.limit,
                                        format_size(*limit), format_size(in_use))};
}

// --- sizes ---

// "" and "B" are 0, "K", "KB" and "KiB" 1, and so on: the power of 1024.
std::optional<int> find_unit(std::string_view unit) {
  constexpr std::string_view kLetters = "kmgt";
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  int power = 0;
  if (!unit.empty()) {
    const auto letter = kLetters.find(lower(unit[0]));
    if (letter != kLetters.npos) {
      power = static_cast<int>(letter) + 1;
      unit.remove_prefix(1);
      if (unit.size() == 2 && lower(unit[0]) == 'i') unit.remove_prefix(1);
    }
  }
  const bool ends_well = unit.empty() || (unit.size() == 1 && lower(unit[0]) == 'b');
  return ends_well ? std::optional(power) : std::nullopt;
}

}  // namespace

CpuBudget read_cpu_budget(const std::string& root) {
  const Quota quota = smallest_quota(root);
  const auto affinity = read_affinity_list(root);
  int n_cpus = affinity ? count_cpus(*affinity) : 0;
  std::string reason = fmt::format("affinity mask {}", affinity.value_or(""));
  if (n_cpus == 0) {
    n_cpus = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    reason = "CPUs of the machine";
  }
  if (quota.cpus >= n_cpus) return make_cpu_budget(n_cpus, reason);
  // Rounded down: one spinning thread more than the quota pays for throttles all of them.
  return make_cpu_budget(std::max(1, static_cast<int>(quota.cpus)), quota.reason);
}

MemoryBudget read_memory_budget(const std::string& root) {
  MemoryBudget smallest{std::numeric_limits<std::uint64_t>::max(), "no limit known"};
  const auto consider = [&smallest](const std::optional<MemoryBudget>& budget) {
    if (budget && budget->size_bytes < smallest.size_bytes) smallest = *budget;
  };
  if (const auto kib = read_keyed_number(root + "/proc/meminfo", "MemAvailable")) {
    consider(MemoryBudget{*kib * 1024, fmt::format("{}: MemAvailable", format_size(*kib * 1024))});
  }
  for (const auto& folder : cgroup_folders(root, "")) {
    consider(read_group_memory(folder, kVersion2));
  }
  for (const auto& folder : cgroup_folders(root, "memory")) {
    consider(read_group_memory(folder, kVersion1));
  }
  return smallest;
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const Error bad =
      invalid_argument("size \"{}\": expected a number and K, M, G or T, like 12G", text);
  double number = 0.0;
  const char* const text_end = text.data() + text.size();
  const auto [number_end, error] =
      std::from_chars(text.data(), text_end, number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number) || std::signbit(number)) return bad;

  const auto power = find_unit({number_end, text_end});
  if (!power) return bad;
  const double size = std::ldexp(number, 10 * *power);
  if (size >= 0x1p63) return bad;
  return static_cast<std::uint64_t>(size);
}

std::string format_size(std::uint64_t size_bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (size_bytes < 1024) return fmt::format("{} bytes", size_bytes);
  double size = static_cast<double>(size_bytes) / 1024;
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < std::size(kUnits); ++unit) size /= 1024;
  return fmt::format("{:.1f} {}", size, kUnits[unit]);
}

}  // namespace fourfold
