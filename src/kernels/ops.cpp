#include "kernels/ops.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/checked.h"
#include "kernels/ops_scratch.h"
#include "tensor/blocks.h"
#include "tensor/interleaved_rows.h"

namespace fourfold {
namespace {

// matmul in f32: rows dequantised at a time, tokens that meet them while they are in the cache.
constexpr int kExactRows = 16;
constexpr int kExactTokens = 16;

bool is_aligned(const void* p, std::size_t n) {
  return reinterpret_cast<std::uintptr_t>(p) % n == 0;
}

void dequantize_rows(const Kernels& kernels, const Matrix& w, std::int64_t first, int n_rows,
                     float* out) {
  const bool is_f16 = w.dtype == DType::F16 && is_aligned(w.data, alignof(std::uint16_t));
  for (int r = 0; r < n_rows; ++r, out += w.n_cols) {
    const std::byte* row = w.row(first + r);
    if (is_f16) {
      kernels.f32_from_f16(reinterpret_cast<const std::uint16_t*>(row), static_cast<int>(w.n_cols),
                           out);
    } else {
      dequantize(w.dtype, row, w.n_cols, out);
    }
  }
}

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

// The 16 rows from first_row on in their other layout, or null.
const std::uint8_t* interleaved_panel(const Matrix& w, std::int64_t first_row) {
  static_assert(kInterleave == kPanelRows);
  if (!w.interleaved) return nullptr;
  return bytes_of(w.interleaved->panel(first_row / kPanelRows));
}

// The activations from a k on.
QuantView from_k(QuantView x, std::int64_t k) {
  x.q += k;
  if (x.q_fine) x.q_fine += k;
  x.scales += k / kActivationBlock;
  x.sums += k / kSumBlock;
  return x;
}

// Copies a token's sums of a panel, of which n_rows are there.
void place(const float* sums, std::int64_t n_rows, float* out) {
  if (n_rows >= kPanelRows) {  // a size that the compiler knows
    std::memcpy(out, sums, sizeof(float) * kPanelRows);
  } else {
    std::memcpy(out, sums, sizeof(float) * static_cast<std::size_t>(n_rows));
  }
}

}  // namespace

Ops::Ops(const Kernels& kernels, ThreadPool& pool, bool exact)
    : kernels_(kernels), pool_(pool), exact_(exact) {
  for (int i = 0; i < pool.n_threads(); ++i) scratch_.push_back(std::make_unique<Scratch>());
}

Ops::~Ops() = default;

void Ops::matmul(const Matrix& w, Activations& x, MatView out, const Clip& clip) {
  CHECK(x.x_.n_cols == w.n_cols && out.n_cols == w.n_rows && out.n_rows == x.x_.n_rows);
  if (out.n_rows == 0) return;
  const bool integers = traits(w.dtype).quantised() && !exact_;
  const bool clip_panels = integers && w.scale == 1.0f;  // while they are in the cache
  if (integers) {
    const QuantView q = quantized(x, w.fine);
    const OpTimer timer(times_, w, out.n_rows);
    matmul_panels(w, q, out, clip_panels ? clip : Clip{});
  } else {
    const OpTimer timer(times_, w, out.n_rows);
    matmul_exact(w, x.x_, out);
  }
  if (w.scale != 1.0f) scale(out, w.scale);
  if (!clip.clips() || clip_panels) return;
  for_rows(out.n_rows, [&](std::int64_t r) {
    kernels_.clamp(out.row(r), clip.low, clip.high, static_cast<int>(out.n_cols), out.row(r));
  });
}

QuantView Ops::quantized(Activations& x, bool fine) {
  Activations::Integers& form = fine ? x.fine_ : x.plain_;
  const std::int64_t k = x.x_.n_cols;
  if (!form.ready) {
    const OpTimer timer(times_, OpKind::Quantize);
    form.ready = true;
    const auto n = static_cast<std::size_t>(x.x_.n_rows * k);
    if (form.q.size() < n) {
      form.q.resize(n);
      if (fine) form.q_fine.resize(n);
      form.scales.resize(n / kActivationBlock);
      form.sums.resize(n / kSumBlock);
    }
    pool_.parallel_for(x.x_.n_rows, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
      std::vector<float>& clipped = scratch_[static_cast<std::size_t>(worker)]->clipped;
      if (x.clip_.clips()) Scratch::grow(clipped, k);
      for (std::int64_t r = begin; r < end; ++r) {
        const float* row = x.x_.row(r);
        if (x.clip_.clips()) {
          kernels_.clamp(row, x.clip_.low, x.clip_.high, static_cast<int>(k), clipped.data());
          row = clipped.data();
        }
        kernels_.quantize(row, static_cast<int>(k), form.q.data() + r * k,
                          fine ? form.q_fine.data() + r * k : nullptr,
                          form.scales.data() + r * k / kActivationBlock,
                          form.sums.data() + r * k / kSumBlock);
      }
    });
  }
  return {.q = form.q.data(),
          .q_fine = fine ? form.q_fine.data() : nullptr,
          .scales = form.scales.data(),
          .sums = form.sums.data(),
          .q_stride = k,
          .scale_stride = k / kActivationBlock,
          .sum_stride = k / kSumBlock};
}

