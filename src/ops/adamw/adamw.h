// AdamW (Loshchilov and Hutter 2019, algorithm 2) with decoupled weight decay, over flat arrays:
//   g = grad * grad_scale;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
//   p -= lr * (m / bias1 / (sqrt(v / bias2) + eps) + weight_decay * p)
// hyper holds what changes from step to step. A set skip flag leaves everything as it was.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct AdamW {
  Tensor master, m, v;  // (n) full, updated
  Tensor grad;          // (n) full
  Tensor param;         // (n) storage, optional, out: the copy of master that the model computes with
  Tensor hyper;         // (4) full: lr, grad_scale, 1 - beta1^t, 1 - beta2^t
  Tensor skip;          // i32 (1)
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0;
  void check() const;
  Cost cost() const;
};

void adamw(Device& device, const AdamW& a);

}  // namespace ballast::ops
