#include "model/text/text_model.h"

#include "kernels/kv_view.h"

namespace fourfold {
namespace {

int channels_of(const TextConfig& config, bool sliding) {
  for (const LayerConfig& layer : config.layers) {
    if (layer.sliding == sliding) return layer.head_dim;
  }
  return config.layers.front().head_dim;
}

}  // namespace

Result<std::shared_ptr<const TextModel>> TextModel::load(
    std::shared_ptr<const Checkpoint> checkpoint, TextConfig config, bool interleave) {
  TextWeights weights;
  const WeightReport report = bind_text_weights(*checkpoint, config, weights);
  if (!report.complete()) {
    return failed_precondition("{}: {}", checkpoint->path(), report.summary());
  }
  auto model = std::shared_ptr<TextModel>(
      new TextModel(std::move(checkpoint), std::move(config), std::move(weights)));
  model->notes_ = report.notes;
  if (interleave) {
    model->interleaved_ =
        std::make_unique<InterleavedWeights>(model->weights_, *model->checkpoint_);
  }
  return std::shared_ptr<const TextModel>(std::move(model));
}

TextModel::TextModel(std::shared_ptr<const Checkpoint> checkpoint, TextConfig config,
                     TextWeights weights)
    : checkpoint_(std::move(checkpoint)),
      config_(std::move(config)),
      weights_(std::move(weights)),
      sliding_(config_, true, channels_of(config_, true), weights_.rope_factors),
      global_(config_, false, channels_of(config_, false), weights_.rope_factors) {}

int TextModel::foldable_pairs(int i) const {
  const LayerConfig& layer = config_.layers[static_cast<std::size_t>(i)];
  const int n_pairs = rope(layer.sliding).n_pairs();
  const bool some_still = n_pairs < layer.head_dim / 2 && n_pairs <= kMaxFoldedPairs;
  return layer.k_eq_v && layer.kv_source == i && n_pairs > 0 && some_still ? n_pairs : 0;
}

}  // namespace fourfold
