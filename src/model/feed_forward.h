// The gated feed-forward network: W_down (silu(W_gate x) * W_up x). Dense layers and shared experts.
#pragma once

#include "model/context.h"

namespace ballast {

class FeedForwardLayer {
 public:
  explicit FeedForwardLayer(const FeedForwardParams& params) : p_(params) {}
  struct Saved {
    Tensor x, gate_up, h;  // (T, D), (T, 2F), (T, F)
  };
  // x (T, D) -> (T, D).
  Tensor forward(Context& ctx, Tensor x, Saved* saved) const;
  // Writes the gradient of x to dx, or adds it.
  void backward(Context& ctx, Tensor dy, const Saved& saved, Tensor dx, bool accumulate) const;

 private:
  FeedForwardParams p_;
};

}  // namespace ballast
