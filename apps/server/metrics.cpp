#include "server/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include <unistd.h>

namespace fourfold {
namespace {

// The bounds of vLLM, and below them those that a CPU with a small model needs.
const std::vector<double> kRequestSeconds = {0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1,    1.5,
                                             2,    2.5, 5,   10,  15,  20,  30,   40,
                                             50,   60,  120, 240, 480, 960, 1920, 7680};
const std::vector<double> kFirstTokenSeconds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08,
                                                0.1,   0.25,  0.5,  0.75, 1,    2.5,  5,
                                                7.5,   10,    20,   40,   80,   160,  640};
const std::vector<double> kTokenSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                           0.15,  0.2,    0.3,   0.4,  0.5,   0.75, 1,     2.5,
                                           5,     7.5,    10,    20,   40,    80};
const std::vector<double> kTokens = {1,   2,    5,    10,   20,    50,    100,   200,
                                     500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

std::string escaped(std::string_view value) {
  std::string result;
  for (const char c : value) {
    if (c == '\\' || c == '"') result += '\\';
    if (c == '\n') {
      result += "\\n";
    } else {
      result += c;
    }
  }
  return result;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  constexpr double kExact = 9007199254740992.0;  // integers up to here are written as such
  if (value == std::floor(value) && std::abs(value) < kExact) return fmt::format("{:.0f}", value);
  return fmt::format("{}", value);
}

double ratio(double part, double whole) { return whole > 0.0 ? part / whole : 0.0; }

// Resident memory of this process.
double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  if (!(file >> size >> resident)) return 0.0;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// A figure of a loaded model under its names in the families; empty: not in that family.
struct ModelFigure {
  std::string_view own, vllm, type, help;
  double (*value)(const SchedulerStats& stats);
};
constexpr ModelFigure kModelFigures[] = {
    {"prompt_tokens_total", "prompt_tokens_total", "counter", "Prompt tokens computed.",
     [](const SchedulerStats& s) { return static_cast<double>(s.prompt_tokens); }},
    {"prompt_seconds_total", "", "counter", "Time spent on prompts.",
     [](const SchedulerStats& s) { return s.prompt_seconds; }},
    {"generation_tokens_total", "generation_tokens_total", "counter", "Tokens generated.",
     [](const SchedulerStats& s) { return static_cast<double>(s.generated_tokens); }},
    {"generation_seconds_total", "", "counter", "Time spent on generating.",
     [](const SchedulerStats& s) { return s.generation_seconds; }},
    {"requests_running", "num_requests_running", "gauge", "Sequences that run.",
     [](const SchedulerStats& s) { return static_cast<double>(s.n_running); }},
    {"requests_waiting", "num_requests_waiting", "gauge", "Sequences that wait, paused ones too.",
     [](const SchedulerStats& s) { return static_cast<double>(s.n_waiting + s.n_paused); }},
    {"kv_cache_usage_ratio", "kv_cache_usage_perc", "gauge", "Share of the K/V memory in use.",
     [](const SchedulerStats& s) {
       return ratio(static_cast<double>(s.kv_bytes), static_cast<double>(s.kv_budget_bytes));
     }},
    {"kv_cache_bytes", "", "gauge", "K/V memory in use.",
     [](const SchedulerStats& s) { return static_cast<double>(s.kv_bytes); }},
    {"prefix_cache_lookup_tokens_total", "prefix_cache_queries_total", "counter",
     "Prompt tokens looked up in the prefix cache.",
     [](const SchedulerStats& s) { return static_cast<double>(s.lookup_tokens); }},
    {"prefix_cache_hit_tokens_total", "prefix_cache_hits_total", "counter",
     "Prompt tokens found in the prefix cache.",
     [](const SchedulerStats& s) { return static_cast<double>(s.hit_tokens); }},
    {"sessions_spilled_bytes", "", "gauge", "Cached prefixes on disk.",
     [](const SchedulerStats& s) { return static_cast<double>(s.store.size_bytes); }},
    {"sessions_rejected_total", "", "counter", "Files of cached prefixes that were of no use.",
     [](const SchedulerStats& s) { return static_cast<double>(s.store.n_rejected); }},
    {"preemptions_total", "num_preemptions_total", "counter", "Sequences paused for memory.",
     [](const SchedulerStats& s) { return static_cast<double>(s.n_preemptions); }},
    {"decode_steps_total", "", "counter", "Steps with at least one generated token.",
     [](const SchedulerStats& s) { return static_cast<double>(s.n_decode_steps); }},
    {"decode_rows_per_step", "", "gauge", "Sequences that a decode step serves on average.",
     [](const SchedulerStats& s) {
       return ratio(static_cast<double>(s.n_decode_rows), static_cast<double>(s.n_decode_steps));
     }},
    {"longest_sequence_tokens", "", "gauge", "The longest sequence so far.",
     [](const SchedulerStats& s) { return static_cast<double>(s.longest_sequence); }},
};

// llama.cpp's server has one model: the figures of all of ours together.
SchedulerStats sum_of(const std::vector<LoadedModel>& models) {
  SchedulerStats sum;
  for (const auto& model : models) {
    const SchedulerStats& s = model.stats;
    sum.n_running += s.n_running;
    sum.n_waiting += s.n_waiting + s.n_paused;
    sum.prompt_tokens += s.prompt_tokens;
    sum.generated_tokens += s.generated_tokens;
    sum.prompt_seconds += s.prompt_seconds;
    sum.generation_seconds += s.generation_seconds;
    sum.n_decode_steps += s.n_decode_steps;
    sum.n_decode_rows += s.n_decode_rows;
    sum.longest_sequence = std::max(sum.longest_sequence, s.longest_sequence);
  }
  return sum;
}

void write_llamacpp(Exposition& out, const std::vector<LoadedModel>& models) {
  const SchedulerStats s = sum_of(models);
  const auto one = [&](std::string_view name, std::string_view type, std::string_view help,
                       double value) {
    out.family(fmt::format("llamacpp:{}", name), type, help);
    out.sample({}, value);
  };
  const auto n_prompt = static_cast<double>(s.prompt_tokens);
  const auto n_generated = static_cast<double>(s.generated_tokens);
  const auto n_steps = static_cast<double>(s.n_decode_steps);
  one("prompt_tokens_total", "counter", "Prompt tokens computed.", n_prompt);
  one("prompt_seconds_total", "counter", "Time spent on prompts.", s.prompt_seconds);
  one("prompt_tokens_seconds", "gauge", "Prompt tokens a second.",
      ratio(n_prompt, s.prompt_seconds));
  one("tokens_predicted_total", "counter", "Tokens generated.", n_generated);
  one("tokens_predicted_seconds_total", "counter", "Time spent on generating.",
      s.generation_seconds);
  one("predicted_tokens_seconds", "gauge", "Tokens generated a second.",
      ratio(n_generated, s.generation_seconds));
  one("requests_processing", "gauge", "Sequences that run.", s.n_running);
  one("requests_deferred", "gauge", "Sequences that wait.", s.n_waiting);
  one("n_tokens_max", "counter", "The longest sequence so far.",
      static_cast<double>(s.longest_sequence));
  one("n_decode_total", "counter", "Decode steps.", n_steps);
  one("n_busy_slots_per_decode", "gauge", "Sequences that a decode step serves on average.",
      ratio(static_cast<double>(s.n_decode_rows), n_steps));
}

std::string vllm_reason(const std::string& finish) {
  if (finish == "length" || finish == "abort") return finish;
  return finish == "error" ? "error" : "stop";
}

}  // namespace

