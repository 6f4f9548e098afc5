// The auxiliary balance loss over segments (DeepSeek-V3, arXiv 2412.19437, eq. 17-20 with one segment per sequence;
// the global-batch form of arXiv 2501.11873 with one segment for the batch):
//   f_k = E / (K T_s) * (tokens of the segment whose top-K unbiased scores contain k)
//   P_k = mean over the segment of s'_k, s' = s / (sum s + 1e-20) for sigmoid scores, s' = s for softmax
//   loss = alpha * mean over segments of sum_k f_k P_k      (= alpha at perfect balance)
// f carries no gradient. Segments without a valid row do not count.
#pragma once

#include "ops/route/route.h"

namespace ballast::ops {

struct BalanceLossForward {
  Score score = Score::sigmoid;
  int experts_per_token = 1;
  double alpha = 0;
  Tensor scores;   // (T, E) full: unbiased
  Tensor offs;     // i32 (S + 1): segments of rows
  Tensor valid;    // i32 (T), optional
  Tensor running;  // i64 (E + 1), optional, needs S = 1: counts per expert and tokens of the earlier micro-batches of
                   // the step; this one's are added and f is taken from the sums
  Tensor f;        // (S, E) full, out
  Tensor loss;     // (1) full, out
  void check() const;
  Cost cost() const;
};

struct BalanceLossBackward {
  Score score = Score::sigmoid;
  double alpha = 0;
  Tensor scores, offs, valid, f;  // as forward
  Tensor dloss;                   // (1) full
  Tensor dscores;                 // (T, E) full, out
  bool accumulate = false;
  void check() const;
  Cost cost() const;
};

void balance_loss_forward(Device& device, const BalanceLossForward& a);
void balance_loss_backward(Device& device, const BalanceLossBackward& a);

}  // namespace ballast::ops
