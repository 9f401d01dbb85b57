// Patches of a picture → rows of the text model's input (vision-video.md 3 to 5, 12).
//
//   auto model = TRY(VisionModel::load(checkpoint, config, ops));
//   VisionEncoder encoder(model, ops);
//   const auto rows = TRY(encoder.encode(patches, nullptr, {}));   // [n soft tokens, text D]
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/checkpoint.h"
#include "formats/media_config.h"
#include "kernels/ops.h"
#include "media/patches.h"
#include "tensor/matrix.h"

namespace fourfold {

struct VisionLayerWeights;
struct VisionWeights;

// Receives intermediate values under the names of the reference goldens: "layer", 3, [n, D].
using MediaTap = std::function<void(std::string_view name, int layer, const MatView& value)>;

// Configuration and bound weights; immutable, shared.
class VisionModel {
 public:
  // Weights are used as they lie in the file when ops.exact(), else prepared for integer products,
  // which encoders' Ops must then be for too.
  // FailedPrecondition naming file and tensor when the part is not complete (formats.md 3.4).
  static Result<std::shared_ptr<const VisionModel>> load(
      std::shared_ptr<const Checkpoint> checkpoint, VisionConfig config, Ops& ops);
  // A model whose weights are made elsewhere: for timings without files.
  static std::shared_ptr<const VisionModel> of(VisionConfig config,
                                               std::unique_ptr<const VisionWeights> weights,
                                               bool exact);
  ~VisionModel();

  const VisionConfig& config() const { return config_; }
  const VisionWeights& weights() const { return *weights_; }
  bool exact() const { return exact_; }
  int patch_side() const { return config_.patch_side(); }
  // Patches of a side that become one soft token.
  int pooled_patches() const { return config_.unified ? 1 : 3; }
  // Bytes that it holds beside the file.
  std::uint64_t owned_bytes() const;

 private:
  VisionModel(std::shared_ptr<const Checkpoint> checkpoint, VisionConfig config,
              std::unique_ptr<const VisionWeights> weights, bool exact);

  std::shared_ptr<const Checkpoint> checkpoint_;  // owns what the weights point into
  VisionConfig config_;
  std::unique_ptr<const VisionWeights> weights_;
  bool exact_;
};

// One thread at a time.
class VisionEncoder {
 public:
  // `ops` is exact where the model is.
  VisionEncoder(std::shared_ptr<const VisionModel> model, Ops& ops);
  ~VisionEncoder();

  // Soft rows [n, text D]. Cancelled when `go_on`, asked once a layer, says false; InvalidArgument
  // for a picture beyond the position table.
  Result<std::vector<float>> encode(const Patches& patches, const MediaTap* tap,
                                    const std::function<bool()>& go_on);

 private:
  struct Scratch;
  struct Tile;

  Status check(const Patches& patches) const;
  Status run_tower(const Patches& patches, const std::function<bool()>& go_on);
  void run_unified(const Patches& patches);

  MatView stream(const Tile& tile);
  void read_positions(const Patches& patches);
  void add_position(float* x, std::int64_t patch);
  void embed(const Patches& patches, const Tile& tile);
  void norm_and_rotate(float* heads, const float* norm, std::int64_t patch);
  void prepare_attention(int layer, const Tile& tile);
  void add_normed(float* x, float* y, const float* norm);
  void attention(int layer, const Tile& tile);
  void feed_forward(int layer, const Tile& tile);
  bool gate_integers(const VisionLayerWeights& w, MatView mlp);
  MatView pool(const Patches& patches);
  std::vector<float> project(MatView pooled);
  void tap(std::string_view name, int layer, const MatView& value) {
    if (tap_) (*tap_)(name, layer, value);
  }

  std::shared_ptr<const VisionModel> model_;
  const VisionConfig& config_;
  const VisionWeights& w_;
  Ops& ops_;
  std::unique_ptr<Scratch> s_;
  const MediaTap* tap_ = nullptr;
};

}  // namespace fourfold
