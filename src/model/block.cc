#include "model/block.h"

#include "ops/rmsnorm/rmsnorm.h"

namespace ballast {

NormSaved norm_forward(Context& ctx, ParamId weight, double eps, const Residual& in, bool training) {
  const int64_t t = in.sum[0], width = in.sum[1];
  NormSaved n;
  n.s = in.delta ? ctx.keep({t, width}, training) : in.sum;
  n.y = ctx.keep({t, width}, training);
  n.rstd = (training ? ctx.saved : ctx.scratch).alloc(ctx.full(), {t});
  ops::rmsnorm_forward(ctx.device, {.x = in.sum, .residual = in.delta, .weight = ctx.params.weight(weight), .eps = eps,
                                    .sum = in.delta ? n.s : Tensor(), .y = n.y, .rstd = n.rstd});
  return n;
}

void norm_backward(Context& ctx, ParamId weight, const NormSaved& saved, Tensor dy, Tensor residual, Tensor dx) {
  ops::rmsnorm_backward(ctx.device, {.dy = dy, .s = saved.s, .weight = ctx.params.weight(weight), .rstd = saved.rstd,
                                     .dsum = residual, .dx = dx, .dweight = ctx.params.grad(weight),
                                     .accumulate_dweight = ctx.params.accumulate(weight)});
}

Block::Block(const ModelConfig& config, const BlockParams& params, int index, int moe_row, Tensor inv_freq)
    : c_(config), p_(params), attention_(config, params.attention, index, inv_freq), dense_(params.dense),
      moe_(config, params.moe, moe_row) {}

Residual Block::forward(Context& ctx, const Pass& pass, const Residual& in, Saved* saved) const {
  const bool training = saved != nullptr;
  const NormSaved input = norm_forward(ctx, p_.input_norm, c_.rms_norm_eps, in, training);
  const Tensor attention = attention_.forward(ctx, pass, input.y, saved ? &saved->attention : nullptr);
  const NormSaved post = norm_forward(ctx, p_.post_norm, c_.rms_norm_eps, {input.s, attention}, training);
  const Tensor delta = p_.is_moe ? moe_.forward(ctx, pass, post.y, saved ? &saved->moe : nullptr)
                                 : dense_.forward(ctx, post.y, saved ? &saved->dense : nullptr);
  if (saved) {
    saved->input = input;
    saved->post = post;
  }
  return {post.s, delta};
}

void Block::backward(Context& ctx, const Pass& pass, Tensor dout, const Saved& s, Tensor dx) const {
  ArenaScope scope(ctx.scratch);
  const Tensor dpost = ctx.scratch.alloc(ctx.storage(), {dout[0], dout[1]});
  const Tensor dmiddle = ctx.scratch.alloc(ctx.storage(), {dout[0], dout[1]});
  if (p_.is_moe) moe_.backward(ctx, pass, dout, s.moe, dpost);
  else dense_.backward(ctx, dout, s.dense, dpost, false);
  norm_backward(ctx, p_.post_norm, s.post, dpost, dout, dmiddle);
  const Tensor dinput = attention_.backward(ctx, pass, dmiddle, s.attention);
  norm_backward(ctx, p_.input_norm, s.input, dinput, dmiddle, dx);
}

}  // namespace ballast
