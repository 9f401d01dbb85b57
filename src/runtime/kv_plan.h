// How much K/V memory a body needs: one function for what is planned, printed and allocated.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/kv_view.h"
#include "model/text/text_model.h"

namespace fourfold {

struct KvOptions {
  KvType ring = KvType::BF16;    // sliding layers
  KvType global = KvType::BF16;  // global layers
  bool fold = true;              // folded K=V where the body allows it (text-model.md 2.2)
  int chunk = 512;               // most rows written before the first of them attends
};

struct KvLayerPlan {
  bool owns = false;  // layers that share K/V have no cache
  bool ring = false;
  KvLayout layout;
};

struct KvPlan {
  std::vector<KvLayerPlan> layers;  // [L]
  int window = 0;                   // W
  int chunk = 0;
  // Rows of a picture see each other on sliding layers: they run in one step (text-model.md 3.6).
  bool whole_blocks = false;

  // Rows of a ring: W − 1 + chunk, in whole key blocks.
  std::int64_t ring_rows() const;
  // The same after a step of that many rows, if it was larger than a chunk.
  std::int64_t ring_rows(std::int64_t largest_step) const;
  // Bytes of one sequence that holds n_tokens. Rings are as long as the tokens while these are few.
  std::int64_t bytes(std::int64_t n_tokens, std::int64_t largest_step = 0) const;
  // Bytes that one more token costs below the window, and beyond it.
  std::int64_t bytes_per_token_within_window() const;
  std::int64_t bytes_per_token_beyond_window() const;
};

// The plan of a body, from its configuration alone: `inspect` uses it without weights.
// folded_pairs[i] is the number of rotated pairs that the folded form of layer i keeps, 0 = plain.
KvPlan make_kv_plan(const TextConfig& config, const std::vector<int>& folded_pairs,
                    const KvOptions& options);
KvPlan make_kv_plan(const TextModel& model, const KvOptions& options);

}  // namespace fourfold
