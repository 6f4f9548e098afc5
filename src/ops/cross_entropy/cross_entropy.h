// Softmax cross-entropy in nats, f32: loss[t] = lse(logits[t]) - logits[t, target[t]]; target -1 gives 0 and no gradient.
// dlogits may lie in the logits' memory, each row where its logits start; bf16 rows then fill the first half.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct CrossEntropyBackward {
  Tensor logits, targets, lse;  // as below
  Tensor scale;                 // (1) full: gradient of the total with respect to each loss[t]
  Tensor dlogits;               // (T, V) storage, out
  void check() const;
  Cost cost() const;
};

struct CrossEntropyForward {
  Tensor logits;   // (T, V) full
  Tensor targets;  // i32 (T)
  Tensor loss;     // (T) full, out
  Tensor lse;      // (T) full, out
  Tensor correct;  // i32 (T), optional, out: 1 where the largest logit (the first of equals) is the target's
  // Optional, together: the gradient as CrossEntropyBackward computes it, while the row is still in cache.
  Tensor scale;    // (1) full
  Tensor dlogits;  // (T, V) storage, out
  CrossEntropyBackward backward() const;
  void check() const;
  Cost cost() const;
};

void cross_entropy_forward(Device& device, const CrossEntropyForward& a);
void cross_entropy_backward(Device& device, const CrossEntropyBackward& a);

}  // namespace ballast::ops
