// y = x W^T. Products are accumulated in f32 whatever the storage.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct LinearForward {
  Tensor x;       // (T, K) storage; rows may be strided
  Tensor weight;  // (N, K) storage, dense
  Tensor y;       // (T, N) storage or full, out; rows may be strided
  bool accumulate = false;  // y += x W^T
  void check() const;
  Cost cost() const;
};

struct LinearBackward {
  Tensor dy;       // (T, N) storage; rows may be strided
  Tensor x;        // (T, K) storage; needed for dweight
  Tensor weight;   // (N, K) storage; needed for dx
  Tensor dx;       // (T, K) storage, optional, out; rows may be strided
  bool accumulate_dx = false;
  Tensor dweight;  // (N, K) full, optional, out
  bool accumulate_dweight = false;
  void check() const;
  Cost cost() const;
};

void linear_forward(Device& device, const LinearForward& a);
void linear_backward(Device& device, const LinearBackward& a);

}  // namespace ballast::ops
