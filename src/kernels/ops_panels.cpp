// Integer products by panels of 16 weight rows: which of them a thread takes, how they are
// unpacked, and in which order they meet the tokens.
#include <algorithm>

#include "kernels/ops.h"
#include "kernels/ops_scratch.h"
#include "tensor/blocks.h"
#include "tensor/interleaved_rows.h"

namespace fourfold {
namespace {

// How the table packs a type straight from the file, if it does.
Packer packer_of(const Kernels& kernels, DType type) {
  switch (type) {
    case DType::Q4_0: return kernels.q4_0;
    case DType::Q5_0: return kernels.q5_0;
    case DType::Q8_0: return kernels.q8_0;
    case DType::Q4_K: return kernels.q4_k;
    case DType::Q5_K: return kernels.q5_k;
    case DType::Q6_K: return kernels.q6_k;
    case DType::IQ4_NL: return kernels.iq4_nl;
    case DType::IQ4_XS: return kernels.iq4_xs;
    case DType::MXFP4: return kernels.mxfp4;
    default: return {};
  }
}

const std::uint8_t* bytes_of(const std::byte* p) {
  return reinterpret_cast<const std::uint8_t*>(p);
}

// The other layout of a matrix, if it has that panel.
const InterleavedMatrix* copy_with(const Matrix& w, std::int64_t panel) {
  static_assert(kInterleave == kPanelRows && kInterleavePanels == kPanels);
  return w.interleaved && w.interleaved->has_panel(panel) ? w.interleaved : nullptr;
}

// Calls body(k, depth) for the columns from `first` to `last`, as they lie together in a copy.
template <class Body>
void for_interleaved(std::int64_t first, std::int64_t last, const Body& body) {
  for (std::int64_t k = first; k < last; k += kInterleaveDepth) {
    body(k, at_most(kInterleaveDepth, last - k));
  }
}

// The activations from a k on.
QuantView from_k(QuantView x, std::int64_t k) {
  x.q += k;
  if (x.q_fine) x.q_fine += k;
  x.scales += k / kActivationBlock;
  x.sums += k / kSumBlock;
  return x;
}

// Weights that are soon unpacked: so many pieces of memory, one every `stride` bytes.
struct Stretch {
  const std::byte* start = nullptr;
  std::int64_t stride = 0;
  std::int64_t n_pieces = 0;
  std::int64_t n_bytes = 0;  // of a piece
  // What is asked for next.
  std::int64_t piece = 0;
  std::int64_t byte = 0;

