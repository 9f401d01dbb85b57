// The forward pass of the text decoder over a batch of rows (text-model.md 3).
//
//   Decoder decoder(model, ops, {});
//   const MatView hidden = TRY(decoder.forward(segments));   // final-normed wanted rows
//   decoder.logits(hidden, out);                             // [n_wanted, V], soft-capped
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernels/ops.h"
#include "model/text/text_model.h"

namespace fourfold {

// Consecutive rows of one sequence. All views are for the duration of the call.
struct BatchSegment {
  std::span<const std::int32_t> ids;  // [n]; the embeddings' ids also where `embeds` replaces rows
  std::int64_t position = 0;          // of the first row
  std::span<const KvView> kv;         // [L]; only layers that own K/V are read
  // Rows whose layer-0 input is given: embeds [embed_rows.size(), D] replace the rows
  // embed_rows (ascending indices into the segment).
  const float* embeds = nullptr;
  std::span<const std::int32_t> embed_rows;
  // [n] number of the visual block of each row, −1 = none; empty = none at all. A block lies in
  // one segment as a whole.
  std::span<const std::int32_t> blocks;
  // Indices of the rows whose hidden state is wanted, ascending.
  std::span<const std::int32_t> wanted;
};

// Receives intermediate values under the names of the reference goldens: "layer", 3, [T, D].
using Tap = std::function<void(std::string_view name, int layer, const MatView& value)>;

struct DecoderOptions {
  bool bf16_embedding_scale = false;  // sqrt(D) rounded to bf16, as bf16 references have it
  bool open_future_window = false;    // picture blocks see beyond the window (text-model.md 3.6)
};

class Decoder {
 public:
  Decoder(std::shared_ptr<const TextModel> model, Ops& ops, DecoderOptions options);
  ~Decoder();

  const TextModel& model() const { return *model_; }

  // Runs all rows, stores their K/V and returns the final-normed hidden states of the wanted rows
  // in order, [n_wanted, D], valid until the next call. InvalidArgument for ids outside the
  // vocabulary; DataLoss when the embedding table cannot be read.
  // With a tap every row must be wanted.
  Result<MatView> forward(std::span<const BatchSegment> segments, const Tap* tap = nullptr);

  // The soft-capped logits of final-normed hidden states. out [n, V]
  void logits(MatView hidden, MatView out);

 private:
  struct Row;
  struct RoutedRow;
  struct Scratch;

  Status embed(std::span<const BatchSegment> segments);
  Status read_per_layer_rows(int first_layer, int last_layer, MatView out);
  Status per_layer_inputs(MatView x, int first_layer, int last_layer);
  void list_rows(std::span<const BatchSegment> segments);
  void keep_wanted_rows();

  void run_layer(int layer, std::span<const BatchSegment> segments);
  bool queries_beside_keys(int layer) const;
  void store_keys_and_values(int layer, std::span<const BatchSegment> segments);
  void attention(int layer, std::span<const BatchSegment> segments);
  void dense_mlp(const LayerWeights& w, MatView in, MatView out);
  void experts(int layer, MatView x);
  void choose_experts(const LayerWeights& w, MatView router);
  void list_routed_rows(std::int64_t n_rows);
  static std::size_t rows_of_next_experts(std::span<const RoutedRow> routed);
  void add_experts(const LayerWeights& w, std::span<const RoutedRow> routed, MatView in,
                   MatView out);
  void mix_per_layer_input(int layer);
  void tap(std::string_view name, int layer, const MatView& value) {
    if (tap_) (*tap_)(name, layer, value);
  }

  std::shared_ptr<const TextModel> model_;
  const TextConfig& config_;
  const TextWeights& w_;
  Ops& ops_;
  DecoderOptions options_;
  std::unique_ptr<Scratch> s_;
  const Tap* tap_ = nullptr;
};

}  // namespace fourfold
