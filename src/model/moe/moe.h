// A mixture of experts with shared experts (DeepSeekMoE; DeepSeek-V3, arXiv 2412.19437, eq. 12-16):
//   y = sum of shared(x) + sum over the chosen experts of weight * expert(x)
// Routing never needs the host: ids, offsets and counts stay in device memory.
#pragma once

#include "model/feed_forward.h"
#include "ops/route/route.h"

namespace ballast {

ops::RouteConfig route_config(const ModelConfig& config);

class MoeLayer {
 public:
  // `row`: this layer's row in Pass::load and the other per-layer telemetry.
  MoeLayer(const ModelConfig& config, const MoeParams& params, int row);

  struct Saved {
    Tensor x;                                // (T, D)
    Tensor logits, scores, ids, weights;     // (T, E), (T, E), (T, K), (T, K)
    Tensor row_of, slot_of;                  // (T, K), (capacity)
    Ragged rows;                             // (capacity, D): x by expert
    Tensor gate_up, h, y;                    // (capacity, 2F), (capacity, F), (capacity, D)
    FeedForwardLayer::Saved shared;
  };

  Tensor forward(Context& ctx, const Pass& pass, Tensor x, Saved* saved) const;
  // Writes the gradient of x to dx.
  void backward(Context& ctx, const Pass& pass, Tensor dy, const Saved& saved, Tensor dx) const;

 private:
  void route(Context& ctx, const Pass& pass, Saved& s, bool training) const;
  void balance_losses(Context& ctx, const Pass& pass, const Saved& s) const;
  Tensor balance_gradient(Context& ctx, const Pass& pass, const Saved& s) const;
  void dispatch(Context& ctx, Saved& s, bool training) const;

  const ModelConfig& c_;
  MoeParams p_;
  int row_;
  ops::RouteConfig route_;
  FeedForwardLayer shared_;
};

}  // namespace ballast
