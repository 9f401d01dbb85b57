// The upper floor: operations on whole matrices, spread over the thread pool. Models call these.
//
// Nothing here changes a result with the number of threads, rows or the order of work: see table.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/aligned_vector.h"
#include "kernels/clip.h"
#include "kernels/kv_view.h"
#include "kernels/op_times.h"
#include "kernels/table.h"
#include "tensor/matrix.h"

namespace fourfold {

// f32 rows that several matrices will be multiplied with; each integer form is made once, when the
// first quantised matrix asks for it.
class Activations {
 public:
  // Shows new rows. The memory stays the caller's; call again whenever its contents change. Their
  // integers are those of the rows within `clip`; to f32 products it does nothing.
  void set(MatView x, const Clip& clip = {}) {
    x_ = x;
    clip_ = clip;
    plain_.ready = fine_.ready = pairs_.ready = false;
  }
  const MatView& f32() const { return x_; }

 private:
  friend class Ops;
  struct Integers {
    bool ready = false;
    std::vector<std::int8_t> q, q_fine;
    std::vector<float> scales;
    std::vector<std::int32_t> sums;
  };
  MatView x_;
  Clip clip_;
  Integers plain_, fine_, pairs_;
};

// One of several products with the same activations: of the rows from first_row on, as many as
// `out` has.
struct Product {
  const Matrix* w = nullptr;
  MatView out;  // [n, n_rows of w]
  std::int64_t first_row = 0;
};

// What a gated feed-forward makes of rows: gelu(gate · x) ⊙ up · x, each product within its bounds,
// and all within those of the product that follows, in the form of integers which that one meets.
struct GatedProduct {
  const Matrix* gate = nullptr;
  const Matrix* up = nullptr;
  Clip gate_clip, up_clip, clip;
  bool fine = false;
};

// One query row of attention: it sees the keys [first_key, last_key) of its sequence.
struct AttentionRow {
  const KvView* kv = nullptr;
  std::int64_t first_key = 0;
  std::int64_t last_key = 0;
};

class Ops {
 public:
  // exact: every product in f32 on dequantised weights; else quantised weights meet int8.
  Ops(const Kernels& kernels, ThreadPool& pool, bool exact);
  ~Ops();

  const Kernels& kernels() const { return kernels_; }
  ThreadPool& pool() const { return pool_; }
  bool exact() const { return exact_; }
  // Operations add their times there until it is null again.
  void set_times(OpTimes* times) { times_ = times; }

  // out[t, r] = w[r] · x[t], within `clip`.  out [T, n_rows]
  void matmul(const Matrix& w, Activations& x, MatView out, const Clip& clip = {});

  // The same for several matrices in one phase of the threads:
  //   ops.matmul_group({{&w_gate, gate}, {&w_up, up}}, x);
  void matmul_group(std::span<const Product> products, Activations& x);
  void matmul_group(std::initializer_list<Product> products, Activations& x) {
    matmul_group(std::span(products.begin(), products.size()), x);
  }

  // Puts the values of a gated product into `hidden`, as integers in one form only; columns up to a
  // whole block are zero. The same bits as matmul, gelu_multiply and set give.
  void gated_matmul(const GatedProduct& p, Activations& x, Activations& hidden);
  // Both products meet integers, and so gated_matmul can do it.
  bool gates_integers(const GatedProduct& p) const;

  // The rows of a matrix as Q8_0 blocks of least squared error, with zeros up to n_cols, a multiple
  // of 32, and of 64 with `pairs`: the scales are equal in pairs, as Matrix::pairs wants them.
  void fit_q8_0(const Matrix& m, std::int64_t n_cols, bool pairs, std::byte* out);

  void rms_norm(MatView x, const float* weight, float eps, MatView out);
  void add(MatView x, MatView y);  // x += y
  void scale(MatView x, float factor);
  void gelu_multiply(MatView gate, MatView up, MatView out);
  void softcap(MatView x, float cap);

  // q and out [rows.size(), n_heads · channels]; scores are q·k as they come.
  // Rows of one sequence that follow each other share their key blocks.
  void attend(std::span<const AttentionRow> rows, MatView q, int n_heads, MatView out);

