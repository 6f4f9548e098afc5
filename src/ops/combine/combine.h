// The weighted sum that ends a mixture of experts: y[t] = base[t] + sum over k of weights[t,k] * rows[row_of[t,k]], in
// slot order. Slots with row -1 are never read.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct CombineForward {
  Tensor rows;     // (capacity, D) storage: the experts' outputs
  Tensor row_of;   // i32 (T, K)
  Tensor weights;  // (T, K) full
  Tensor base;     // (T, D) storage, optional: the shared experts' output
  Tensor y;        // (T, D) storage, out; may alias base
  void check() const;
  Cost cost() const;
};

// dbase is dy itself.
struct CombineBackward {
  Tensor dy;        // (T, D) storage
  Tensor rows;      // (capacity, D) storage
  Tensor row_of;    // i32 (T, K)
  Tensor slot_of;   // i32 (capacity)
  Tensor offs;      // i32 (E + 1): rows up to offs[E] are written
  Tensor weights;   // (T, K) full
  Tensor drows;     // (capacity, D) storage, out: padding rows are zeroed
  Tensor dweights;  // (T, K) full, out; 0 for slots without a row
  void check() const;
  Cost cost() const;
};

void combine_forward(Device& device, const CombineForward& a);
void combine_backward(Device& device, const CombineBackward& a);

}  // namespace ballast::ops
