// The MoE gate: router logits, scores, selection and gate weights (DeepSeek-V3, arXiv 2412.19437, eq. 12-16;
// DeepSeek-V2, arXiv 2405.04434, section 2.2).
//   z = x W^T; s = sigmoid(z) or softmax(z); c = s + bias
//   groups > 1: keep the best `kept_groups` groups by group score, c = -inf elsewhere
//   ids = top-K of c (larger first, then lower id); w = s[ids]; normalize: w /= sum(w) + 1e-20; weights = scale * w
// The bias selects and nothing else. Everything is f32 with a fixed order of summation, so a token's choice does not
// depend on the batch it is in. A row with a non-finite logit still gets K distinct ids in range, with weight 0, and
// sets the sticky flag. An invalid row (padding) gets ids -1 and weights 0 and is not counted.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

enum class Score { sigmoid, softmax };
enum class GroupScore { top2_sum, max };

struct RouteConfig {
  int experts_per_token = 1;  // K
  int groups = 1, kept_groups = 1;
  Score score = Score::sigmoid;
  GroupScore group_score = GroupScore::top2_sum;
  bool normalize = true;
  double scale = 1;           // routed_scaling_factor
};

struct RouteForward {
  RouteConfig config;
  Tensor x;          // (T, D) storage
  Tensor weight;     // (E, D) full
  Tensor bias;       // (E) full, optional
  Tensor valid;      // i32 (T), optional: 0 marks a padding row
  Tensor logits;     // (T, E) full, out
  Tensor scores;     // (T, E) full, out: unbiased s
  Tensor ids;        // i32 (T, K), out
  Tensor weights;    // (T, K) full, out
  Tensor load;       // i64 (E), optional: tokens routed to each expert are added
  Tensor nonfinite;  // i32 (1): set to 1 if any valid row has a non-finite logit, else left alone
  void check() const;
  Cost cost() const;
};

// Gradient of the weights (and of an auxiliary loss on s) with respect to x and W. Selection carries none.
struct RouteBackward {
  RouteConfig config;
  Tensor x, weight;           // as forward
  Tensor scores, ids;         // as forward
  Tensor dweights;            // (T, K) full
  Tensor dscores;             // (T, E) full, optional: gradient of s from an auxiliary loss
  Tensor dlogits;             // (T, E) full, out
  Tensor dx;                  // (T, D) storage, added to
  Tensor dweight;             // (E, D) full, out
  bool accumulate_dweight = false;
  void check() const;
  Cost cost() const;
};

void route_forward(Device& device, const RouteForward& a);
void route_backward(Device& device, const RouteBackward& a);

}  // namespace ballast::ops
