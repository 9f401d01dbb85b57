#include "engine/bench_ops.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "base/check.h"
#include "engine/workload.h"

namespace fourfold {
namespace {

struct Weights {
  std::string_view op;
  Matrix matrix;
};

// By where they begin.
using WeightMap = std::map<const std::byte*, Weights>;

constexpr std::pair<Matrix LayerWeights::*, std::string_view> kLayerMatrices[] = {
    {&LayerWeights::q, "attention q"},
    {&LayerWeights::k, "attention k"},
    {&LayerWeights::v, "attention v"},
    {&LayerWeights::o, "attention output"},
    {&LayerWeights::gate, "ffn gate"},
    {&LayerWeights::up, "ffn up"},
    {&LayerWeights::down, "ffn down"},
    {&LayerWeights::router, "router"},
    {&LayerWeights::per_layer_gate, "per-layer gate"},
    {&LayerWeights::per_layer_projection, "per-layer projection"},
};

constexpr std::pair<Matrix ExpertWeights::*, std::string_view> kExpertMatrices[] = {
    {&ExpertWeights::gate, "expert gate"},
    {&ExpertWeights::up, "expert up"},
    {&ExpertWeights::down, "expert down"},
};

constexpr std::pair<OpKind, std::string_view> kOthers[] = {
    {OpKind::Quantize, "activations to int8"},
    {OpKind::Attend, "attention"},
    {OpKind::RmsNorm, "norms"},
    {OpKind::Add, "residual sums"},
    {OpKind::Scale, "scales"},
    {OpKind::GeluMultiply, "gelu"},
    {OpKind::Softcap, "soft cap"},
    {OpKind::Rows, "rotation, K/V, embedding rows"},
};
constexpr std::string_view kBetween = "between operations";  // per-layer table rows, routing, …

WeightMap weights_of(const TextModel& model) {
  const TextWeights& weights = model.weights();
  WeightMap map;
  const auto add = [&](std::string_view op, const Matrix& m) {
    if (!m.empty()) map[m.data] = {op, m};
  };
  add("head", weights.head);
  add("per-layer embedding", weights.per_layer_model_projection);
  for (const LayerWeights& layer : weights.layers) {
    for (const auto& [matrix, op] : kLayerMatrices) add(op, layer.*matrix);
    for (const ExpertWeights& expert : layer.experts) {
      for (const auto& [matrix, op] : kExpertMatrices) add(op, expert.*matrix);
    }
  }
  return map;
}

// The weights of a product, which may begin inside a matrix.
const Weights& weights_at(const WeightMap& map, const std::byte* data) {
  const auto after = map.upper_bound(data);
  CHECK(after != map.begin());
  const Weights& weights = std::prev(after)->second;
  CHECK(data < weights.matrix.row(weights.matrix.n_rows));
  return weights;
}

std::string_view nearest_limit(const Work& work, const MachineLimits& limits) {
  const double reading = Work{.bytes = work.bytes}.seconds_at(limits);
  if (reading >= work.seconds_at(limits)) return "read bandwidth";
  if (work.int8_macs > 0.0) return "int8 peak";
  return work.bf16_macs > 0.0 ? "bf16 peak" : "f32 peak";
}

// Turns sums over all repetitions into what one of them shows.
class OpLister {
 public:
  OpLister(bool exact, const MachineLimits& limits, int n_reps, double seconds)
      : exact_(exact), limits_(limits), n_reps_(n_reps), seconds_(seconds) {}

  // Its products are those of weights of type `type`.
  BenchOp op(std::string_view name, const OpTime& time, DType type) const {
    BenchOp op{.op = std::string(name),
               .calls = time.calls / n_reps_,
               .ms = 1e3 * time.seconds / n_reps_,
               .share = time.seconds / seconds_,
               .gb_s = 1e-9 * time.bytes / time.seconds,
               .gmac_s = 1e-9 * time.macs / time.seconds};
    const Work work = work_with(type, exact_, time.bytes, time.macs);
    if (work.macs() > 0.0) {
      op.limit = nearest_limit(work, limits_);
      op.of_limit = work.seconds_at(limits_) / time.seconds;
    }
    return op;
  }

 private:
  bool exact_;
  const MachineLimits& limits_;
  int n_reps_;
  double seconds_;
};

}  // namespace

std::vector<BenchOp> list_ops(const OpTimes& times, const TextModel& model, bool exact,
                              const MachineLimits& limits, int n_reps, double seconds) {
  const WeightMap weights = weights_of(model);
  std::map<std::pair<std::string_view, DType>, OpTime> products;
  for (const auto& [data, time] : times.products) {
    const Weights& of = weights_at(weights, data);
    products[{of.op, of.matrix.dtype}] += time;
  }

  const OpLister lister(exact, limits, n_reps, seconds);
  std::vector<BenchOp> ops;
  OpTime between{.calls = n_reps, .seconds = seconds};
  for (const auto& [key, time] : products) {
    ops.push_back(lister.op(key.first, time, key.second));
    ops.back().type = name(key.second);
    between.seconds -= time.seconds;
  }
  for (const auto& [kind, op] : kOthers) {
    const OpTime& time = times.other(kind);
    if (time.calls == 0) continue;
    ops.push_back(lister.op(op, time, DType::BF16));  // for attention: no other has products
    between.seconds -= time.seconds;
  }
  ops.push_back(lister.op(kBetween, between, DType::F32));
  std::sort(ops.begin(), ops.end(), [](const BenchOp& a, const BenchOp& b) { return a.ms > b.ms; });
  return ops;
}

std::string explain(const std::vector<BenchOp>& ops, std::string_view what) {
  const auto worst = std::max_element(ops.begin(), ops.end(), [](const auto& a, const auto& b) {
    return a.excess_ms() < b.excess_ms();
  });
  if (worst == ops.end()) return {};
  const std::string type = worst->type.empty() ? "" : fmt::format(" ({})", worst->type);
  const std::string bound =
      worst->limit.empty()
          ? "which neither reading nor multiplying bounds"
          : fmt::format("at {:.0f} % of the {}", 100.0 * worst->of_limit, worst->limit);
  return fmt::format("{}{}: {:.0f} % of {}, {}", worst->op, type, 100.0 * worst->share, what,
                     bound);
}

}  // namespace fourfold
