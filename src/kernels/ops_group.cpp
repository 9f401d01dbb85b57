// Products that share one phase of the threads: decode has many small ones, and each phase of its
// own would begin with threads that wait for each other and for the memory.
#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/checked.h"
#include "kernels/ops.h"
#include "kernels/ops_scratch.h"

namespace fourfold {

void Ops::matmul_group(std::span<const Product> products, Activations& x) {
  group_.clear();
  std::int64_t n_units = 0;  // stretches of panels, of all products
  for (const Product& product : products) {
    const Matrix& w = *product.w;
    const std::int64_t n = product.out.n_rows;
    CHECK(x.x_.n_cols == w.n_cols && product.out.n_cols == w.n_rows);
    CHECK(product.first_row >= 0 && product.first_row + n <= x.x_.n_rows);
    if (n == 0) continue;
    if (traits(w.dtype).quantised() && !exact_) {
      const int unit = panels_of_unit(w, n);
      group_.push_back({&product, rows_from(quantized(x, w), product.first_row), unit, n_units});
      n_units += round_up(n_panels_of(w), unit) / unit;
    } else {
      const OpTimer timer(times_, w, n);
      matmul_exact(w, x.x_.rows(product.first_row, n), product.out);
    }
  }
  {
    GroupTimer timer(times_);
    for (const GroupPart& part : group_) timer.add(*part.product->w, part.product->out.n_rows);
    pool_.parallel_for(n_units, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
      for (std::int64_t unit = begin; unit < end; ++unit) multiply_group_unit(unit, worker);
    });
  }
  for (const Product& product : products) {
    if (product.w->scale != 1.0f) scale(product.out, product.w->scale);
  }
}

void Ops::multiply_group_unit(std::int64_t unit, int worker) {
  const auto after =
      std::upper_bound(group_.begin(), group_.end(), unit,
                       [](std::int64_t u, const GroupPart& part) { return u < part.first_unit; });
  const GroupPart& part = *std::prev(after);
  const Matrix& w = *part.product->w;
  const std::int64_t first = (unit - part.first_unit) * part.unit_panels;
  const std::int64_t end = n_panels_of(w);
  multiply_unit(w, part.x, {first, at_most(part.unit_panels, end - first), end},
                *scratch_[static_cast<std::size_t>(worker)], part.product->out, {});
}

}  // namespace fourfold
