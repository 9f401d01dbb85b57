#include "runtime/runner.h"

#include <algorithm>

namespace fourfold {
namespace {

// The end of the chunk that starts at `begin`: a visual block that would be cut goes into the next
// chunk, or makes this one longer when it starts it.
std::int64_t chunk_end(const FeedInput& input, std::int64_t begin, int chunk) {
  const auto n = static_cast<std::int64_t>(input.ids.size());
  const std::int64_t end = std::min(n, begin + chunk);
  if (input.blocks.empty() || end == n) return end;
  const auto block_at = [&](std::int64_t row) {
    return input.blocks[static_cast<std::size_t>(row)];
  };
  const auto cut = [&](std::int64_t row) {
    return row < n && block_at(row) >= 0 && block_at(row - 1) == block_at(row);
  };
  std::int64_t before = end;
  while (before > begin && cut(before)) --before;
  if (before > begin) return before;
  std::int64_t after = end;
  while (cut(after)) ++after;
  return after;
}

// The part of an ascending list that lies in [begin, end), and how many entries precede it.
struct Part {
  std::size_t first;
  std::span<const std::int32_t> entries;
};

Part part_of(std::span<const std::int32_t> list, std::int64_t begin, std::int64_t end) {
  const auto first = std::lower_bound(list.begin(), list.end(), begin);
  const auto last = std::lower_bound(first, list.end(), end);
  return {static_cast<std::size_t>(first - list.begin()), {first, last}};
}

std::vector<std::int32_t> shifted(std::span<const std::int32_t> list, std::int64_t by) {
  std::vector<std::int32_t> result(list.begin(), list.end());
  for (auto& entry : result) entry -= static_cast<std::int32_t>(by);
  return result;
}

}  // namespace

Status feed(Decoder& decoder, std::span<const FeedInput> inputs, const FeedOptions& options,
            const HiddenSink& sink) {
  std::vector<std::int64_t> done(inputs.size(), 0);
  std::int64_t total = 0;
  for (const FeedInput& input : inputs) total += static_cast<std::int64_t>(input.ids.size());
  std::int64_t n_done = 0;
  while (n_done < total) {
    struct Piece {
      std::size_t input;
      std::int64_t begin, end;
      std::size_t first_wanted;
      std::vector<std::int32_t> wanted, embed_rows;
    };
    std::vector<Piece> pieces;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const FeedInput& input = inputs[i];
      if (done[i] == static_cast<std::int64_t>(input.ids.size())) continue;
      const std::int64_t begin = done[i];
      const std::int64_t end = chunk_end(input, begin, options.chunk);
      const Part wanted = part_of(input.wanted, begin, end);
      pieces.push_back(
          {.input = i,
           .begin = begin,
           .end = end,
           .first_wanted = wanted.first,
           .wanted = shifted(wanted.entries, begin),
           .embed_rows = shifted(part_of(input.embed_rows, begin, end).entries, begin)});
      TRY(input.cache->make_room(end - begin));
    }
    std::vector<BatchSegment> segments;
    for (const Piece& piece : pieces) {
      const FeedInput& input = inputs[piece.input];
      const auto first = static_cast<std::size_t>(piece.begin);
      const auto n = static_cast<std::size_t>(piece.end - piece.begin);
      const Part embeds = part_of(input.embed_rows, piece.begin, piece.end);
      segments.push_back(
          {.ids = input.ids.subspan(first, n),
           .position = input.cache->length(),
           .kv = input.cache->views(),
           .embeds = input.embeds +
                     static_cast<std::int64_t>(embeds.first) * decoder.model().config().width,
           .embed_rows = piece.embed_rows,
           .blocks = input.blocks.empty() ? input.blocks : input.blocks.subspan(first, n),
           .wanted = piece.wanted});
    }
    const MatView hidden = TRY(decoder.forward(segments, options.tap));
    std::int64_t row = 0;
    for (const Piece& piece : pieces) {
      const std::int64_t n = piece.end - piece.begin;
      inputs[piece.input].cache->advance(n);
      done[piece.input] = piece.end;
      n_done += n;
    }
    for (const Piece& piece : pieces) {
      const auto n_wanted = static_cast<std::int64_t>(piece.wanted.size());
      if (n_wanted == 0) continue;
      TRY(sink(static_cast<int>(piece.input), static_cast<std::int64_t>(piece.first_wanted),
               hidden.rows(row, n_wanted)));
      row += n_wanted;
    }
    if (options.progress && !options.progress(n_done, total)) {
      return Error{Code::Cancelled, "stopped"};
    }
  }
  return {};
}

}  // namespace fourfold
