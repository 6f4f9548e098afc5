// Draws one token per row: temperature 0 takes the largest logit (the lowest id of equals); otherwise softmax(logits /
// T) restricted to the smallest set of most likely tokens whose probability reaches top_p (Holtzman et al. 2020). The
// uniform draw is Philox(seed, stream, counter): it depends on nothing else in the batch.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct Sample {
  Tensor logits;       // (B, V) full
  Tensor temperature;  // (B) full
  Tensor top_p;        // (B) full, in (0, 1]
  Tensor key;          // i64 (B, 3): seed, stream, counter
  Tensor token;        // i32 (B), out
  void check() const;
  Cost cost() const;
};

void sample(Device& device, const Sample& a);

}  // namespace ballast::ops
