// One linear map per expert over ragged rows: y[r] = x[r] W[e]^T for the rows r of expert e.
// Padding rows of x are zero and stay zero in y and dx. Weights of an expert without rows are not read.
// Mapped weights are values of f32: a backend may round them to the storage type, as a loaded copy would be.
#pragma once

#include "ops/grouped_linear/mapped.h"
#include "ops/op.h"

namespace ballast::ops {

struct GroupedLinearForward {
  Ragged x;         // rows (capacity, K) storage
  Tensor weight;    // (E, N, K) storage
  const MappedExperts* mapped = nullptr;  // or the same in a checkpoint's files, where weight is absent
  Tensor y;         // (capacity, N) storage, out
  Tensor executed;  // i64 (1), optional: experts whose weights were read are added, counted where they are read
  void check() const;
  Cost cost() const;
};

struct GroupedLinearBackward {
  Ragged x;         // rows (capacity, K) storage
  Tensor dy;        // (capacity, N) storage
  Tensor weight;    // (E, N, K) storage
  Tensor dx;        // (capacity, K) storage, optional, out
  Tensor dweight;   // (E, N, K) full, optional, out; an expert without rows gets zeros (or is left, accumulating)
  bool accumulate_dweight = false;
  void check() const;
  Cost cost() const;
};

void grouped_linear_forward(Device& device, const GroupedLinearForward& a);
void grouped_linear_backward(Device& device, const GroupedLinearBackward& a);

}  // namespace ballast::ops
