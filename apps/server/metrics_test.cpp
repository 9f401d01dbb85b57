#include "server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

namespace fourfold {
namespace {

using testing::HasSubstr;

// Reads the text format and complains of whatever Prometheus would.
class Reader {
 public:
  explicit Reader(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) read(line);
  }

  const std::map<std::string, double>& samples() const { return samples_; }
  double operator[](const std::string& sample) const {
    const auto found = samples_.find(sample);
    return found == samples_.end() ? -1.0 : found->second;
  }

 private:
  void read(const std::string& line) {
    std::istringstream words(line);
    std::string hash, what, name, rest;
    if (line.starts_with("# ")) {
      words >> hash >> what >> name;
      std::getline(words, rest);
      if (what == "TYPE") {
        EXPECT_TRUE(families_.insert(name).second) << name << " appears twice";
        family_ = name;
        type_ = rest.substr(1);
      } else {
        EXPECT_EQ(what, "HELP");
      }
      return;
    }
    const auto space = line.rfind(' ');
    ASSERT_NE(space, line.npos) << line;
    const std::string sample = line.substr(0, space);
    name = sample.substr(0, sample.find('{'));
    EXPECT_TRUE(belongs(name)) << line << " stands below " << family_;
    char* end = nullptr;
    const double value = std::strtod(line.c_str() + space + 1, &end);
    EXPECT_EQ(*end, '\0') << line;
    EXPECT_TRUE(samples_.emplace(sample, value).second) << sample << " appears twice";
  }

  bool belongs(const std::string& name) const {
    if (type_ != "histogram") return name == family_;
    return name == family_ + "_bucket" || name == family_ + "_sum" || name == family_ + "_count";
  }

  std::set<std::string> families_;
  std::string family_, type_;
  std::map<std::string, double> samples_;
};

CallRecord answered() {
  CallRecord record;
  record.model = "keeper";
  record.status = 200;
  record.finish = "stop";
  record.prompt_tokens = 12;
  record.thought_tokens = 3;
  record.completion_tokens = 30;
  record.n_tool_calls = 2;
  record.prefill_ms = 100.0;
  record.decode_ms = 400.0;
  record.first_token_ms = 120.0;
  record.token_gaps_ms = {10.0, 20.0};
  return record;
}

LoadedModel loaded() {
  LoadedModel model;
  model.facts.id = "keeper";
  model.stats.n_running = 2;
  model.stats.n_waiting = 1;
  model.stats.n_paused = 1;
  model.stats.kv_bytes = 25;
  model.stats.kv_budget_bytes = 100;
  model.stats.prompt_tokens = 40;
  model.stats.prompt_seconds = 2.0;
  model.stats.generated_tokens = 30;
  model.stats.n_decode_steps = 10;
  model.stats.n_decode_rows = 25;
  return model;
}

TEST(Histogram, CountsWhatLiesAtOrBelowABound) {
  Histogram histogram({1.0, 2.0});
  for (const double value : {0.5, 1.0, 1.5, 3.0}) histogram.add(value);

  EXPECT_EQ(histogram.count_at(0), 2u);
  EXPECT_EQ(histogram.count_at(1), 3u);
  EXPECT_EQ(histogram.count(), 4u);
  EXPECT_DOUBLE_EQ(histogram.sum(), 6.0);
}

TEST(Exposition, EscapesLabels) {
  Exposition out;
  out.family("x", "gauge", "X.");
  out.sample({{"name", "a\"b\\c\nd"}}, 1.5);

  EXPECT_EQ(out.take(), "# HELP x X.\n# TYPE x gauge\nx{name=\"a\\\"b\\\\c\\nd\"} 1.5\n");
}

TEST(Metrics, TellOfModelsAndRequests) {
  Metrics metrics;
  metrics.add(answered(), Dialect::OpenAI, 0.6);
  const Reader text(metrics.text({loaded()}, {.connections = 3}, {}));

  EXPECT_EQ(text["fourfold_requests_total{dialect=\"openai\",status=\"200\",reason=\"stop\"}"], 1);
  EXPECT_EQ(text["fourfold_requests_running{model=\"keeper\"}"], 2);
  EXPECT_EQ(text["fourfold_requests_waiting{model=\"keeper\"}"], 2);
  EXPECT_EQ(text["fourfold_kv_cache_usage_ratio{model=\"keeper\"}"], 0.25);
  EXPECT_EQ(text["fourfold_prompt_tokens_total{model=\"keeper\"}"], 40);
  EXPECT_EQ(text["fourfold_thought_tokens_total{model=\"keeper\"}"], 3);
  EXPECT_EQ(text["fourfold_tool_calls_total{model=\"keeper\",outcome=\"parsed\"}"], 2);
  EXPECT_EQ(text["fourfold_request_seconds_bucket{model=\"keeper\",le=\"0.5\"}"], 0);
  EXPECT_EQ(text["fourfold_request_seconds_bucket{model=\"keeper\",le=\"0.8\"}"], 1);
  EXPECT_EQ(text["fourfold_request_seconds_bucket{model=\"keeper\",le=\"+Inf\"}"], 1);
  EXPECT_EQ(text["fourfold_inter_token_seconds_count{model=\"keeper\"}"], 2);
  EXPECT_EQ(text["fourfold_http_connections"], 3);
  EXPECT_GT(text["fourfold_resident_bytes"], 0);
}

TEST(Metrics, CountRequestsWithoutAModelByStatusAlone) {
  Metrics metrics;
  CallRecord record;
  record.status = 404;
  metrics.add(record, Dialect::Gemini, 0.1);
  const Reader text(metrics.text({}, {}, {}));

  EXPECT_EQ(text["fourfold_requests_total{dialect=\"gemini\",status=\"404\",reason=\"\"}"], 1);
  for (const auto& [sample, value] : text.samples()) {
    EXPECT_EQ(sample.find("fourfold_request_seconds"), sample.npos);
  }
}

TEST(Metrics, SpeakOfTheSameUnderTheNamesOfOthers) {
  Metrics metrics;
  metrics.add(answered(), Dialect::OpenAI, 0.6);
  const Reader text(metrics.text({loaded()}, {}, {MetricsAlias::LlamaCpp, MetricsAlias::Vllm}));

  EXPECT_EQ(text["llamacpp:prompt_tokens_total"], 40);
  EXPECT_EQ(text["llamacpp:prompt_tokens_seconds"], 20);
  EXPECT_EQ(text["llamacpp:n_busy_slots_per_decode"], 2.5);
  EXPECT_EQ(text["llamacpp:requests_deferred"], 2);
  EXPECT_EQ(text["vllm:num_requests_running{model_name=\"keeper\",engine=\"0\"}"], 2);
  EXPECT_EQ(text["vllm:request_success_total{model_name=\"keeper\",engine=\"0\","
                 "finished_reason=\"stop\"}"],
            1);
  EXPECT_EQ(text["vllm:request_prompt_tokens_sum{model_name=\"keeper\",engine=\"0\"}"], 12);
}

TEST(Metrics, LeaveOutTheNamesOfOthersUnlessAsked) {
  const std::string text = Metrics().text({loaded()}, {}, {});
  EXPECT_THAT(text, testing::Not(HasSubstr("llamacpp:")));
  EXPECT_THAT(text, testing::Not(HasSubstr("vllm:")));
}

}  // namespace
}  // namespace fourfold
