#include "model/moe/moe.h"

#include "model/moe/gate_plan.h"
#include "ops/balance_loss/balance_loss.h"
#include "ops/combine/combine.h"
#include "ops/grouped_linear/grouped_linear.h"
#include "ops/permute/permute.h"
#include "ops/swiglu/swiglu.h"

namespace ballast {
namespace {

// Rows of a group are padded to what the device's grouped products want. A few tokens are not worth padding: decode
// would write more zeros than it reads weights.
int alignment(DeviceKind kind, int64_t tokens) {
  if (kind == DeviceKind::ref || tokens < 64) return 1;
  return kind == DeviceKind::cpu ? 32 : 128;
}

}  // namespace

ops::RouteConfig route_config(const ModelConfig& c) {
  const bool grouped = c.topk_method != "greedy" && c.n_group > 1;
  return {.experts_per_token = c.num_experts_per_tok,
          .groups = grouped ? c.n_group : 1,
          .kept_groups = grouped ? c.topk_group : 1,
          .score = c.scoring_func == "softmax" ? ops::Score::softmax : ops::Score::sigmoid,
          .group_score = c.topk_method == "noaux_tc" ? ops::GroupScore::top2_sum : ops::GroupScore::max,
          .normalize = c.norm_topk_prob,
          .scale = c.gate_scale()};
}

MoeLayer::MoeLayer(const ModelConfig& config, const MoeParams& params, int row)
    : c_(config), p_(params), row_(row), route_(route_config(config)), shared_(params.shared) {}

void MoeLayer::route(Context& ctx, const Pass& pass, Saved& s, bool training) const {
  Arena& arena = training ? ctx.saved : ctx.scratch;
  const int64_t t = s.x[0], experts = c_.n_routed_experts, k = c_.num_experts_per_tok;
  s.logits = arena.alloc(ctx.full(), {t, experts});
  s.scores = pass.route_scores ? pass.route_scores.index(row_) : arena.alloc(ctx.full(), {t, experts});
  s.ids = pass.route_ids ? pass.route_ids.index(row_) : arena.alloc(DType::i32, {t, k});
  s.weights = arena.alloc(ctx.full(), {t, k});
  ops::route_forward(ctx.device, {.config = route_, .x = s.x, .weight = ctx.params.weight(p_.gate),
                                  .bias = p_.bias != kNoParam ? ctx.params.weight(p_.bias) : Tensor(),
                                  .valid = pass.valid, .logits = s.logits, .scores = s.scores, .ids = s.ids,
                                  .weights = s.weights, .load = pass.load && !pass.repeats ? pass.load.index(row_) : Tensor(),
                                  .nonfinite = pass.nonfinite});
  if (pass.plan)
    pass.plan->apply(ctx.device, {.config = route_, .scores = s.scores, .ids = s.ids, .weights = s.weights,
                                  .positions = pass.positions, .layer = row_, .decoding = pass.mode == Pass::Mode::decode});
}

void MoeLayer::balance_losses(Context& ctx, const Pass& pass, const Saved& s) const {
  const ops::BalanceLossForward common{.score = route_.score, .experts_per_token = route_.experts_per_token,
                                       .scores = s.scores, .valid = pass.valid};
  const Tensor losses = pass.aux_loss ? pass.aux_loss.index(row_) : Tensor();
  if (pass.aux_seq > 0) {
    ops::BalanceLossForward a = common;
    a.alpha = pass.aux_seq;
    a.offs = pass.sequences;
    a.f = pass.aux_f_seq.index(row_);
    a.loss = losses.rows(0, 1);
    ops::balance_loss_forward(ctx.device, a);
  }
  if (pass.aux_global > 0) {
    ops::BalanceLossForward a = common;
    a.alpha = pass.aux_global;
    a.offs = pass.all_rows;
    a.running = pass.aux_running.index(row_);
    a.f = pass.aux_f_global.index(row_);
    a.loss = losses.rows(1, 2);
    ops::balance_loss_forward(ctx.device, a);
  }
}

// Gradient of the scores from the auxiliary losses, or an absent tensor.
Tensor MoeLayer::balance_gradient(Context& ctx, const Pass& pass, const Saved& s) const {
  if (pass.aux_seq <= 0 && pass.aux_global <= 0) return {};
  const Tensor dscores = ctx.scratch.alloc(ctx.full(), {s.scores[0], s.scores[1]});
  bool accumulate = false;
  const auto add = [&](double alpha, const Tensor& offs, const Tensor& frequencies) {
    if (alpha <= 0) return;
    const Tensor f = frequencies.index(row_);
    ops::balance_loss_backward(ctx.device, {.score = route_.score, .alpha = alpha, .scores = s.scores, .offs = offs,
                                            .valid = pass.valid, .f = f, .dloss = pass.aux_scale, .dscores = dscores,
                                            .accumulate = accumulate});
    accumulate = true;
  };
  add(pass.aux_seq, pass.sequences, pass.aux_f_seq);
  add(pass.aux_global, pass.all_rows, pass.aux_f_global);
  return dscores;
}

void MoeLayer::dispatch(Context& ctx, Saved& s, bool training) const {
  Arena& arena = training ? ctx.saved : ctx.scratch;
  const int64_t t = s.x[0], k = c_.num_experts_per_tok, experts = c_.n_routed_experts, inner = c_.moe_intermediate_size;
  const int align = alignment(ctx.device.kind, t);
  const int64_t capacity = Ragged::capacity(t, k, experts, align);
  s.rows = {ctx.keep({capacity, c_.hidden_size}, training), arena.alloc(DType::i32, {experts + 1}),
            arena.alloc(DType::i32, {experts}), align};
  s.row_of = arena.alloc(DType::i32, {t, k});
  s.slot_of = arena.alloc(DType::i32, {capacity});
  s.gate_up = ctx.keep({capacity, 2 * inner}, training);
  s.h = ctx.keep({capacity, inner}, training);
  s.y = ctx.keep({capacity, c_.hidden_size}, training);
  ops::permute_forward(ctx.device, {.x = s.x, .ids = s.ids, .expert_begin = 0, .expert_end = static_cast<int>(experts),
                                    .out = s.rows, .row_of = s.row_of, .slot_of = s.slot_of});
}

Tensor MoeLayer::forward(Context& ctx, const Pass& pass, Tensor x, Saved* saved) const {
  const bool training = saved != nullptr;
  const Tensor y = ctx.keep({x[0], c_.hidden_size}, training);
  ArenaScope scope(ctx.scratch);
  Saved local;
  Saved& s = saved ? *saved : local;
  s.x = x;
  route(ctx, pass, s, training);
  if (training && !pass.repeats) balance_losses(ctx, pass, s);
  dispatch(ctx, s, training);
  Ragged h = s.rows;
  h.rows = s.h;
  // Each expert's weights are counted once, where the first product reads them.
  ops::grouped_linear_forward(ctx.device, {.x = s.rows, .weight = ctx.params.weight(p_.experts_gate_up),
                                           .mapped = ctx.params.mapped(p_.experts_gate_up), .y = s.gate_up,
                                           .executed = pass.executed && !pass.repeats ? pass.executed.rows(row_, row_ + 1) : Tensor()});
  ops::swiglu_forward(ctx.device, {.gate_up = s.gate_up, .offs = s.rows.offs, .count = s.rows.count, .h = s.h});
  ops::grouped_linear_forward(ctx.device, {.x = h, .weight = ctx.params.weight(p_.experts_down),
                                           .mapped = ctx.params.mapped(p_.experts_down), .y = s.y});
  Tensor shared;
  if (p_.shared.down != kNoParam) shared = shared_.forward(ctx, x, saved ? &s.shared : nullptr);
  ops::combine_forward(ctx.device, {.rows = s.y, .row_of = s.row_of, .weights = s.weights, .base = shared, .y = y});
  return y;
}

void MoeLayer::backward(Context& ctx, const Pass& pass, Tensor dy, const Saved& s, Tensor dx) const {
  ArenaScope scope(ctx.scratch);
  const int64_t capacity = s.y[0], inner = c_.moe_intermediate_size;
  const auto scratch = [&](std::initializer_list<int64_t> shape) { return ctx.scratch.alloc(ctx.storage(), shape); };
  const Tensor drows = scratch({capacity, c_.hidden_size}), dh = scratch({capacity, inner});
  const Tensor dgate_up = scratch({capacity, 2 * inner}), dweights = ctx.scratch.alloc(ctx.full(), {dy[0], s.ids[1]});
  ops::combine_backward(ctx.device, {.dy = dy, .rows = s.y, .row_of = s.row_of, .slot_of = s.slot_of,
                                     .offs = s.rows.offs, .weights = s.weights, .drows = drows, .dweights = dweights});
  Ragged h = s.rows;
  h.rows = s.h;
  ops::grouped_linear_backward(ctx.device, {.x = h, .dy = drows, .weight = ctx.params.weight(p_.experts_down), .dx = dh,
                                            .dweight = ctx.params.grad(p_.experts_down),
                                            .accumulate_dweight = ctx.params.accumulate(p_.experts_down)});
  ops::swiglu_backward(ctx.device, {.gate_up = s.gate_up, .offs = s.rows.offs, .count = s.rows.count, .dh = dh,
                                    .dgate_up = dgate_up});
  // drows is spent: the gradient of the experts' inputs takes its place.
  ops::grouped_linear_backward(ctx.device, {.x = s.rows, .dy = dgate_up, .weight = ctx.params.weight(p_.experts_gate_up),
                                            .dx = drows, .dweight = ctx.params.grad(p_.experts_gate_up),
                                            .accumulate_dweight = ctx.params.accumulate(p_.experts_gate_up)});
  ops::permute_backward(ctx.device, {.drows = drows, .row_of = s.row_of, .dx = dx});
  if (p_.shared.down != kNoParam) shared_.backward(ctx, dy, s.shared, dx, true);
  ops::route_backward(ctx.device, {.config = route_, .x = s.x, .weight = ctx.params.weight(p_.gate), .scores = s.scores,
                                   .ids = s.ids, .dweights = dweights, .dscores = balance_gradient(ctx, pass, s),
                                   .dlogits = ctx.scratch.alloc(ctx.full(), {s.scores[0], s.scores[1]}), .dx = dx,
                                   .dweight = ctx.params.grad(p_.gate),
                                   .accumulate_dweight = ctx.params.accumulate(p_.gate)});
}

}  // namespace ballast
