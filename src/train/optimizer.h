// AdamW over the parameter table's flat runs, with gradient clipping and the guard, all on the device: the learning
// rate, the clip factor and the skip flag are device scalars, so the host decides nothing within a step.
#pragma once

#include "model/params.h"

namespace ballast {

struct OptimizerConfig {
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
  double clip_norm = 1.0;

  template <class V>
  void visit(V& v) {
    v("learning_rate", learning_rate, "peak learning rate");
    v("beta1", beta1, "decay of the first moment");
    v("beta2", beta2, "decay of the second moment");
    v("eps", eps, "added to the root of the second moment");
    v("weight_decay", weight_decay, "decoupled weight decay of tensors with two or more dimensions");
    v("clip_norm", clip_norm, "largest gradient 2-norm; 0: no clipping");
  }
};
void validate(const OptimizerConfig& config);

class Optimizer {
 public:
  Optimizer(ParamStore& params, const OptimizerConfig& config);

  struct Outcome {
    double grad_norm = 0;
    bool skipped = false;  // a non-finite gradient or router logit: nothing was changed
  };
  // One update with this learning rate. `nonfinite` is the router's sticky flag, i32 (1).
  Outcome step(double learning_rate, Tensor nonfinite);

  int64_t updates() const { return updates_; }  // accepted steps, the t of Adam's bias correction
  void set_updates(int64_t n) { updates_ = n; }

 private:
  void put(const Tensor& t, int64_t i, double value);
  double get(const Tensor& t);

  ParamStore& params_;
  OptimizerConfig config_;
  int64_t updates_ = 0;
  Arena scalars_;
  Tensor squared_norm_, norm_, hyper_, skip_;
};

}  // namespace ballast
