#include "model/audio/audio_model.h"

#include <utility>

#include "media/log_mel.h"
#include "model/audio/audio_weights.h"

namespace fourfold {
namespace {

// What the forward pass relies on; the bounds of each number are checked where it is read.
Status check_sizes(const Checkpoint& checkpoint, const AudioConfig& config) {
  if (config.unified) {
    if (config.width == kUnifiedFrame) return {};
    return unimplemented("{}: audio frames of {} samples (expected {})", checkpoint.path(),
                         config.width, kUnifiedFrame);
  }
  if (config.n_heads < 1 || config.width < 4 || config.width % 2 != 0 ||
      config.width % config.n_heads != 0) {
    return failed_precondition(
        "{}: audio tower of width {} with {} heads (expected an even width that the heads divide)",
        checkpoint.path(), config.width, config.n_heads);
  }
  if (config.left_keys < 1 || config.left_keys > kMaxLeftKeys) {
    return invalid_argument("{}: audio_left_keys is {} (expected 1 to {})", checkpoint.path(),
                            config.left_keys, kMaxLeftKeys);
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const AudioModel>> AudioModel::load(
    std::shared_ptr<const Checkpoint> checkpoint, AudioConfig config, Ops& ops) {
  TRY(check_sizes(*checkpoint, config));
  auto weights =
      std::make_unique<const AudioWeights>(TRY(bind_audio_weights(*checkpoint, config, ops)));
  return std::shared_ptr<const AudioModel>(
      new AudioModel(std::move(checkpoint), config, std::move(weights)));
}

AudioModel::AudioModel(std::shared_ptr<const Checkpoint> checkpoint, AudioConfig config,
                       std::unique_ptr<const AudioWeights> weights)
    : checkpoint_(std::move(checkpoint)), config_(config), weights_(std::move(weights)) {}

AudioModel::~AudioModel() = default;

std::int64_t AudioModel::soft_tokens(std::int64_t n_samples) const {
  if (config_.unified) return (n_samples + kUnifiedFrame - 1) / kUnifiedFrame;
  return audio_soft_tokens(mel_frames(n_samples));
}

std::uint64_t AudioModel::owned_bytes() const {
  std::uint64_t n = (weights_->conv0.size() + weights_->conv1.size()) * sizeof(float);
  for (const auto& vector : weights_->vectors) n += vector.size() * sizeof(float);
  for (const auto& blocks : weights_->blocks) n += blocks.size();
  for (const auto& layer : weights_->layers) {
    n += (layer.q_scale.size() + layer.relative.size() + layer.taps.size()) * sizeof(float);
  }
  return n;
}

}  // namespace fourfold
