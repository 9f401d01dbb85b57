#include "runtime/kv_plan.h"

#include <algorithm>

#include "base/checked.h"

namespace fourfold {

std::int64_t KvPlan::ring_rows() const { return ring_rows(0); }

std::int64_t KvPlan::ring_rows(std::int64_t largest_step) const {
  return round_up(window - 1 + std::max<std::int64_t>(chunk, largest_step), kKeyBlock);
}

std::int64_t KvPlan::bytes(std::int64_t n_tokens, std::int64_t largest_step) const {
  std::int64_t total = 0;
  for (const KvLayerPlan& layer : layers) {
    if (!layer.owns) continue;
    const std::int64_t rows = layer.ring ? std::min(n_tokens, ring_rows(largest_step)) : n_tokens;
    total += round_up(rows, kKeyBlock) / kKeyBlock * layer.layout.block_bytes();
  }
  return total;
}

std::int64_t KvPlan::bytes_per_token_within_window() const {
  std::int64_t total = 0;
  for (const KvLayerPlan& layer : layers) {
    if (layer.owns) total += layer.layout.token_bytes();
  }
  return total;
}

std::int64_t KvPlan::bytes_per_token_beyond_window() const {
  std::int64_t total = 0;
  for (const KvLayerPlan& layer : layers) {
    if (layer.owns && !layer.ring) total += layer.layout.token_bytes();
  }
  return total;
}

KvPlan make_kv_plan(const TextConfig& config, const std::vector<int>& folded_pairs,
                    const KvOptions& options) {
  KvPlan plan;
  plan.window = config.sliding_window;
  plan.chunk = options.chunk;
  plan.whole_blocks = config.bidirectional_vision;
  for (int i = 0; i < config.n_layers; ++i) {
    const LayerConfig& layer = config.layers[static_cast<std::size_t>(i)];
    KvLayerPlan planned;
    planned.owns = layer.kv_source == i;
    planned.ring = layer.sliding;
    planned.layout = {.type = layer.sliding ? options.ring : options.global,
                      .n_heads = layer.n_kv_heads,
                      .channels = layer.head_dim};
    if (options.fold && !layer.sliding) {
      planned.layout.n_folded_pairs = folded_pairs[static_cast<std::size_t>(i)];
    }
    plan.layers.push_back(planned);
  }
  return plan;
}

KvPlan make_kv_plan(const TextModel& model, const KvOptions& options) {
  std::vector<int> folded_pairs(model.config().layers.size());
  for (std::size_t i = 0; i < folded_pairs.size(); ++i) {
    folded_pairs[i] = model.foldable_pairs(static_cast<int>(i));
  }
  return make_kv_plan(model.config(), folded_pairs, options);
}

}  // namespace fourfold
