// The buffers that one worker of Ops keeps between calls.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/ops.h"

namespace fourfold {

// Weights are unpacked in stretches of this many k, so that a panel stays in the L1 cache.
inline constexpr int kPanelDepth = 1024;

struct Ops::Scratch {
  // matmul by panels
  std::vector<std::int8_t> rows = std::vector<std::int8_t>(kPanelRows * kPanelDepth);
  std::vector<std::uint8_t> panel = std::vector<std::uint8_t>(kPanelRows * kPanelDepth);
  std::vector<float> row_scales = std::vector<float>(kPanelDepth / kSumBlock);
  std::vector<float> row_offsets = std::vector<float>(kPanelDepth / kSumBlock);
  std::vector<float> scales = std::vector<float>(kPanelRows * kPanelDepth / kSumBlock);
  std::vector<float> offsets = std::vector<float>(kPanelRows * kPanelDepth / kSumBlock);
  std::vector<float> acc;
  // matmul in f32
  std::vector<float> weights;
  // attention
  std::vector<float> q, k, v;
  std::vector<int> first, last;
  std::vector<float> part, total;  // running softmax of a span, and of all spans so far

  static void grow(std::vector<float>& buffer, std::int64_t n) {
    if (static_cast<std::int64_t>(buffer.size()) < n) buffer.resize(static_cast<std::size_t>(n));
  }
  static void grow(std::vector<int>& buffer, std::int64_t n) {
    if (static_cast<std::int64_t>(buffer.size()) < n) buffer.resize(static_cast<std::size_t>(n));
  }
};

}  // namespace fourfold
