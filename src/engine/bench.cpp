#include "engine/bench.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <set>

#include "base/check.h"
#include "base/random.h"
#include "engine/workload.h"
#include "kernels/dispatch.h"

namespace fourfold {
namespace {

constexpr int kDefaultDepths[] = {0, 4096, 16'384};

// Wall and processor time since it was made.
class Stopwatch {
 public:
  double wall_s() const { return std::chrono::duration<double>(Clock::now() - wall_).count(); }
  double cpu_s() const { return process_cpu_s() - cpu_; }

 private:
  using Clock = std::chrono::steady_clock;

  static double process_cpu_s() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  Clock::time_point wall_ = Clock::now();
  double cpu_ = process_cpu_s();
};

// The value behind "key:" in a file of /proc; empty when there is none.
std::string proc_value(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (!line.starts_with(key) || colon == std::string::npos) continue;
    const auto value = line.find_first_not_of(" \t", colon + 1);
    return value == std::string::npos ? std::string() : line.substr(value);
  }
  return {};
}

// "VmHWM: 123 kB" in bytes.
std::uint64_t status_bytes(std::string_view key) {
  return std::strtoull(proc_value("/proc/self/status", key).c_str(), nullptr, 10) * 1024;
}

// The peak counts from now on.
void forget_peak_rss() {
  if (std::FILE* file = std::fopen("/proc/self/clear_refs", "we")) {
    std::fputs("5", file);
    std::fclose(file);
  }
}

std::vector<int> unique_descending(const std::vector<int>& values) {
  const std::set<int, std::greater<>> set(values.begin(), values.end());
  return {set.begin(), set.end()};
}

int largest_of(const std::vector<int>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

std::string dominant_type(const Checkpoint& checkpoint) {
  std::map<DType, std::uint64_t> bytes;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    // The per-layer table and the embedding are of another type in many files.
    if (tensor.name.find("token_embd") != std::string::npos) continue;
    if (tensor.name.find("embed_tokens") != std::string::npos) continue;
    bytes[tensor.dtype] += tensor.size_bytes;
  }
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::string text(most == bytes.end() ? "" : name(most->first));
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string kv_text(const KvPlan& plan) {
  std::string_view ring, global;
  for (const KvLayerPlan& layer : plan.layers) {
    if (layer.owns) (layer.ring ? ring : global) = name(layer.layout.type);
  }
  if (ring.empty() || global.empty() || ring == global) {
    return std::string(ring.empty() ? global : ring);
  }
  return fmt::format("{},{}", ring, global);
}

struct RowPlan {
  BenchKind kind;
  int n;
  int depth;
  int batch;
};

// What all rows share, whatever the number of threads.
class Bench {
 public:
  Bench(const std::string& path, const BenchOptions& options, const BenchProgress& progress)
      : path_(path), options_(options), progress_(progress) {}

  Result<BenchReport> run() {
    TRY(settle_options());
    report_.machine =
        TRY(measure_machine(options_.engine.force_isa, options_.threads, options_.machine));
    if (progress_.on_machine) progress_.on_machine(report_.machine);
    forget_peak_rss();
    // Most threads first: they fill the caches that the others start from, which hold the same
    // bits.
    for (const int n_threads : options_.threads) TRY(run_threads(n_threads));
    report_.peak_rss_bytes = status_bytes("VmHWM");
    return std::move(report_);
  }

 private:
  Status settle_options() {
    const auto checkpoint = TRY(Checkpoint::open(path_));
    const auto config = TRY(load_model_config(checkpoint));
    report_.body = config.body;
    report_.quant = dominant_type(checkpoint);
    const int longest = std::max(largest_of(options_.prefill), largest_of(options_.decode));
    const std::int64_t max_context = config.text.max_context;
    if (options_.depths.empty()) {
      for (const int depth : kDefaultDepths) {
        if (depth + longest <= max_context) options_.depths.push_back(depth);
      }
    }
    const std::int64_t context = std::int64_t{largest_of(options_.depths)} + longest;
    if (options_.engine.context > 0 && options_.engine.context < context) {
      return invalid_argument("depth {} and {} tokens: a context of {} was asked for",
                              largest_of(options_.depths), longest, options_.engine.context);
    }
    options_.engine.context = std::max(options_.engine.context, context);
    if (options_.threads.empty()) options_.threads = {read_cpu_budget().n_threads};
    options_.threads = unique_descending(options_.threads);
    plan_rows();
    return {};
  }

  void plan_rows() {
    const auto add = [&](BenchKind kind, const std::vector<int>& lengths) {
      for (const int batch : options_.batches) {
        for (const int depth : options_.depths) {
          for (const int n : lengths) {
            if (n > 0) rows_.push_back({kind, n, depth, batch});
          }
        }
      }
    };
    add(BenchKind::Prefill, options_.prefill);
    add(BenchKind::Decode, options_.decode);
  }

  Status run_threads(int n_threads) {
    EngineOptions engine_options = options_.engine;
    engine_options.n_threads = n_threads;
    engine_.reset();  // two would need the memory of two
    engine_ = TRY(Engine::open(path_, engine_options));
    TRY(check_memory());
    if (report_.rows.empty()) {
      report_.load_ms = engine_->load_ms();
      report_.kv = kv_text(engine_->kv_plan());
    }
    report_.packed = engine_->finish_packing();  // by the last engine
    for (const RowPlan& plan : rows_) {
      report_.rows.push_back(TRY(measure(plan)));
      if (progress_.on_row) progress_.on_row(report_.rows.back());
    }
    return {};
  }

  // The engine has asked for one sequence.
  Status check_memory() const {
    const auto one = static_cast<std::uint64_t>(engine_->kv_plan().bytes(engine_->context()));
    const std::uint64_t more = one * static_cast<std::uint64_t>(largest_of(options_.batches) - 1);
    const MemoryBudget budget = read_memory_budget();
    if (more <= budget.size_bytes) return {};
    return resource_exhausted("batch {}: its K/V needs {} more, the memory budget is {} ({})",
                              largest_of(options_.batches), format_size(more),
                              format_size(budget.size_bytes), budget.reason);
  }

  std::vector<TokenId> random_ids(std::int64_t n) const {
    std::vector<TokenId> ids(static_cast<std::size_t>(n));
    const double V = engine_->config().text.vocab_size;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ids[i] = static_cast<TokenId>(V * uniform(/*seed=*/0, i));
    }
    return ids;
  }

  // A cache that holds `depth` tokens; the longest one so far is the start of longer ones.
  Result<KvCache> filled_cache(int depth) {
    if (const auto found = filled_.find(depth); found != filled_.end()) return found->second.fork();
    const auto longer = filled_.lower_bound(depth);
    KvCache cache =
        longer == filled_.begin() ? engine_->new_cache() : std::prev(longer)->second.fork();
    const auto ids = random_ids(depth);
    const auto rest = std::span(ids).subspan(static_cast<std::size_t>(cache.length()));
    const FeedInput input{
        .cache = &cache, .ids = rest, .wanted = {}, .embed_rows = {}, .blocks = {}};
    TRY(engine_->feed({&input, 1}, {.chunk = engine_->chunk(), .progress = {}},
                      [](int, std::int64_t, MatView) { return Status(); }));
    return filled_.emplace(depth, std::move(cache)).first->second.fork();
  }

  Result<BenchRow> measure(const RowPlan& plan) {
    BenchRow row{.kind = plan.kind,
                 .n = plan.n,
                 .depth = plan.depth,
                 .batch = plan.batch,
                 .threads = engine_->n_threads(),
                 .all_positions = options_.all_positions && plan.kind == BenchKind::Prefill};
    const KvCache start = TRY(filled_cache(plan.depth));
    double wall_s = 0.0, cpu_s = 0.0;
    OpTimes times;
    for (int rep = -1; rep < options_.n_reps; ++rep) {  // the first one warms up
      std::vector<KvCache> caches(static_cast<std::size_t>(plan.batch), start);
      engine_->ops().set_times(options_.explain && rep >= 0 ? &times : nullptr);
      const Stopwatch watch;
      const Status done =
          plan.kind == BenchKind::Prefill ? prefill(row, caches) : decode(row, caches);
      const double seconds = watch.wall_s();
      const double cpu = watch.cpu_s();
      engine_->ops().set_times(nullptr);
      TRY(done);
      report_.peak_anon_bytes = std::max(report_.peak_anon_bytes, status_bytes("RssAnon"));
      if (rep < 0) continue;
      row.tok_s.push_back(plan.n * plan.batch / seconds);
      wall_s += seconds;
      cpu_s += cpu;
    }
    row.cpu_over_wall = cpu_s / wall_s;
    summarise(row);
    if (options_.explain) {
      row.ops = list_ops(times, engine_->decoder().model(), engine_->options().exact,
                         report_.machine.at(row.threads), options_.n_reps, wall_s);
      row.explanation = explain(row.ops, name(row.kind));
    }
    return row;
  }

  void summarise(BenchRow& row) const {
    row.median = median_of(row.tok_s);
    row.min = *std::min_element(row.tok_s.begin(), row.tok_s.end());
    row.max = *std::max_element(row.tok_s.begin(), row.tok_s.end());
    const Workload workload(engine_->decoder().model(), engine_->kv_plan(),
                            engine_->options().exact);
    const StepShape shape{.n_rows = row.n,
                          .position = row.depth,
                          .n_wanted = row.all_positions ? row.n : 1,
                          .batch = row.batch};
    const Work work = row.kind == BenchKind::Prefill ? workload.prefill(shape, engine_->chunk())
                                                     : workload.decode(shape);
    const double seconds = row.n * row.batch / row.median;
    row.gb_s = 1e-9 * work.bytes / seconds;
    row.gmac_s = 1e-9 * work.macs() / seconds;
    row.of_limit = work.seconds_at(report_.machine.at(row.threads)) / seconds;
  }

  // Prompts of row.n tokens, the logits of each one's last token.
  Status prefill(const BenchRow& row, std::vector<KvCache>& caches) {
    const auto ids = random_ids(row.n);
    std::vector<std::int32_t> wanted;
    for (int r = row.all_positions ? 0 : row.n - 1; r < row.n; ++r) wanted.push_back(r);
    std::vector<FeedInput> inputs;
    for (KvCache& cache : caches) {
      inputs.push_back(
          {.cache = &cache, .ids = ids, .wanted = wanted, .embed_rows = {}, .blocks = {}});
    }
    const auto n_wanted = static_cast<std::int64_t>(wanted.size());
    return engine_->feed(inputs, {.chunk = engine_->chunk(), .progress = {}},
                         [&](int, std::int64_t first, MatView hidden) -> Status {
                           if (first + hidden.n_rows == n_wanted) {
                             logits(hidden.rows(hidden.n_rows - 1, 1));
                           }
                           return {};
                         });
  }

  // row.n steps of one token a sequence, the logits of all sequences together.
  Status decode(const BenchRow& row, std::vector<KvCache>& caches) {
    const auto ids = random_ids(std::int64_t{row.n} * row.batch);
    for (int step = 0; step < row.n; ++step) {
      const auto first = static_cast<std::size_t>(step * row.batch);
      TRY(decode_step(std::span(ids).subspan(first, caches.size()), caches));
    }
    return {};
  }

  Status decode_step(std::span<const TokenId> ids, std::vector<KvCache>& caches) {
    static constexpr std::int32_t kOnlyRow = 0;
    segments_.clear();
    for (std::size_t i = 0; i < caches.size(); ++i) {
      TRY(caches[i].make_room(1));
      segments_.push_back({.ids = ids.subspan(i, 1),
                           .position = caches[i].length(),
                           .kv = caches[i].views(),
                           .embed_rows = {},
                           .blocks = {},
                           .wanted = {&kOnlyRow, 1}});
    }
    const MatView hidden = TRY(engine_->decoder().forward(segments_));
    for (KvCache& cache : caches) cache.advance(1);
    logits(hidden);
    return {};
  }

  void logits(MatView hidden) {
    const std::int64_t V = engine_->config().text.vocab_size;
    const auto n = static_cast<std::size_t>(hidden.n_rows * V);
    if (logits_.size() < n) logits_.resize(n);
    engine_->decoder().logits(hidden, {logits_.data(), hidden.n_rows, V, V});
  }

  const std::string& path_;
  BenchOptions options_;
  const BenchProgress& progress_;
  BenchReport report_;
  std::vector<RowPlan> rows_;
  std::unique_ptr<Engine> engine_;  // of the threads being measured
  std::map<int, KvCache> filled_;   // by depth
  std::vector<BatchSegment> segments_;
  std::vector<float> logits_;
};

}  // namespace

std::string_view name(BenchKind kind) { return kind == BenchKind::Prefill ? "prefill" : "decode"; }

const MachineLimits& MachineReport::at(int n_threads) const {
  const auto found = std::find_if(per_thread.begin(), per_thread.end(), [&](const auto& limits) {
    return limits.n_threads == n_threads;
  });
  CHECK(found != per_thread.end());
  return *found;
}

Result<MachineReport> measure_machine(const std::string& force_isa, const std::vector<int>& threads,
                                      const MachineBenchOptions& options) {
  const Kernels* kernels = TRY(choose_kernels(force_isa));
  MachineReport report{.cpu = proc_value("/proc/cpuinfo", "model name"),
                       .cpu_budget = read_cpu_budget().n_threads,
                       .isa = kernels->name};
  std::set<int> counts(threads.begin(), threads.end());
  counts.insert({1, report.cpu_budget});
  for (const int n_threads : counts) {
    report.per_thread.push_back(TRY(measure_machine(*kernels, n_threads, options)));
  }
  return report;
}

Result<BenchReport> run_bench(const std::string& model_path, BenchOptions options,
                              const BenchProgress& progress) {
  return Bench(model_path, options, progress).run();
}

}  // namespace fourfold
