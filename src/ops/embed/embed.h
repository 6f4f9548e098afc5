// Embedding lookup: y[t] = table[ids[t]]; id -1 gives a zero row. Also the plain gather of rows by index.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct EmbedForward {
  Tensor ids;    // i32 (T)
  Tensor table;  // (V, D) storage
  Tensor y;      // (T, D) storage, out
  void check() const;
  Cost cost() const;
};

struct EmbedBackward {
  Tensor ids;     // i32 (T)
  Tensor dy;      // (T, D) storage
  Tensor dtable;  // (V, D) full, out; rows are summed in token order
  bool accumulate = false;
  void check() const;
  Cost cost() const;
};

void embed_forward(Device& device, const EmbedForward& a);
void embed_backward(Device& device, const EmbedBackward& a);

}  // namespace ballast::ops
