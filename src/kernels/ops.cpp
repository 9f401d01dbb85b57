#include "kernels/ops.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
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
    const QuantView q = quantized(x, w);
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

// Row by row, so that the pages of a file can leave again.
void Ops::fit_q8_0(const Matrix& m, std::int64_t n_cols, bool pairs, std::byte* out) {
  constexpr std::int64_t kRows = 16;
  const std::int64_t row_bytes = size_bytes(DType::Q8_0, n_cols);
  pool_.parallel_for(m.n_rows, kRows, [&](std::int64_t begin, std::int64_t end, int) {
    std::vector<float> row(static_cast<std::size_t>(n_cols));
    for (std::int64_t r = begin; r < end; ++r) {
      dequantize(m.dtype, m.row(r), m.n_cols, row.data());
      kernels_.fit_q8_0(row.data(), static_cast<int>(n_cols), pairs,
                        reinterpret_cast<std::uint8_t*>(out) + r * row_bytes);
    }
  });
}

QuantView Ops::quantized(Activations& x, const Matrix& w) {
  const bool fine = w.fine;
  Activations::Integers& form = fine ? x.fine_ : w.pairs ? x.pairs_ : x.plain_;
  const std::int64_t k = x.x_.n_cols;
  CHECK(!w.pairs || (!fine && k % (2 * kActivationBlock) == 0));
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
        std::int8_t* q = form.q.data() + r * k;
        float* scales = form.scales.data() + r * k / kActivationBlock;
        std::int32_t* sums = form.sums.data() + r * k / kSumBlock;
        if (w.pairs) {
          kernels_.quantize_pairs(row, static_cast<int>(k), q, scales, sums);
        } else {
          kernels_.quantize(row, static_cast<int>(k), q,
                            fine ? form.q_fine.data() + r * k : nullptr, scales, sums);
        }
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
