// The definition of grouped_linear: linear on each expert's rows.
#pragma once

#include <vector>

#include "ops/grouped_linear/grouped_linear.h"
#include "ops/linear/ref.h"

namespace ballast::ops::ref {

// Expert e's rows with their padding; padding rows are zero, so products over them add nothing.
inline Tensor expert_rows(const Ragged& x, const Tensor& rows, int64_t e) {
  return rows.rows(x.offs.at<int32_t>(e), x.offs.at<int32_t>(e + 1));
}

// What a mapped expert's weights are: (N, K), a code times its block's scale in f32.
template <class T>
std::vector<T> expert_values(const MappedExperts& m, int64_t e) {
  std::vector<T> values;
  const int64_t rows = m.part_rows(), blocks = (m.cols + kFp8Block - 1) / kFp8Block;
  for (int64_t part = 0; part < m.parts; ++part) {
    const MappedMatrix& matrix = m.matrix(e, part);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < m.cols; ++j) {
        const int64_t at = i * m.cols + j;
        values.push_back(T(matrix.scales.empty()
                               ? float(static_cast<const bf16*>(matrix.data)[at])
                               : float(static_cast<const e4m3*>(matrix.data)[at]) *
                                     matrix.scales[static_cast<size_t>(i / kFp8Block * blocks + j / kFp8Block)]));
      }
  }
  return values;
}

template <class T>
void grouped_linear_forward(const GroupedLinearForward& a) {
  for (int64_t e = 0; e < a.x.experts(); ++e) {
    if (a.x.count.at<int32_t>(e) == 0) continue;
    std::vector<T> values;
    if (a.mapped) values = expert_values<T>(*a.mapped, e);
    const Tensor weight = a.mapped ? Tensor(values.data(), a.x.rows.dtype, {a.mapped->rows, a.mapped->cols})
                                   : a.weight.index(e);
    linear_forward<T>({.x = expert_rows(a.x, a.x.rows, e), .weight = weight, .y = expert_rows(a.x, a.y, e)});
    if (a.executed) a.executed.at<int64_t>(0) += 1;
  }
}

template <class T>
void grouped_linear_backward(const GroupedLinearBackward& a) {
  for (int64_t e = 0; e < a.x.experts(); ++e) {
    LinearBackward expert{.dy = expert_rows(a.x, a.dy, e), .x = expert_rows(a.x, a.x.rows, e)};
    if (a.dx && expert.dy[0] > 0) {
      expert.weight = a.weight.index(e);
      expert.dx = expert_rows(a.x, a.dx, e);
    }
    if (a.dweight) {
      expert.dweight = a.dweight.index(e);
      expert.accumulate_dweight = a.accumulate_dweight;
    }
    linear_backward<T>(expert);
  }
}

}  // namespace ballast::ops::ref