  // Asks for what is due when n of n_all parts of the work before it are done.
  void prefetch(std::int64_t n_done, std::int64_t n_all) {
    constexpr int kLine = 64, kIntoSecondCache = 2;
    const std::int64_t n_due = n_pieces * n_bytes * n_done / n_all;
    while (piece * n_bytes + byte < n_due) {
      __builtin_prefetch(start + piece * stride + byte, 0, kIntoSecondCache);
      byte += kLine;
      if (byte < n_bytes) continue;
      ++piece;
      byte = 0;
    }
  }
};

// What the same thread unpacks after the stretch of these panels that begins at k.
Stretch next_stretch(const Matrix& w, std::int64_t first, int n, std::int64_t end, std::int64_t k) {
  k += kPanelDepth;
  if (k >= w.n_cols) {
    k = 0;
    first += n;
    n = at_most(n, end - first);
  }
  const std::int64_t row = first * kPanelRows;
  const std::int64_t n_rows = std::min<std::int64_t>(n * kPanelRows, w.n_rows - row);
  if (n_rows <= 0) return {};
  const std::int64_t offset = size_bytes(w.dtype, k);
  const std::int64_t n_bytes =
      size_bytes(w.dtype, std::min<std::int64_t>(kPanelDepth, w.n_cols - k));
  const std::int64_t n_panels = n_rows / kPanelRows;
  if (const auto* copy = n_panels > 0 ? copy_with(w, first + n_panels - 1) : nullptr) {
    const int n_together = at_most(kPanels, n_panels);
    return {.start = copy->at(first, k),
            .stride = kPairRows * w.row_bytes(),
            .n_pieces = n_panels / n_together,
            .n_bytes = n_together * kPanelRows * n_bytes};
  }
  return {.start = w.row(row) + offset,
          .stride = w.row_bytes(),
          .n_pieces = n_rows,
          .n_bytes = n_bytes};
}

}  // namespace

void Ops::matmul_panels(const Matrix& w, const QuantView& x, MatView out, const Clip& clip) {
  const int unit = panels_of_unit(w, out.n_rows);
  pool_.parallel_for(n_panels_of(w), unit, [&](std::int64_t begin, std::int64_t end, int worker) {
    Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
    for (std::int64_t p = begin; p < end; p += unit) {
      multiply_unit(w, x, {p, at_most(unit, end - p), end}, s, out, clip);
    }
  });
}

// One tile has nothing to come back to. The sums of many tokens, of all products together, want
// room in the second cache, and all threads want something to do.
int Ops::panels_of_unit(const Matrix& w, std::int64_t n_tokens, int n_products) const {
  constexpr std::int64_t kMostSums = 10'240;  // panels times tokens
  if (n_tokens > 1 && n_tokens <= kTileTokens) return kPanels;
  const std::int64_t n =
      std::min(kMostSums / n_products / n_tokens, n_panels_of(w) / (4 * pool_.n_threads()));
  return static_cast<int>(std::clamp<std::int64_t>(n / kPanels * kPanels, kPanels, kUnitPanels));
}

void Ops::multiply_unit(const Matrix& w, const QuantView& x, PanelRange panels, Scratch& s,
                        MatView out, const Clip& clip) {
  const std::int64_t row = panels.first * kPanelRows;
  const std::int64_t n_rows = std::min<std::int64_t>(panels.n * kPanelRows, w.n_rows - row);
  out = out.columns(row, n_rows);
  const int n_whole = static_cast<int>(n_rows / kPanelRows);
  if (n_whole > 0) {
    multiply_panels(w, x, {panels.first, n_whole, panels.end}, out.n_rows, s,
                    {.first = out.data, .stride = out.stride, .pair_stride = kPairRows});
  }
  if (const std::int64_t n_left = n_rows - n_whole * kPanelRows) {
    float* sums = Scratch::room(s.last_panel, out.n_rows * kPanelRows);
    multiply_panels(w, x, {panels.first + n_whole, 1, panels.end}, out.n_rows, s,
                    {.first = sums, .stride = kPanelRows, .pair_stride = 0});
    for (std::int64_t t = 0; t < out.n_rows; ++t) {
      std::copy_n(sums + t * kPanelRows, n_left, out.row(t) + n_whole * kPanelRows);
    }
  }
  if (!clip.clips()) return;
  for (std::int64_t t = 0; t < out.n_rows; ++t) {
    kernels_.clamp(out.row(t), clip.low, clip.high, static_cast<int>(n_rows), out.row(t));
  }
}

void Ops::multiply_panels(const Matrix& w, const QuantView& x, PanelRange panels,
                          std::int64_t n_tokens, Scratch& s, const PairSums& sums) {
  if (n_tokens == 1 && dot_panels(w, x, panels, sums)) return;
  for (int p = 0; p < panels.n; p += kUnitPanels) {
    sum_panels(w, x, {panels.first + p, at_most(kUnitPanels, panels.n - p), panels.end}, n_tokens,
               s, sums.from(p));
  }
}

// One token meets the rows as they lie in the file or in a copy, if the table can do that with all
// of them.
bool Ops::dot_panels(const Matrix& w, const QuantView& x, PanelRange panels, const PairSums& sums) {
  const Packer packer = packer_of(kernels_, w.dtype);
  if (!packer.dot || w.pairs || (panels.first + panels.n) * kPanelRows > w.n_rows) return false;
  const int k = static_cast<int>(w.n_cols);
  for (int p = 0; p < panels.n; p += kPanels) {
    const int n = at_most(kPanels, panels.n - p);
    const std::int64_t first = panels.first + p;
    for (int i = 0; i < n; ++i) std::fill_n(sums.of(p + i, 0).first, kPanelRows, 0.0f);
    if (const InterleavedMatrix* copy = copy_with(w, first + n - 1)) {
      for_interleaved(0, k, [&](std::int64_t from, int depth) {
        const QuantView some = from_k(x, from);
        for (int i = 0; i < n; ++i) {
          packer.dot_interleaved(bytes_of(copy->at(first + i, from)), depth, some,
                                 sums.of(p + i, 0).first);
        }
      });
    } else {
      for (int i = 0; i < n; ++i) {
        packer.dot(bytes_of(w.row((first + i) * kPanelRows)), w.row_bytes(), k, x,
                   sums.of(p + i, 0).first);
      }
    }
  }
  return true;
}

// At most kUnitPanels panels.
void Ops::sum_panels(const Matrix& w, const QuantView& x, PanelRange panels, std::int64_t n_tokens,
                     Scratch& s, const PairSums& sums) {
  PanelView views[kUnitPanels] = {};
  for (std::int64_t k = 0; k < w.n_cols; k += kPanelDepth) {
    const int depth = at_most(kPanelDepth, w.n_cols - k);
    for (int p = 0; p < panels.n; ++p) {
      views[p] = pack_stretch(w, (panels.first + p) * kPanelRows, k, depth, s, s.panels[p]);
      views[p].starts = k == 0;
    }
    Stretch next = next_stretch(w, panels.first, panels.n, panels.end, k);
    for (std::int64_t t = 0; t < n_tokens; t += kTileTokens) {
      next.prefetch(t, n_tokens);
      const QuantView tile = rows_from(from_k(x, k), t);
      const int n = at_most(kTileTokens, n_tokens - t);
      for (int p = 0; p < panels.n; p += kPanels) {
        const PanelSums pair[kPanels] = {sums.of(p, t), sums.of(p + 1, t)};
        multiply(views + p, std::min(kPanels, panels.n - p), tile, n, pair);
      }
    }
  }
}

void Ops::multiply(const PanelView panels[], int n_panels, const QuantView& x, int n_tokens,
                   const PanelSums acc[]) {
  // A last panel that misses rows is packed in another way than the one before it.
  if (n_panels == 2 && panels[0].zero == panels[1].zero) {
    kernels_.matmul_two_panels(panels, x, n_tokens, acc);
    return;
  }
  for (int p = 0; p < n_panels; ++p) kernels_.matmul_panel(panels[p], x, n_tokens, acc[p]);
}

// A stretch of k of the rows from first_row on, as many as a panel holds or there are.
PanelView Ops::pack_stretch(const Matrix& w, std::int64_t first_row, std::int64_t k, int depth,
                            Scratch& s, ScratchPanel& panel) {
  const DTypeTraits& type = traits(w.dtype);
  const int n_rows = static_cast<int>(std::min<std::int64_t>(kPanelRows, w.n_rows - first_row));
  const Packer packer = packer_of(kernels_, w.dtype);
  const bool direct = packer.pack && n_rows == kPanelRows;
  const std::int64_t offset = size_bytes(w.dtype, k);
  if (direct) {
    const PanelOut out = {
        .q = panel.q.data(), .scales = panel.scales.data(), .offsets = panel.offsets.data()};
    const std::int64_t first_panel = first_row / kPanelRows;
    if (const InterleavedMatrix* copy = copy_with(w, first_panel)) {
      static_assert(kPanelDepth % kInterleaveDepth == 0);
      for_interleaved(k, k + depth, [&](std::int64_t from, int n) {
        const std::int64_t at = kPanelRows * (from - k);
        packer.pack_interleaved(bytes_of(copy->at(first_panel, from)), n,
                                {.q = out.q + at,
                                 .scales = out.scales + at / type.group,
                                 .offsets = out.offsets + at / type.group});
      });
    } else {
      packer.pack(bytes_of(w.row(first_row) + offset), w.row_bytes(), depth, out);
    }
  } else {
    const std::byte* start = w.row(first_row) + offset;
    if (n_rows < kPanelRows) {  // rows that do not exist weigh nothing
      std::fill(s.rows.begin(), s.rows.end(), std::int8_t{0});
      std::fill(panel.scales.begin(), panel.scales.end(), 0.0f);
      std::fill(panel.offsets.begin(), panel.offsets.end(), 0.0f);
    }
    const int n_groups = depth / type.group;
    for (int r = 0; r < n_rows; ++r) {
      unpack_blocks(w.dtype, start + r * w.row_bytes(), depth / type.block,
                    s.rows.data() + r * kPanelDepth, s.row_scales.data(),
                    type.has_min ? s.row_offsets.data() : nullptr);
      for (int g = 0; g < n_groups; ++g) panel.scales[g * kPanelRows + r] = s.row_scales[g];
      if (!type.has_min) continue;
      for (int g = 0; g < n_groups; ++g) panel.offsets[g * kPanelRows + r] = s.row_offsets[g];
    }
    kernels_.pack_panel(s.rows.data(), kPanelDepth, depth, panel.q.data());
  }
  return {.q = panel.q.data(),
          .scales = panel.scales.data(),
          .offsets = type.has_min ? panel.offsets.data() : nullptr,
          .k = depth,
          .group = w.pairs ? 2 * type.group : type.group,
          .zero = direct ? packer.zero : kernels_.panel_zero};
}

}  // namespace fourfold
