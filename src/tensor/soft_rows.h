// Rows of a model's input that come from a medium instead of the embedding table, and what tells
// them apart: two pictures of one size have the same token ids (vision-video.md 10).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace fourfold {

// SHA-256 of what the rows depend on: content, settings, encoder.
using MediaKey = std::array<std::uint8_t, 32>;

struct SoftRows {
  MediaKey key = {};
  std::int64_t n_rows = 0;
  bool is_visual = false;     // its rows see each other where the body wants that
  bool grows = false;         // more rows may follow: a prefix may end inside of it
  int width = 0;              // D
  std::vector<float> values;  // [n_rows, D]
};

// Where rows stand in a sequence.
struct SoftSpan {
  std::int64_t first = 0;  // position of the first row
  std::shared_ptr<const SoftRows> rows;
};

}  // namespace fourfold
