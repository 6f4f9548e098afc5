// The output head and the cross-entropy, a chunk of rows at a time so that logits never take more than a chunk.
#pragma once

#include "model/context.h"

namespace ballast {

struct HeadTargets {
  Tensor targets;  // i32 (T), -1: none
  Tensor scale;    // (1) full: gradient of the total with respect to each token's loss
  Tensor loss;     // (T) full, out: nats
  Tensor correct;  // i32 (T), out
};

// Loss of every row, and, when dx is given, the gradient of x (written) and of the head's weight. Backward comes right
// after forward, chunk by chunk: the logits need not be kept.
void head_loss(Context& ctx, ParamId weight, Tensor x, const HeadTargets& targets, Tensor dx);

// Logits of all rows of x: (T, V) full.
void head_logits(Context& ctx, ParamId weight, Tensor x, Tensor logits);

}  // namespace ballast
