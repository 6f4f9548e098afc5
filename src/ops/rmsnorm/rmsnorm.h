// RMSNorm (Zhang and Sennrich 2019, eq. 4), with the residual addition that precedes it:
//   s = x + residual,  y = s * rstd(s) * weight,  rstd(s) = 1 / sqrt(mean(s^2) + eps)
// Statistics are accumulated in f32. Without a residual, s is x and `sum` must be absent.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct RmsNormForward {
  Tensor x;         // (T, D) storage
  Tensor residual;  // (T, D) storage, optional
  Tensor weight;    // (D) full
  double eps = 1e-6;
  Tensor sum;       // (T, D) storage, out: x + residual; exactly when residual is given
  Tensor y;         // (T, D) storage, out; rows may be strided
  Tensor rstd;      // (T) full, out
  void check() const;
  Cost cost() const;
};

struct RmsNormBackward {
  Tensor dy;      // (T, D) storage
  Tensor s;       // (T, D) storage: what was normalized
  Tensor weight;  // (D) full
  Tensor rstd;    // (T) full
  Tensor dsum;    // (T, D) storage, optional: gradient that reaches s by the residual path; added to dx. May alias dx.
  Tensor dx;      // (T, D) storage, out: gradient of s, hence of x and of residual
  Tensor dweight; // (D) full, out
  bool accumulate_dweight = false;
  void check() const;
  Cost cost() const;
};

void rmsnorm_forward(Device& device, const RmsNormForward& a);
void rmsnorm_backward(Device& device, const RmsNormBackward& a);

}  // namespace ballast::ops