// --- Histogram ---

void Histogram::add(double value) {
  const auto bound = std::ranges::lower_bound(bounds_, value);
  if (bound != bounds_.end()) counts_[static_cast<std::size_t>(bound - bounds_.begin())] += 1;
  count_ += 1;
  sum_ += value;
}

std::uint64_t Histogram::count_at(std::size_t bound) const {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i <= bound; ++i) count += counts_[i];
  return count;
}

// --- Exposition ---

void Exposition::family(std::string_view name, std::string_view type, std::string_view help) {
  family_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void Exposition::sample(const Labels& labels, double value, std::string_view suffix) {
  text_ += family_;
  text_ += suffix;
  if (!labels.empty()) {
    std::string_view separator = "{";
    for (const auto& [label, text] : labels) {
      text_ += fmt::format("{}{}=\"{}\"", separator, label, escaped(text));
      separator = ",";
    }
    text_ += '}';
  }
  text_ += fmt::format(" {}\n", number(value));
}

void Exposition::histogram(const Labels& labels, const Histogram& histogram) {
  const auto bucket = [&](std::string bound, std::uint64_t count) {
    Labels with_bound = labels;
    with_bound.emplace_back("le", std::move(bound));
    sample(with_bound, static_cast<double>(count), "_bucket");
  };
  for (std::size_t i = 0; i < histogram.bounds().size(); ++i) {
    bucket(number(histogram.bounds()[i]), histogram.count_at(i));
  }
  bucket("+Inf", histogram.count());
  sample(labels, histogram.sum(), "_sum");
  sample(labels, static_cast<double>(histogram.count()), "_count");
}

// --- Metrics ---

Metrics::OfModel::OfModel()
    : first_token(kFirstTokenSeconds),
      between_tokens(kTokenSeconds),
      request(kRequestSeconds),
      queue(kRequestSeconds),
      prefill(kRequestSeconds),
      decode(kRequestSeconds),
      inference(kRequestSeconds),
      prompt_tokens(kTokens),
      generation_tokens(kTokens) {}

void Metrics::add(const CallRecord& record, Dialect dialect, double seconds) {
  const std::lock_guard lock(mutex_);
  requests_[{std::string(name(dialect)), record.status, record.finish}] += 1;
  // Only answers of a model have times of their own.
  if (record.model.empty() || record.finish.empty()) return;
  OfModel& model = by_model_[record.model];
  model.by_finish[record.finish] += 1;
  model.request.add(seconds);
  model.n_thought_tokens += static_cast<std::uint64_t>(record.thought_tokens);
  model.n_tool_calls += static_cast<std::uint64_t>(record.n_tool_calls);
  if (record.completion_tokens <= 0) return;
  model.queue.add(record.queue_ms / 1e3);
  model.prefill.add(record.prefill_ms / 1e3);
  model.decode.add(record.decode_ms / 1e3);
  model.inference.add((record.prefill_ms + record.decode_ms) / 1e3);
  if (record.first_token_ms > 0.0) model.first_token.add(record.first_token_ms / 1e3);
  for (const double gap_ms : record.token_gaps_ms) model.between_tokens.add(gap_ms / 1e3);
  model.prompt_tokens.add(static_cast<double>(record.prompt_tokens));
  model.generation_tokens.add(static_cast<double>(record.completion_tokens));
}

void Metrics::write_own(Exposition& out, const std::vector<LoadedModel>& models) const {
  for (const ModelFigure& figure : kModelFigures) {
    out.family(fmt::format("fourfold_{}", figure.own), figure.type, figure.help);
    for (const auto& model : models) {
      out.sample({{"model", model.facts.id}}, figure.value(model.stats));
    }
  }
  const auto histogram = [&](std::string_view name, std::string_view help,
                             Histogram OfModel::*member) {
    out.family(fmt::format("fourfold_{}", name), "histogram", help);
    for (const auto& [id, model] : by_model_) out.histogram({{"model", id}}, model.*member);
  };
  histogram("time_to_first_token_seconds", "From the request to its first token.",
            &OfModel::first_token);
  histogram("inter_token_seconds", "Between two tokens of a request.", &OfModel::between_tokens);
  histogram("request_seconds", "From the request to its end.", &OfModel::request);
  histogram("queue_seconds", "Waiting for a place.", &OfModel::queue);
  histogram("prefill_seconds", "Computing the prompt.", &OfModel::prefill);
  histogram("decode_seconds", "Generating.", &OfModel::decode);
  const auto counter = [&](std::string_view name, std::string_view help,
                           std::uint64_t OfModel::*member) {
    out.family(fmt::format("fourfold_{}", name), "counter", help);
    for (const auto& [id, model] : by_model_) {
      out.sample({{"model", id}}, static_cast<double>(model.*member));
    }
  };
  counter("thought_tokens_total", "Tokens of thoughts.", &OfModel::n_thought_tokens);
  out.family("fourfold_tool_calls_total", "counter", "Tool calls by how they were read.");
  for (const auto& [id, model] : by_model_) {
    out.sample({{"model", id}, {"outcome", "parsed"}}, static_cast<double>(model.n_tool_calls));
  }
}

void Metrics::write_requests(Exposition& out) const {
  out.family("fourfold_requests_total", "counter", "Requests that have ended.");
  for (const auto& [key, count] : requests_) {
    const auto& [dialect, status, finish] = key;
    out.sample({{"dialect", dialect}, {"status", std::to_string(status)}, {"reason", finish}},
               static_cast<double>(count));
  }
}

void Metrics::write_vllm(Exposition& out, const std::vector<LoadedModel>& models) const {
  const auto labels = [](const std::string& id) {
    return Exposition::Labels{{"model_name", id}, {"engine", "0"}};
  };
  for (const ModelFigure& figure : kModelFigures) {
    if (figure.vllm.empty()) continue;
    out.family(fmt::format("vllm:{}", figure.vllm), figure.type, figure.help);
    for (const auto& model : models) out.sample(labels(model.facts.id), figure.value(model.stats));
  }
  out.family("vllm:request_success_total", "counter", "Answers that have ended.");
  for (const auto& [id, model] : by_model_) {
    std::map<std::string, std::uint64_t> by_reason;
    for (const auto& [finish, count] : model.by_finish) by_reason[vllm_reason(finish)] += count;
    for (const auto& [reason, count] : by_reason) {
      auto with_reason = labels(id);
      with_reason.emplace_back("finished_reason", reason);
      out.sample(with_reason, static_cast<double>(count));
    }
  }
  const auto histogram = [&](std::string_view name, std::string_view help,
                             Histogram OfModel::*member) {
    out.family(fmt::format("vllm:{}", name), "histogram", help);
    for (const auto& [id, model] : by_model_) out.histogram(labels(id), model.*member);
  };
  histogram("time_to_first_token_seconds", "From the request to its first token.",
            &OfModel::first_token);
  histogram("inter_token_latency_seconds", "Between two tokens.", &OfModel::between_tokens);
  histogram("time_per_output_token_seconds", "Between two tokens.", &OfModel::between_tokens);
  histogram("e2e_request_latency_seconds", "From the request to its end.", &OfModel::request);
  histogram("request_queue_time_seconds", "Waiting for a place.", &OfModel::queue);
  histogram("request_prefill_time_seconds", "Computing the prompt.", &OfModel::prefill);
  histogram("request_decode_time_seconds", "Generating.", &OfModel::decode);
  histogram("request_inference_time_seconds", "Prompt and generating.", &OfModel::inference);
  histogram("request_prompt_tokens", "Tokens of a prompt.", &OfModel::prompt_tokens);
  histogram("request_generation_tokens", "Tokens of an answer.", &OfModel::generation_tokens);
}

std::string Metrics::text(const std::vector<LoadedModel>& models, const HttpCounts& http,
                          const std::vector<MetricsAlias>& aliases) const {
  const std::lock_guard lock(mutex_);
  Exposition out;
  write_own(out, models);
  write_requests(out);
  const auto one = [&](std::string_view name, std::string_view type, std::string_view help,
                       double value) {
    out.family(name, type, help);
    out.sample({}, value);
  };
  one("fourfold_resident_bytes", "gauge", "Memory of this process.", resident_bytes());
  one("fourfold_http_connections", "gauge", "Open connections.",
      static_cast<double>(http.connections));
  one("fourfold_http_handlers", "gauge", "Requests at work.", static_cast<double>(http.handlers));
  one("fourfold_http_refused_connections_total", "counter", "Connections beyond the limit.",
      static_cast<double>(http.refused_connections));
  one("fourfold_http_timed_out_heads_total", "counter", "Requests whose head came too slowly.",
      static_cast<double>(http.timed_out_heads));
  for (const MetricsAlias alias : aliases) {
    if (alias == MetricsAlias::LlamaCpp) write_llamacpp(out, models);
    if (alias == MetricsAlias::Vllm) write_vllm(out, models);
  }
  return out.take();
}

}  // namespace fourfold
