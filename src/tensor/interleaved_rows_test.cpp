#include "tensor/interleaved_rows.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace fourfold {
namespace {

const DType kTypes[] = {DType::Q4_0, DType::Q5_0,   DType::Q8_0,   DType::Q4_K, DType::Q5_K,
                        DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS, DType::MXFP4};

// Byte i of row r is told by its value, as far as a byte can tell.
std::vector<std::byte> numbered_rows(std::int64_t row_bytes, int n_rows) {
  std::vector<std::byte> rows(static_cast<std::size_t>(row_bytes * n_rows));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::byte>(i * 37 >> 3);
  return rows;
}

TEST(InterleaveRows, PutsItemsOfAllRowsSideBySide) {
  const auto rows = numbered_rows(18, kInterleave);
  std::vector<std::byte> panel(rows.size());
  interleave_rows(DType::Q4_0, rows.data(), 18, 18, panel.data());
  for (int r = 0; r < kInterleave; ++r) {
    EXPECT_EQ(std::memcmp(panel.data() + 2 * r, rows.data() + 18 * r, 2), 0);
    for (int i = 0; i < 4; ++i) {
      const auto at = static_cast<std::size_t>(16 * 2 + 64 * i + 4 * r);
      EXPECT_EQ(std::memcmp(panel.data() + at, rows.data() + 18 * r + 2 + 4 * i, 4), 0);
    }
  }
}

TEST(InterleaveRows, MovesEveryByteOnce) {
  for (const DType type : kTypes) {
    SCOPED_TRACE(name(type));
    const std::int64_t row_bytes = 2 * traits(type).block_bytes;
    const auto n = static_cast<std::size_t>(kInterleave * row_bytes);
    // Two rounds number all bytes in base 256.
    std::vector<std::size_t> sources(n);
    for (const int shift : {0, 8}) {
      std::vector<std::byte> rows(n), panel(n);
      for (std::size_t i = 0; i < n; ++i) rows[i] = static_cast<std::byte>(i >> shift);
      interleave_rows(type, rows.data(), row_bytes, row_bytes, panel.data());
      for (std::size_t i = 0; i < n; ++i) sources[i] += static_cast<std::size_t>(panel[i]) << shift;
    }
    std::vector<bool> seen(n);
    for (const std::size_t source : sources) {
      ASSERT_LT(source, n);
      EXPECT_FALSE(seen[source]);
      seen[source] = true;
    }
  }
}

// Three panels of a stretch and a rest: two panels lie together, the last one lies alone.
TEST(InterleavedMatrix, KeepsTheStretchesOfTwoPanelsTogether) {
  constexpr int kRows = 3 * kInterleave + 5, kRest = 64;
  Matrix w{.dtype = DType::Q8_0, .n_rows = kRows, .n_cols = kInterleaveDepth + kRest};
  const auto rows = numbered_rows(w.row_bytes(), kRows);
  w.data = rows.data();
  ASSERT_TRUE(InterleavedMatrix::suits(w));
  ASSERT_EQ(InterleavedMatrix::size_bytes(w), 3 * kInterleave * w.row_bytes());
  std::vector<std::byte> memory(static_cast<std::size_t>(InterleavedMatrix::size_bytes(w)));
  InterleavedMatrix matrix(w, memory.data());
  EXPECT_EQ(matrix.n_panels(), 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(matrix.has_panel(i));
    matrix.fill_next();
    EXPECT_TRUE(matrix.has_panel(i));
  }
  const std::byte* place = memory.data();
  const auto expect_next = [&](int panel, int k, int depth) {
    const std::int64_t n_bytes = size_bytes(w.dtype, depth);
    std::vector<std::byte> expected(static_cast<std::size_t>(kInterleave * n_bytes));
    interleave_rows(w.dtype, w.row(panel * kInterleave) + size_bytes(w.dtype, k), w.row_bytes(),
                    n_bytes, expected.data());
    EXPECT_EQ(matrix.at(panel, k), place);
    EXPECT_EQ(std::memcmp(place, expected.data(), expected.size()), 0) << panel << ", " << k;
    place += expected.size();
  };
  expect_next(0, 0, kInterleaveDepth);
  expect_next(1, 0, kInterleaveDepth);
  expect_next(0, kInterleaveDepth, kRest);
  expect_next(1, kInterleaveDepth, kRest);
  expect_next(2, 0, kInterleaveDepth);
  expect_next(2, kInterleaveDepth, kRest);
}

TEST(InterleavedMatrix, SuitsQuantisedMatricesOfAPanelOrMore) {
  const auto rows = numbered_rows(64 * 4, kInterleave);
  const Matrix w{.dtype = DType::Q4_0, .data = rows.data(), .n_rows = kInterleave, .n_cols = 64};
  EXPECT_TRUE(InterleavedMatrix::suits(w));
  EXPECT_FALSE(InterleavedMatrix::suits(w.rows(0, kInterleave - 1)));
  EXPECT_FALSE(InterleavedMatrix::suits({}));
  Matrix floats = w;
  floats.dtype = DType::BF16;
  EXPECT_FALSE(InterleavedMatrix::suits(floats));
}

}  // namespace
}  // namespace fourfold