void Ops::matmul_exact(const Matrix& w, const MatView& x, MatView out) {
  const int k = static_cast<int>(w.n_cols);
  // Rows of floats are used where they lie; all others are dequantised into a buffer.
  const bool is_f32 = w.dtype == DType::F32 && is_aligned(w.data, alignof(float));
  const bool is_bf16 = w.dtype == DType::BF16 && is_aligned(w.data, alignof(std::uint16_t));
  pool_.parallel_for(w.n_rows, kExactRows, [&](std::int64_t begin, std::int64_t end, int worker) {
    Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
    for (std::int64_t r = begin; r < end; r += kExactRows) {
      const int n_rows = static_cast<int>(std::min<std::int64_t>(kExactRows, end - r));
      const auto* floats = reinterpret_cast<const float*>(w.row(r));
      if (!is_f32 && !is_bf16) {
        Scratch::grow(s.weights, kExactRows * w.n_cols);
        dequantize_rows(kernels_, w, r, n_rows, s.weights.data());
        floats = s.weights.data();
      }
      for (std::int64_t t = 0; t < x.n_rows; t += kExactTokens) {
        const int n_tokens = static_cast<int>(std::min<std::int64_t>(kExactTokens, x.n_rows - t));
        if (is_bf16) {
          kernels_.matmul_bf16(reinterpret_cast<const std::uint16_t*>(w.row(r)), w.n_cols, n_rows,
                               x.row(t), x.stride, n_tokens, k, out.row(t) + r, out.stride);
        } else {
          kernels_.matmul_f32(floats, w.n_cols, n_rows, x.row(t), x.stride, n_tokens, k,
                              out.row(t) + r, out.stride);
        }
      }
    }
  });
}

void Ops::matmul_panels(const Matrix& w, const QuantView& x, MatView out, const Clip& clip) {
  const std::int64_t n_panels = round_up(w.n_rows, kPanelRows) / kPanelRows;
  pool_.parallel_for(n_panels, kPanels, [&](std::int64_t begin, std::int64_t end, int worker) {
    Scratch& s = *scratch_[static_cast<std::size_t>(worker)];
    for (std::int64_t p = begin; p < end; p += kPanels) multiply_panels(w, x, p, s, out, clip);
  });
}

// kPanels panels, or those that there are.
void Ops::multiply_panels(const Matrix& w, const QuantView& x, std::int64_t first_panel, Scratch& s,
                          MatView out, const Clip& clip) {
  const std::int64_t n_panels = round_up(w.n_rows, kPanelRows) / kPanelRows;
  const std::int64_t row = first_panel * kPanelRows;
  const int n = static_cast<int>(std::min<std::int64_t>(kPanels, n_panels - first_panel));
  if (out.n_rows > 1 || !dot_rows(w, x, row, n, s, out, clip)) {
    panel_rows(w, x, row, n, s, out, clip);
  }
}

