// SwiGLU (Shazeer 2020): h = silu(gate) * up, with gate and up side by side in one row. Over ragged rows only the rows
// of the groups are computed and the padding rows of a group are zeroed; without offs and count all rows are.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct SwigluForward {
  Tensor gate_up;      // (T, 2F) storage: [gate | up]
  Tensor offs, count;  // i32 (E + 1), i32 (E), optional: gate_up and h are ragged rows
  Tensor h;            // (T, F) storage, out
  void check() const;
  Cost cost() const;
};

struct SwigluBackward {
  Tensor gate_up;      // (T, 2F) storage
  Tensor offs, count;
  Tensor dh;           // (T, F) storage
  Tensor dgate_up;     // (T, 2F) storage, out; may alias gate_up
  void check() const;
  Cost cost() const;
};

void swiglu_forward(Device& device, const SwigluForward& a);
void swiglu_backward(Device& device, const SwigluBackward& a);

}  // namespace ballast::ops
