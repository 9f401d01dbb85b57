#include "model/vision/vision_model.h"

#include <utility>

#include "model/vision/vision_weights.h"

namespace fourfold {

Result<std::shared_ptr<const VisionModel>> VisionModel::load(
    std::shared_ptr<const Checkpoint> checkpoint, VisionConfig config, Ops& ops) {
  auto bound = TRY(bind_vision_weights(*checkpoint, config, ops));
  auto weights = std::make_unique<const VisionWeights>(std::move(bound));
  return std::shared_ptr<const VisionModel>(
      new VisionModel(std::move(checkpoint), config, std::move(weights), ops.exact()));
}

std::shared_ptr<const VisionModel> VisionModel::of(VisionConfig config,
                                                   std::unique_ptr<const VisionWeights> weights,
                                                   bool exact) {
  return std::shared_ptr<const VisionModel>(
      new VisionModel(nullptr, config, std::move(weights), exact));
}

VisionModel::VisionModel(std::shared_ptr<const Checkpoint> checkpoint, VisionConfig config,
                         std::unique_ptr<const VisionWeights> weights, bool exact)
    : checkpoint_(std::move(checkpoint)),
      config_(config),
      weights_(std::move(weights)),
      exact_(exact) {}

VisionModel::~VisionModel() = default;

std::uint64_t VisionModel::owned_bytes() const {
  std::uint64_t n = 0;
  for (const auto& vector : weights_->vectors) n += vector.size() * sizeof(float);
  for (const auto& blocks : weights_->blocks) n += blocks.size();
  return n;
}

}  // namespace fourfold
