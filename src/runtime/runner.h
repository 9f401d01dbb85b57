// Feeds rows of sequences to the decoder in chunks and keeps their caches in step.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/text/decoder.h"
#include "runtime/kv_cache.h"

namespace fourfold {

// The rows that one sequence gets next. Views for the duration of the call.
struct FeedInput {
  KvCache* cache = nullptr;
  std::span<const std::int32_t> ids;     // [n]
  std::span<const std::int32_t> wanted;  // ascending rows whose hidden state is wanted
  const float* embeds = nullptr;         // as in BatchSegment
  std::span<const std::int32_t> embed_rows;
  std::span<const std::int32_t> blocks;  // [n] or empty
};

// How rows are cut: chunk rows a step and sequence; a visual block is never cut.
struct FeedOptions {
  int chunk = 512;
  const Tap* tap = nullptr;
  // Called after each step with the rows done so far and in all; false stops the feed (Cancelled).
  std::function<bool(std::int64_t done, std::int64_t total)> progress;
};

// Receives the hidden states [n, D] of wanted rows of input `index`, the first being wanted row
// number `first_wanted`, in order.
using HiddenSink = std::function<Status(int index, std::int64_t first_wanted, MatView hidden)>;

// Feeds all inputs, one chunk of each per step, together in one batch. On an error the caches hold
// whole steps: what was fed before stays valid.
Status feed(Decoder& decoder, std::span<const FeedInput> inputs, const FeedOptions& options,
            const HiddenSink& sink);

}  // namespace fourfold
