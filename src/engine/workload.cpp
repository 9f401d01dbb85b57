#include "engine/workload.h"

#include <algorithm>
#include <cmath>

namespace fourfold {
namespace {

double number(std::int64_t n) { return static_cast<double>(n); }

// Keys that the rows [first, first + n) see in all: row p sees p + 1, or the window.
double visible_keys(std::int64_t first, std::int64_t n, std::int64_t window) {
  const auto sum_to = [](std::int64_t k) { return number(k) * number(k + 1) / 2.0; };
  const std::int64_t last = first + n;  // the last row sees so many
  const std::int64_t growing = std::clamp(window, first, last);
  return sum_to(growing) - sum_to(first) + number(last - growing) * number(window);
}

}  // namespace

double Work::seconds_at(const MachineLimits& limits) const {
  const double reading = bytes / limits.read_gb_s;
  const double multiplying = int8_macs / limits.int8_gmac_s + bf16_macs / limits.bf16_gmac_s +
                             f32_macs / limits.f32_gmac_s;
  return 1e-9 * std::max(reading, multiplying);
}

Work& Work::operator+=(const Work& other) {
  bytes += other.bytes;
  int8_macs += other.int8_macs;
  bf16_macs += other.bf16_macs;
  f32_macs += other.f32_macs;
  return *this;
}

Work work_with(DType type, bool exact, double bytes, double macs) {
  Work work{.bytes = bytes};
  if (!exact && traits(type).quantised()) {
    work.int8_macs = macs;
  } else if (!exact && type == DType::BF16) {
    work.bf16_macs = macs;
  } else {
    work.f32_macs = macs;
  }
  return work;
}

Workload::Workload(const TextModel& model, const KvPlan& plan, bool exact)
    : model_(model), plan_(plan), exact_(exact) {}

Work Workload::matrix(const Matrix& w, std::int64_t n_rows) const {
  if (w.empty() || n_rows == 0) return {};
  return work_with(w.dtype, exact_, number(w.n_rows * w.row_bytes()),
                   number(n_rows) * number(w.n_rows) * number(w.n_cols));
}

// The last n_rows rows of each sequence attend.
Work Workload::attention(int layer, const StepShape& shape, std::int64_t n_rows) const {
  if (n_rows == 0) return {};
  const TextConfig& config = model_.config();
  const LayerConfig& c = config.layers[static_cast<std::size_t>(layer)];
  const KvLayout& layout = plan_.layers[static_cast<std::size_t>(c.kv_source)].layout;
  const std::int64_t end = shape.position + shape.n_rows;
  const std::int64_t first = end - n_rows;
  const std::int64_t window = c.sliding ? config.sliding_window : end;
  const std::int64_t first_key = std::max<std::int64_t>(0, first - window + 1);
  const double macs = number(shape.batch) * visible_keys(first, n_rows, window) * 2.0 *
                      number(std::int64_t{config.n_heads} * c.head_dim);
  return work_with(DType::BF16, exact_,
                   number(shape.batch * (end - first_key) * layout.token_bytes()), macs);
}

// Every row has its experts multiplied; an expert is read once for all rows that chose it. With
// even routing that is so many of them on average.
Work Workload::experts(const LayerWeights& w, std::int64_t n_rows) const {
  if (w.experts.empty() || n_rows == 0) return {};
  const double E = model_.config().n_experts;
  const double used = model_.config().n_experts_used;
  const double n_read = E * (1.0 - std::pow(1.0 - used / E, number(n_rows)));
  Work one;
  for (const Matrix* m : {&w.experts[0].gate, &w.experts[0].up, &w.experts[0].down}) {
    one += matrix(*m, 1);
  }
  const double n_products = used * number(n_rows);
  Work work{.bytes = n_read * one.bytes,
            .int8_macs = n_products * one.int8_macs,
            .bf16_macs = n_products * one.bf16_macs,
            .f32_macs = n_products * one.f32_macs};
  work += matrix(w.router, n_rows);
  return work;
}

Work Workload::step(const StepShape& shape) const {
  const TextConfig& config = model_.config();
  const TextWeights& weights = model_.weights();
  const int last_owner = config.first_shared_layer() - 1;
  Work work;
  for (int i = 0; i < config.n_layers; ++i) {
    const LayerWeights& w = weights.layers[static_cast<std::size_t>(i)];
    const LayerConfig& c = config.layers[static_cast<std::size_t>(i)];
    const std::int64_t n_running = i < last_owner ? shape.n_rows : shape.n_wanted;
    const std::int64_t rows = shape.batch * n_running;
    if (c.kv_source == i) {
      work += matrix(w.k, shape.batch * shape.n_rows);
      work += matrix(w.v, shape.batch * shape.n_rows);
      work.bytes += number(shape.batch * shape.n_rows *
                           plan_.layers[static_cast<std::size_t>(i)].layout.token_bytes());
    }
    for (const Matrix* m :
         {&w.q, &w.o, &w.gate, &w.up, &w.down, &w.per_layer_gate, &w.per_layer_projection}) {
      work += matrix(*m, rows);
    }
    work += attention(i, shape, n_running);
    work += experts(w, rows);
    if (config.per_layer_width > 0) {  // its part of the projection of the layer 0 input
      const std::int64_t P = config.per_layer_width;
      const bool owner = i <= last_owner;
      work += matrix(weights.per_layer_model_projection.rows(i * P, P),
                     shape.batch * (owner ? shape.n_rows : shape.n_wanted));
    }
  }
  return work;
}

Work Workload::head(std::int64_t n_rows) const { return matrix(model_.weights().head, n_rows); }

Work Workload::prefill(const StepShape& shape, int chunk) const {
  Work work;
  for (std::int64_t done = 0; done < shape.n_rows; done += chunk) {
    StepShape part = shape;
    part.position += done;
    part.n_rows = std::min<std::int64_t>(chunk, shape.n_rows - done);
    const bool all = shape.n_wanted == shape.n_rows;
    const bool last = done + part.n_rows == shape.n_rows;
    part.n_wanted = all ? part.n_rows : (last ? shape.n_wanted : 0);
    work += step(part);
  }
  work += head(shape.batch);
  return work;
}

Work Workload::decode(const StepShape& shape) const {
  Work work;
  for (std::int64_t i = 0; i < shape.n_rows; ++i) {
    work += step({.n_rows = 1, .position = shape.position + i, .batch = shape.batch});
    work += head(shape.batch);
  }
  return work;
}

}  // namespace fourfold
