// Softmax cross-entropy in nats, f32: loss[t] = lse(logits[t]) - logits[t, target[t]]; target -1 gives 0 and no gradient.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct CrossEntropyForward {
  Tensor logits;   // (T, V) full
  Tensor targets;  // i32 (T)
  Tensor loss;     // (T) full, out
  Tensor lse;      // (T) full, out
  Tensor correct;  // i32 (T), optional, out: 1 where the largest logit (the first of equals) is the target's
  void check() const;
  Cost cost() const;
};

struct CrossEntropyBackward {
  Tensor logits, targets, lse;  // as forward
  Tensor scale;                 // (1) full: gradient of the total with respect to each loss[t]
  Tensor dlogits;               // (T, V) storage, out
  void check() const;
  Cost cost() const;
};

void cross_entropy_forward(Device& device, const CrossEntropyForward& a);
void cross_entropy_backward(Device& device, const CrossEntropyBackward& a);

}  // namespace ballast::ops