// One token meets the rows as they lie in the file, if the table can do that with all of them.
bool Ops::dot_rows(const Matrix& w, const QuantView& x, std::int64_t first_row, int n_panels,
                   Scratch& s, MatView out, const Clip& clip) {
  const Packer packer = packer_of(kernels_, w.dtype);
  if (!packer.dot || first_row + n_panels * kPanelRows > w.n_rows) return false;
  Scratch::grow(s.acc, kPanelRows);
  for (int p = 0; p < n_panels; ++p, first_row += kPanelRows) {
    std::fill_n(s.acc.begin(), kPanelRows, 0.0f);
    const int k = static_cast<int>(w.n_cols);
    if (const std::uint8_t* panel = interleaved_panel(w, first_row)) {
      packer.dot_interleaved(panel, k, x, s.acc.data());
    } else {
      packer.dot(bytes_of(w.row(first_row)), w.row_bytes(), k, x, s.acc.data());
    }
    if (clip.clips()) {
      kernels_.clamp(s.acc.data(), clip.low, clip.high, kPanelRows, s.acc.data());
    }
    std::copy_n(s.acc.begin(), kPanelRows, out.row(0) + first_row);
  }
  return true;
}

void Ops::panel_rows(const Matrix& w, const QuantView& x, std::int64_t first_row, int n_panels,
                     Scratch& s, MatView out, const Clip& clip) {
  const std::int64_t n_tokens = out.n_rows;
  const std::int64_t n_sums = n_panels * n_tokens * kPanelRows;
  Scratch::grow(s.acc, n_sums);
  float* const acc[kPanels] = {s.acc.data(), s.acc.data() + (n_panels - 1) * n_tokens * kPanelRows};
  for (std::int64_t k = 0; k < w.n_cols; k += kPanelDepth) {
    const int depth = static_cast<int>(std::min<std::int64_t>(kPanelDepth, w.n_cols - k));
    PanelView panels[kPanels] = {};
    for (int p = 0; p < n_panels; ++p) {
      panels[p] = pack_stretch(w, first_row + p * kPanelRows, k, depth, s, s.panels[p]);
      panels[p].starts = k == 0;
    }
    multiply(panels, n_panels, from_k(x, k), static_cast<int>(n_tokens), acc);
  }
  if (clip.clips()) {
    kernels_.clamp(s.acc.data(), clip.low, clip.high, static_cast<int>(n_sums), s.acc.data());
  }
  // Both panels' sums of a token lie side by side: whole cache lines, one behind the other.
  for (std::int64_t t = 0; t < n_tokens; ++t) {
    for (int p = 0; p < n_panels; ++p) {
      const std::int64_t row = first_row + p * kPanelRows;
      place(acc[p] + t * kPanelRows, w.n_rows - row, out.row(t) + row);
    }
  }
}

void Ops::multiply(const PanelView panels[], int n_panels, const QuantView& x, int n_tokens,
                   float* const acc[]) {
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
    if (const std::uint8_t* interleaved = interleaved_panel(w, first_row)) {
      packer.pack_interleaved(interleaved + kPanelRows * offset, depth, out);
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
          .group = type.group,
          .zero = direct ? packer.zero : kernels_.panel_zero};
}

void Ops::rms_norm(MatView x, const float* weight, float eps, MatView out) {
  const OpTimer timer(times_, OpKind::RmsNorm);
  for_rows(x.n_rows, [&](std::int64_t r) {
    kernels_.rms_norm(x.row(r), weight, static_cast<int>(x.n_cols), eps, out.row(r));
  });
}

void Ops::add(MatView x, MatView y) {
  const OpTimer timer(times_, OpKind::Add);
  for_rows(x.n_rows,
           [&](std::int64_t r) { kernels_.add(x.row(r), y.row(r), static_cast<int>(x.n_cols)); });
}

void Ops::scale(MatView x, float factor) {
  const OpTimer timer(times_, OpKind::Scale);
  for_stretches(x, [&](std::int64_t r, std::int64_t first, int n) {
    kernels_.scale(x.row(r) + first, factor, n);
  });
}

void Ops::gelu_multiply(MatView gate, MatView up, MatView out) {
  const OpTimer timer(times_, OpKind::GeluMultiply);
  for_stretches(gate, [&](std::int64_t r, std::int64_t first, int n) {
    kernels_.gelu_multiply(gate.row(r) + first, up.row(r) + first, n, out.row(r) + first);
  });
}

void Ops::softcap(MatView x, float cap) {
  const OpTimer timer(times_, OpKind::Softcap);
  for_stretches(x, [&](std::int64_t r, std::int64_t first, int n) {
    kernels_.softcap(x.row(r) + first, n, cap);
  });
}

}  // namespace fourfold
