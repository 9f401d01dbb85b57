// What /metrics tells (http-apis.md 6.3): counts of requests and their times, and the figures of
// the models that are loaded, as Prometheus reads them.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "server/call.h"
#include "server/http/http_server.h"

namespace fourfold {

// How many values lie at or below each bound.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds)
      : bounds_(std::move(bounds)), counts_(bounds_.size(), 0) {}

  void add(double value);
  const std::vector<double>& bounds() const { return bounds_; }
  std::uint64_t count_at(std::size_t bound) const;  // at or below it
  std::uint64_t count() const { return count_; }
  double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;  // between this bound and the one before
  std::uint64_t count_ = 0;
  double sum_ = 0.0;
};

// Writes the text format 0.0.4: families, each with its samples.
class Exposition {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  void family(std::string_view name, std::string_view type, std::string_view help);
  // Of the family that was begun last; `suffix` is "_bucket", "_sum", "_count" or nothing.
  void sample(const Labels& labels, double value, std::string_view suffix = "");
  void histogram(const Labels& labels, const Histogram& histogram);
  std::string take() { return std::move(text_); }

 private:
  std::string family_;
  std::string text_;
};

class Metrics {
 public:
  // A request has ended.
  void add(const CallRecord& record, Dialect dialect, double seconds);

  std::string text(const std::vector<LoadedModel>& models, const HttpCounts& http,
                   const std::vector<MetricsAlias>& aliases) const;

 private:
  struct OfModel {
    OfModel();
    Histogram first_token, between_tokens, request, queue, prefill, decode, inference;
    Histogram prompt_tokens, generation_tokens;
    std::uint64_t n_thought_tokens = 0, n_tool_calls = 0;
    std::map<std::string, std::uint64_t> by_finish;
  };
  using OfModels = std::map<std::string, OfModel>;

  void write_own(Exposition& out, const std::vector<LoadedModel>& models) const;
  void write_requests(Exposition& out) const;
  void write_vllm(Exposition& out, const std::vector<LoadedModel>& models) const;

  mutable std::mutex mutex_;
  OfModels by_model_;
  std::map<std::tuple<std::string, int, std::string>, std::uint64_t> requests_;
};

}  // namespace fourfold
