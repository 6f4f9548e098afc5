// The definition of grouped_linear: linear on each expert's rows.
#pragma once

#include "ops/grouped_linear/grouped_linear.h"
#include "ops/linear/ref.h"

namespace ballast::ops::ref {

// Expert e's rows with their padding; padding rows are zero, so products over them add nothing.
inline Tensor expert_rows(const Ragged& x, const Tensor& rows, int64_t e) {
  return rows.rows(x.offs.at<int32_t>(e), x.offs.at<int32_t>(e + 1));
}

template <class T>
void grouped_linear_forward(const GroupedLinearForward& a) {
  for (int64_t e = 0; e < a.x.experts(); ++e) {
    if (a.x.count.at<int32_t>(e) == 0) continue;
    linear_forward<T>({.x = expert_rows(a.x, a.x.rows, e), .weight = a.weight.index(e), .y = expert_rows(a.x, a.y, e)});
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