  // Calls body(row) for all rows, spread over the threads.
  template <class Body>
  void for_rows(std::int64_t n_rows, const Body& body) {
    const OpTimer timer(times_, OpKind::Rows);
    pool_.parallel_for(n_rows, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t r = begin; r < end; ++r) body(r);
    });
  }

 private:
  struct Scratch;  // of one worker
  struct ScratchPanel;
  struct PairSums;
  struct Attention;  // one call of attend

  // A product of a group whose weights meet integers.
  struct GroupPart {
    const Product* product = nullptr;
    QuantView x;
    int unit_panels = 0;
    std::int64_t first_unit = 0;
  };
  // Panels that a thread takes at once, of those up to `end` which it will take.
  struct PanelRange {
    std::int64_t first = 0;
    int n = 0;
    std::int64_t end = 0;
  };

  // Query rows of one sequence that follow each other, times one KV head.
  struct AttentionTile {
    int first_row = 0;
    int n_rows = 0;
    int kv_head = 0;
    std::int64_t first_span = 0;
    std::int64_t last_span = 0;  // one past
  };
  struct SpanTask {
    std::size_t tile = 0;
    std::int64_t span = 0;
    std::int64_t offset = 0;  // of its state in partials_
  };

  // Calls body(row, first column, columns) for stretches of all rows, spread over the threads: for
  // what treats each value by itself. Long rows are cut, so that one of them keeps all busy.
  template <class Body>
  void for_stretches(MatView x, const Body& body) {
    constexpr std::int64_t kColumns = 4096;
    const std::int64_t n = (x.n_cols + kColumns - 1) / kColumns;
    pool_.parallel_for(x.n_rows * n, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t first = i % n * kColumns;
        body(i / n, first, static_cast<int>(std::min(kColumns, x.n_cols - first)));
      }
    });
  }

  // The rows as the integers that such weights meet, from their first k on.
  QuantView quantized(Activations& x, const Matrix& w);
  void matmul_exact(const Matrix& w, const MatView& x, MatView out);
  void matmul_panels(const Matrix& w, const QuantView& x, MatView out, const Clip& clip);
  int panels_of_unit(const Matrix& w, std::int64_t n_tokens, int n_products = 1) const;
  void multiply_unit(const Matrix& w, const QuantView& x, PanelRange panels, Scratch& s,
                     MatView out, const Clip& clip);
  void multiply_group_unit(std::int64_t unit, int worker);
  void multiply_panels(const Matrix& w, const QuantView& x, PanelRange panels,
                       std::int64_t n_tokens, Scratch& s, const PairSums& sums);
  bool dot_panels(const Matrix& w, const QuantView& x, PanelRange panels, const PairSums& sums);
  void sum_panels(const Matrix& w, const QuantView& x, PanelRange panels, std::int64_t n_tokens,
                  Scratch& s, const PairSums& sums);
  void multiply(const PanelView panels[], int n_panels, const QuantView& x, int n_tokens,
                const PanelSums acc[]);
  void multiply_gated(const GatedProduct& p, const QuantView& gate_x, const QuantView& up_x,
                      PanelRange panels, std::int64_t n_tokens, Scratch& s);
  void put_blocks(const GatedProduct& p, PanelRange panels, std::int64_t n_tokens, Scratch& s,
                  Activations::Integers& out);
  void gate(const GatedProduct& p, float* gate, float* up, int n);
  PanelView pack_stretch(const Matrix& w, std::int64_t first_row, std::int64_t k, int depth,
                         Scratch& scratch, ScratchPanel& panel);

  void list_tiles(std::span<const AttentionRow> rows, int group);
  void attend_tiles(const Attention& attention);
  void attend_spans_apart(const Attention& attention);

  const Kernels& kernels_;
  ThreadPool& pool_;
  bool exact_;
  OpTimes* times_ = nullptr;
  std::vector<std::unique_ptr<Scratch>> scratch_;  // one a worker
  std::vector<GroupPart> group_;
  std::vector<AttentionTile> tiles_;
  std::vector<SpanTask> span_tasks_;
  AlignedVector<float> partials_;  // attention spans computed apart
};

}  // namespace fourfold
