#include "model/feed_forward.h"

#include "ops/linear/linear.h"
#include "ops/swiglu/swiglu.h"

namespace ballast {

Tensor FeedForwardLayer::forward(Context& ctx, Tensor x, Saved* saved) const {
  const bool training = saved != nullptr;
  const Tensor gate_up_weight = ctx.params.weight(p_.gate_up), down = ctx.params.weight(p_.down);
  const int64_t t = x[0], inner = down[1];
  const Tensor y = ctx.keep({t, down[0]}, training);
  ArenaScope scope(ctx.scratch);
  const Tensor gate_up = ctx.keep({t, 2 * inner}, training), h = ctx.keep({t, inner}, training);
  ops::linear_forward(ctx.device, {.x = x, .weight = gate_up_weight, .y = gate_up});
  ops::swiglu_forward(ctx.device, {.gate_up = gate_up, .h = h});
  ops::linear_forward(ctx.device, {.x = h, .weight = down, .y = y});
  if (saved) *saved = {x, gate_up, h};
  return y;
}

void FeedForwardLayer::backward(Context& ctx, Tensor dy, const Saved& s, Tensor dx, bool accumulate) const {
  ArenaScope scope(ctx.scratch);
  const int64_t t = dy[0], inner = s.h[1];
  const Tensor dh = ctx.scratch.alloc(ctx.storage(), {t, inner});
  const Tensor dgate_up = ctx.scratch.alloc(ctx.storage(), {t, 2 * inner});
  ops::linear_backward(ctx.device, {.dy = dy, .x = s.h, .weight = ctx.params.weight(p_.down), .dx = dh,
                                    .dweight = ctx.params.grad(p_.down),
                                    .accumulate_dweight = ctx.params.accumulate(p_.down)});
  ops::swiglu_backward(ctx.device, {.gate_up = s.gate_up, .dh = dh, .dgate_up = dgate_up});
  ops::linear_backward(ctx.device, {.dy = dgate_up, .x = s.x, .weight = ctx.params.weight(p_.gate_up), .dx = dx,
                                    .accumulate_dx = accumulate, .dweight = ctx.params.grad(p_.gate_up),
                                    .accumulate_dweight = ctx.params.accumulate(p_.gate_up)});
}

}  // namespace ballast
