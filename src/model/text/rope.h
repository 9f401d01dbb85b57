// Rotary position embedding: which pairs of a head turn, and by how much (text-model.md 3.5).
#pragma once

#include <cstdint>
#include <vector>

#include "formats/model_config.h"

namespace fourfold {

class Rope {
 public:
  // The rotation of sliding or global layers with heads of C channels. `factors` [C / 2] divide
  // the frequencies of global layers (rope_freqs of GGUF files); empty = the config's own.
  Rope(const TextConfig& config, bool sliding, int channels, const std::vector<float>& factors);

  int n_pairs() const { return static_cast<int>(omega_.size()); }
  int distance() const { return distance_; }  // pair j is (j, j + distance)

  // cos and sin of the angles at a position, computed in f64 and rounded once. [n_pairs]
  void angles(std::int64_t position, float* cos, float* sin) const;

 private:
  std::vector<double> omega_;  // radians per position
  int distance_ = 0;
};

}  // namespace fourfold
