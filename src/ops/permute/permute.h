// Sorts token slots by expert: the dispatch of a mixture of experts, on one device. Stable: an expert's rows are in
// token order. Slots with id -1 get no row. Only experts in [expert_begin, expert_end) are laid out (expert
// parallelism); the others' slots get row -1.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct PermuteForward {
  Tensor x;        // (T, D) storage
  Tensor ids;      // i32 (T, K)
  int expert_begin = 0, expert_end = 0;
  Ragged out;      // rows (capacity, D) storage, offs, count over the range: out; padding rows of a group are zeroed
  Tensor row_of;   // i32 (T, K), out: row of each slot, or -1
  Tensor slot_of;  // i32 (capacity), out: t * K + k of each row, -1 for padding rows up to offs[E]
  void check() const;
  Cost cost() const;
};

struct PermuteBackward {
  Tensor drows;   // (capacity, D) storage
  Tensor row_of;  // i32 (T, K)
  Tensor dx;      // (T, D) storage: sum over the token's slots, in slot order
  bool accumulate = false;
  void check() const;
  Cost cost() const;
};

void permute_forward(Device& device, const PermuteForward& a);
void permute_backward(Device& device, const PermuteBackward& a);

}  // namespace ballast::ops
