// The text body of a checkpoint, ready to run: configuration, bound weights, rotations.
// Immutable and shared by all decoders.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "formats/checkpoint.h"
#include "formats/model_config.h"
#include "model/text/interleaved_weights.h"
#include "model/text/rope.h"
#include "model/text/weights.h"

namespace fourfold {

class TextModel {
 public:
  // FailedPrecondition listing missing, mis-shaped and unexpected tensors. `interleave`: with room
  // for interleaved copies of its matrices.
  static Result<std::shared_ptr<const TextModel>> load(std::shared_ptr<const Checkpoint> checkpoint,
                                                       TextConfig config, bool interleave = false);

  const TextConfig& config() const { return config_; }
  const TextWeights& weights() const { return weights_; }
  const Rope& rope(bool sliding) const { return sliding ? sliding_ : global_; }
  const std::vector<std::string>& notes() const { return notes_; }
  // Null without them.
  InterleavedWeights* interleaved() const { return interleaved_.get(); }

  // Pairs of K that the folded cache form keeps; 0 when layer `i` cannot be folded.
  int foldable_pairs(int i) const;

 private:
  TextModel(std::shared_ptr<const Checkpoint> checkpoint, TextConfig config, TextWeights weights);

  std::shared_ptr<const Checkpoint> checkpoint_;  // owns what the weights point into
  TextConfig config_;
  TextWeights weights_;
  Rope sliding_;
  Rope global_;
  std::vector<std::string> notes_;
  std::unique_ptr<InterleavedWeights> interleaved_;
};

}  // namespace fourfold
