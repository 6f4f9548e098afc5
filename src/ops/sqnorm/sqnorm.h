// Squared 2-norm of a flat array, and the gradient clipping that follows from it (Pascanu et al. 2013):
//   grad_scale = min(1, max_norm / (norm + 1e-6))
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct SquaredNorm {
  Tensor x;    // (n) full
  Tensor out;  // (1) full
  bool accumulate = false;
  void check() const;
  Cost cost() const;
};

struct ClipScale {
  Tensor squared_norm;  // (1) full
  double max_norm = 1;  // 0: no clipping
  Tensor nonfinite;     // i32 (1): the router's sticky flag
  Tensor norm;          // (1) full, out
  Tensor grad_scale;    // (1) full, out
  Tensor skip;          // i32 (1), out: 1 if the norm is not finite or the flag is set
  void check() const;
  Cost cost() const;
};

void squared_norm(Device& device, const SquaredNorm& a);
void clip_scale(Device& device, const ClipScale& a);

}  // namespace ballast::ops
