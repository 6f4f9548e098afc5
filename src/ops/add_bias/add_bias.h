// y = x + bias on every row: the biases of attention's projections (config.json's attention_bias). The gradient of x is
// that of y itself, so the vjp has only the bias's to make.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct AddBiasForward {
  Tensor x;     // (T, N) storage; rows may be strided
  Tensor bias;  // (N) full
  Tensor y;     // (T, N) storage, out; may be x
  void check() const;
  Cost cost() const;
};

struct AddBiasBackward {
  Tensor dy;     // (T, N) storage; rows may be strided
  Tensor dbias;  // (N) full, out
  bool accumulate = false;
  void check() const;
  Cost cost() const;
};

void add_bias_forward(Device& device, const AddBiasForward& a);
void add_bias_backward(Device& device, const AddBiasBackward& a);

}  // namespace ballast::ops
