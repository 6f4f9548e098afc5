#include "model/mla.h"

#include "ops/add_bias/add_bias.h"
#include "ops/attention/attention.h"
#include "ops/linear/linear.h"
#include "ops/mla_decode/mla_decode.h"
#include "ops/rmsnorm/rmsnorm.h"
#include "ops/rope/rope.h"

namespace ballast {
namespace {

constexpr double kLatentEps = 1e-6;  // both latent norms keep it whatever rms_norm_eps says, as in the published code

}  // namespace

MlaLayer::MlaLayer(const ModelConfig& config, const AttentionParams& params, int index, Tensor inv_freq)
    : c_(config), p_(params), index_(index), inv_freq_(inv_freq), scale_(attention_scale(config)),
      rope_factor_(rope_attention_factor(config)), heads_(config.num_attention_heads), dn_(config.qk_nope_head_dim),
      dr_(config.qk_rope_head_dim), dv_(config.v_head_dim), r_(config.kv_lora_rank), q_width_(heads_ * (dn_ + dr_)),
      first_(config.q_lora_rank ? *config.q_lora_rank : q_width_) {}

// To the last columns of y, as many as the bias has, in place; nothing where the model has none.
void MlaLayer::add_bias(Context& ctx, ParamId id, Tensor y) const {
  if (id == kNoParam) return;
  const Tensor bias = ctx.params.weight(id), last = y.cols(y[1] - bias[0], y[1]);
  ops::add_bias_forward(ctx.device, {.x = last, .bias = bias, .y = last});
}

// Fills everything up to q and the latent, rotated. Returns k_rope (T, dr), a view of `down`.
Tensor MlaLayer::project(Context& ctx, const Pass& pass, Tensor x, Saved& s, bool training) const {
  const int64_t t = x[0];
  s.x = x;
  s.down = ctx.keep({t, first_ + r_ + dr_}, training);
  ops::linear_forward(ctx.device, {.x = x, .weight = ctx.params.weight(p_.down), .y = s.down});
  add_bias(ctx, p_.down_bias, s.down);
  if (p_.q_up != kNoParam) {
    s.q_latent = ctx.keep({t, first_}, training);
    s.q_rstd = (training ? ctx.saved : ctx.scratch).alloc(ctx.full(), {t});
    ops::rmsnorm_forward(ctx.device, {.x = s.down.cols(0, first_), .weight = ctx.params.weight(p_.q_norm),
                                      .eps = kLatentEps, .y = s.q_latent, .rstd = s.q_rstd});
    s.q = ctx.keep({t, heads_, dn_ + dr_}, training);
    ops::linear_forward(ctx.device, {.x = s.q_latent, .weight = ctx.params.weight(p_.q_up), .y = s.q.view({t, q_width_})});
  } else {
    s.q = s.down.cols(0, q_width_).view({t, heads_, dn_ + dr_});
  }
  s.kv_latent = ctx.keep({t, r_}, training);
  s.kv_rstd = (training ? ctx.saved : ctx.scratch).alloc(ctx.full(), {t});
  ops::rmsnorm_forward(ctx.device, {.x = s.down.cols(first_, first_ + r_), .weight = ctx.params.weight(p_.kv_norm),
                                    .eps = kLatentEps, .y = s.kv_latent, .rstd = s.kv_rstd});
  const Tensor k_rope = s.down.cols(first_ + r_, first_ + r_ + dr_);
  for (const Tensor& part : {s.q.cols(dn_, dn_ + dr_), k_rope.view({t, 1, dr_})})
    ops::rope(ctx.device, {.x = part, .positions = pass.positions, .inv_freq = inv_freq_, .factor = rope_factor_});
  return k_rope;
}

// Expanded attention over the rows of this pass: (T, H, dv).
Tensor MlaLayer::attend(Context& ctx, const Pass& pass, Saved& s, bool training) const {
  const int64_t t = s.x[0];
  s.kv = ctx.keep({t, heads_, dn_ + dv_}, training);
  ops::linear_forward(ctx.device, {.x = s.kv_latent, .weight = ctx.params.weight(p_.kv_up),
                                   .y = s.kv.view({t, heads_ * (dn_ + dv_)})});
  s.o = ctx.keep({t, heads_, dv_}, training);
  s.lse = (training ? ctx.saved : ctx.scratch).alloc(ctx.full(), {heads_, t});
  ops::attention_forward(ctx.device, {.q = s.q, .k_nope = s.kv.cols(0, dn_),
                                      .k_rope = s.down.cols(first_ + r_, first_ + r_ + dr_),
                                      .v = s.kv.cols(dn_, dn_ + dv_), .q_offs = pass.segments, .kv_offs = pass.segments,
                                      .scale = scale_, .o = s.o, .lse = s.lse});
  return s.o;
}

// Writes this pass's [latent | k_rope] rows behind the slot's past; returns the slot's rows up to and including them.
Tensor MlaLayer::append_to_cache(Context& ctx, const Pass& pass, const Saved& s) const {
  const int64_t t = s.x[0];
  const Tensor cache = (*pass.cache)[index_].rows;
  const size_t element = size_of(cache.dtype);
  const bool decoding = pass.mode == Pass::Mode::decode;
  for (int64_t i = 0; i < t && !ctx.device.planning; ++i) {
    // Decode reads each row's place from the host copy of the lengths, which the engine keeps beside the device's.
    const int64_t slot = decoding ? i : pass.slot;
    const int64_t place = decoding ? pass.length.as<int32_t>()[i] - 1 : pass.past + i;
    if (place < 0) continue;
    char* row = static_cast<char*>(cache.index(slot).rows(place, place + 1).data);
    ctx.device.copy(row, s.kv_latent.rows(i, i + 1).data, static_cast<size_t>(r_) * element);
    ctx.device.copy(row + r_ * static_cast<int64_t>(element), s.down.rows(i, i + 1).cols(first_ + r_, first_ + r_ + dr_).data,
                    static_cast<size_t>(dr_) * element);
  }
  return cache.index(pass.slot).rows(0, decoding ? 1 : pass.past + t);
}

// Prefill: the slot's latents, old and new, are expanded, so that a prompt may come in chunks.
Tensor MlaLayer::attend_cached(Context& ctx, const Pass& pass, const Saved& s) const {
  const Tensor rows = append_to_cache(ctx, pass, s);
  const int64_t t = s.x[0], n = rows[0];
  const Tensor kv = ctx.scratch.alloc(ctx.storage(), {n, heads_, dn_ + dv_});
  ops::linear_forward(ctx.device, {.x = rows.cols(0, r_), .weight = ctx.params.weight(p_.kv_up),
                                   .y = kv.view({n, heads_ * (dn_ + dv_)})});
  const Tensor o = ctx.scratch.alloc(ctx.storage(), {t, heads_, dv_});
  const Tensor lse = ctx.scratch.alloc(ctx.full(), {heads_, t});
  ops::attention_forward(ctx.device, {.q = s.q, .k_nope = kv.cols(0, dn_), .k_rope = rows.cols(r_, r_ + dr_),
                                      .v = kv.cols(dn_, dn_ + dv_), .q_offs = pass.segments,
                                      .kv_offs = pass.kv_segments, .scale = scale_, .o = o, .lse = lse});
  return o;
}

Tensor MlaLayer::decode(Context& ctx, const Pass& pass, const Saved& s) const {
  append_to_cache(ctx, pass, s);
  const int64_t t = s.x[0];
  const Tensor cache = (*pass.cache)[index_].rows.rows(0, t);
  const Tensor o = ctx.scratch.alloc(ctx.storage(), {t, heads_, dv_});
  const Tensor scratch = ctx.scratch.alloc(ctx.full(), {t, heads_, 2 * r_ + cache[1]});
  ops::mla_decode(ctx.device, {.q = s.q, .kv_b = ctx.params.weight(p_.kv_up), .cache = cache, .length = pass.length,
                               .scale = scale_, .scratch = scratch, .o = o});
  return o;
}

Tensor MlaLayer::forward(Context& ctx, const Pass& pass, Tensor x, Saved* saved) const {
  const bool training = saved != nullptr;
  const int64_t t = x[0];
  const Tensor y = ctx.keep({t, c_.hidden_size}, training);
  ArenaScope scope(ctx.scratch);
  Saved local;
  Saved& s = saved ? *saved : local;
  project(ctx, pass, x, s, training);
  const Tensor o = pass.mode == Pass::Mode::decode    ? decode(ctx, pass, s)
                   : pass.mode == Pass::Mode::prefill ? attend_cached(ctx, pass, s)
                                                      : attend(ctx, pass, s, training);
  ops::linear_forward(ctx.device, {.x = o.view({t, heads_ * dv_}), .weight = ctx.params.weight(p_.out), .y = y});
  add_bias(ctx, p_.out_bias, y);
  return y;
}

Tensor MlaLayer::backward(Context& ctx, const Pass& pass, Tensor dy, const Saved& s) const {
  const int64_t t = dy[0];
  const auto scratch = [&](std::initializer_list<int64_t> shape) { return ctx.scratch.alloc(ctx.storage(), shape); };
  const auto linear = [&](Tensor grad, Tensor x, ParamId id, Tensor dx) {
    ops::linear_backward(ctx.device, {.dy = grad, .x = x, .weight = ctx.params.weight(id), .dx = dx,
                                      .dweight = ctx.params.grad(id), .accumulate_dweight = ctx.params.accumulate(id)});
  };
  const auto norm = [&](Tensor grad, Tensor x, ParamId id, Tensor rstd, Tensor dx) {
    ops::rmsnorm_backward(ctx.device, {.dy = grad, .s = x, .weight = ctx.params.weight(id), .rstd = rstd, .dx = dx,
                                       .dweight = ctx.params.grad(id), .accumulate_dweight = ctx.params.accumulate(id)});
  };
  const auto bias = [&](Tensor grad, ParamId id) {
    if (id == kNoParam) return;
    const Tensor dbias = ctx.params.grad(id);
    ops::add_bias_backward(ctx.device, {.dy = grad.cols(grad[1] - dbias[0], grad[1]), .dbias = dbias,
                                        .accumulate = ctx.params.accumulate(id)});
  };
  const Tensor dx = scratch({t, c_.hidden_size});
  ArenaScope scope(ctx.scratch);
  const Tensor d_o = scratch({t, heads_, dv_}), dkv = scratch({t, heads_, dn_ + dv_});
  const Tensor ddown = scratch({t, first_ + r_ + dr_});
  const Tensor dq = p_.q_up != kNoParam ? scratch({t, heads_, dn_ + dr_})
                                        : ddown.cols(0, q_width_).view({t, heads_, dn_ + dr_});
  const Tensor dk_rope = ddown.cols(first_ + r_, first_ + r_ + dr_);
  bias(dy, p_.out_bias);
  linear(dy, s.o.view({t, heads_ * dv_}), p_.out, d_o.view({t, heads_ * dv_}));
  ops::attention_backward(
      ctx.device, {.q = s.q, .k_nope = s.kv.cols(0, dn_), .k_rope = s.down.cols(first_ + r_, first_ + r_ + dr_),
                   .v = s.kv.cols(dn_, dn_ + dv_), .q_offs = pass.segments, .kv_offs = pass.segments, .scale = scale_,
                   .o = s.o, .lse = s.lse, .d_o = d_o, .dq = dq, .dk_nope = dkv.cols(0, dn_), .dk_rope = dk_rope,
                   .dv = dkv.cols(dn_, dn_ + dv_)});
  for (const Tensor& part : {dq.cols(dn_, dn_ + dr_), dk_rope.view({t, 1, dr_})})
    ops::rope(ctx.device, {.x = part, .positions = pass.positions, .inv_freq = inv_freq_, .factor = rope_factor_,
                           .inverse = true});
  const Tensor dkv_latent = scratch({t, r_});
  linear(dkv.view({t, heads_ * (dn_ + dv_)}), s.kv_latent, p_.kv_up, dkv_latent);
  norm(dkv_latent, s.down.cols(first_, first_ + r_), p_.kv_norm, s.kv_rstd, ddown.cols(first_, first_ + r_));
  if (p_.q_up != kNoParam) {
    const Tensor dq_latent = scratch({t, first_});
    linear(dq.view({t, q_width_}), s.q_latent, p_.q_up, dq_latent);
    norm(dq_latent, s.down.cols(0, first_), p_.q_norm, s.q_rstd, ddown.cols(0, first_));
  }
  bias(ddown, p_.down_bias);
  linear(ddown, s.x, p_.down, dx);
  return dx;
}

}  // namespace ballast
