#include "model/head.h"

#include <algorithm>

#include "ops/cross_entropy/cross_entropy.h"
#include "ops/linear/linear.h"

namespace ballast {
namespace {

// Rows per chunk: logits of some 64 MiB, still large products.
int64_t chunk_rows(int64_t rows, int64_t vocab) {
  return std::min(rows, std::max<int64_t>(64, (int64_t{16} << 20) / vocab / 64 * 64));
}

}  // namespace

void head_loss(Context& ctx, ParamId weight, Tensor x, const HeadTargets& a, Tensor dx) {
  const Tensor w = ctx.params.weight(weight);
  const int64_t rows = x[0], vocab = w[0], step = chunk_rows(rows, vocab);
  ArenaScope scope(ctx.scratch);
  const Tensor logits = ctx.scratch.alloc(ctx.full(), {step, vocab});
  const Tensor dlogits = dx ? ctx.scratch.alloc(ctx.storage(), {step, vocab}) : Tensor();
  const Tensor lse = ctx.scratch.alloc(ctx.full(), {step});
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t end = std::min(rows, begin + step), n = end - begin;
    ops::linear_forward(ctx.device, {.x = x.rows(begin, end), .weight = w, .y = logits.rows(0, n)});
    ops::cross_entropy_forward(ctx.device, {.logits = logits.rows(0, n), .targets = a.targets.rows(begin, end),
                                            .loss = a.loss.rows(begin, end), .lse = lse.rows(0, n),
                                            .correct = a.correct.rows(begin, end), .scale = dx ? a.scale : Tensor(),
                                            .dlogits = dx ? dlogits.rows(0, n) : Tensor()});
    if (!dx) continue;
    ops::linear_backward(ctx.device, {.dy = dlogits.rows(0, n), .x = x.rows(begin, end), .weight = w,
                                      .dx = dx.rows(begin, end), .dweight = ctx.params.grad(weight),
                                      .accumulate_dweight = ctx.params.accumulate(weight)});
  }
}

void head_logits(Context& ctx, ParamId weight, Tensor x, Tensor logits) {
  ops::linear_forward(ctx.device, {.x = x, .weight = ctx.params.weight(weight), .y = logits});
}

}  // namespace ballast
