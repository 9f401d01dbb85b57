// Sound → rows of the text model's input (audio.md 4 to 6, 11).
//
//   const auto model = TRY(AudioModel::load(checkpoint, config, ops));
//   AudioEncoder encoder(model, ops);
//   TRY(encoder.push(samples, rows));   // any pieces: the same rows as the whole, bit for bit
//   TRY(encoder.finish(rows));          // the rest; the encoder begins anew
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/checkpoint.h"
#include "formats/media_config.h"
#include "kernels/ops.h"
#include "tensor/matrix.h"

namespace fourfold {

struct AudioWeights;

// Receives intermediate values under the names of the reference goldens; rows of one name follow
// each other. conv0 and conv1 come as [time, frequency · channels], the channel innermost.
using AudioTap = std::function<void(std::string_view name, int layer, const MatView& value)>;

// Configuration and bound weights; immutable, shared.
class AudioModel {
 public:
  // Weights are used as they lie in the file when ops.exact(), else plain ones are quantised to
  // Q8_0 here; an encoder's Ops should be of the same kind. FailedPrecondition naming the tensor.
  static Result<std::shared_ptr<const AudioModel>> load(
      std::shared_ptr<const Checkpoint> checkpoint, AudioConfig config, Ops& ops);
  ~AudioModel();

  const AudioConfig& config() const { return config_; }
  // Soft tokens of a block of so many samples.
  std::int64_t soft_tokens(std::int64_t n_samples) const;
  // Of the weights that are not read from the file.
  std::uint64_t owned_bytes() const;

 private:
  friend class AudioEncoder;
  AudioModel(std::shared_ptr<const Checkpoint> checkpoint, AudioConfig config,
             std::unique_ptr<const AudioWeights> weights);

  std::shared_ptr<const Checkpoint> checkpoint_;  // owns what the weights point into
  AudioConfig config_;
  std::unique_ptr<const AudioWeights> weights_;
};

struct AudioEncoderOptions {
  // Rows are held back until so many can be computed in one pass, which reads the weights once.
  int least_rows = 1;
};

// One block at a time, one thread at a time. The value of a row depends on the samples before its
// end, never on how they came.
class AudioEncoder {
 public:
  AudioEncoder(std::shared_ptr<const AudioModel> model, Ops& ops, AudioEncoderOptions options = {});
  ~AudioEncoder();

  // Appends soft rows [n, text D] that are final now; returns n. InvalidArgument beyond the 30 s of
  // a block; the unified form has no such limit.
  Result<std::int64_t> push(std::span<const float> samples, std::vector<float>& rows);
  // The block ends: appends the last rows; returns their number. Begins a new block.
  Result<std::int64_t> finish(std::vector<float>& rows);

  // Forgets the block so far; the next push begins a new one.
  void reset();

  // A whole block from its mel rows [F, 128] (frames [n, 640] for the unified form).
  Result<std::vector<float>> encode_features(MatView features, const AudioTap* tap);

 private:
  struct State;
  std::shared_ptr<const AudioModel> model_;
  std::unique_ptr<State> s_;
};

}  // namespace fourfold
