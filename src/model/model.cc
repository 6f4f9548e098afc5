#include "model/model.h"

#include "ops/embed/embed.h"
#include "ops/linear/linear.h"
#include "ops/rmsnorm/rmsnorm.h"

namespace ballast {
namespace {

Buffer upload_inv_freq(Device& device, const std::vector<double>& values, DType full) {
  Buffer buffer(device, values.size() * size_of(full));
  const auto put = [&]<class T>() {
    std::vector<T> host(values.begin(), values.end());
    device.upload(buffer.data(), host.data(), host.size() * sizeof(T));
    device.synchronize();
  };
  if (full == DType::f64) put.operator()<double>();
  else if (full == DType::c128) put.operator()<std::complex<double>>();
  else put.operator()<float>();
  return buffer;
}

}  // namespace

Model::Model(const ModelConfig& config, ParamStore& params)
    : config_(config), params_(params), p_(params.table().model),
      inv_freq_(upload_inv_freq(params.device(), rope_inv_freq(config), params.full())) {
  const Tensor inv_freq(inv_freq_.data(), params.full(), {config_.qk_rope_head_dim / 2});
  const auto row = [&](const BlockParams& b) { return b.is_moe ? moe_layers_++ : -1; };
  for (size_t i = 0; i < p_.blocks.size(); ++i)
    blocks_.emplace_back(config_, p_.blocks[i], static_cast<int>(i), row(p_.blocks[i]), inv_freq);
  if (!p_.mtp.empty())
    mtp_block_ = std::make_unique<Block>(config_, p_.mtp[0].block, config_.num_hidden_layers, row(p_.mtp[0].block), inv_freq);
}

// The MTP layer sees one token less per document: its last row has no next token and is padding.
Pass Model::mtp_pass(const Pass& pass, const TrainBatch& batch) const {
  Pass mtp = pass;
  mtp.valid = batch.mtp_valid;
  return mtp;
}

// h' = M [RMSNorm(Emb(t_{i+1})); RMSNorm(h_i)] (eq. 21; the published weights put the embedding first), one layer (eq. 22),
// then the shared head (eq. 23). h_i is the final norm's output.
Tensor Model::mtp_forward(Context& ctx, const Pass& pass, const TrainBatch& batch, Tensor hidden, MtpSaved& s) const {
  const MtpParams& p = p_.mtp[0];
  const int64_t t = hidden[0], width = config_.hidden_size;
  s.embedded = ctx.saved.alloc(ctx.storage(), {t, width});
  s.both = ctx.saved.alloc(ctx.storage(), {t, 2 * width});
  s.e_rstd = ctx.saved.alloc(ctx.full(), {t});
  s.h_rstd = ctx.saved.alloc(ctx.full(), {t});
  ops::embed_forward(ctx.device, {.ids = batch.mtp_ids, .table = params_.weight(p_.embedding), .y = s.embedded});
  ops::rmsnorm_forward(ctx.device, {.x = s.embedded, .weight = params_.weight(p.enorm), .eps = config_.rms_norm_eps,
                                    .y = s.both.cols(0, width), .rstd = s.e_rstd});
  ops::rmsnorm_forward(ctx.device, {.x = hidden, .weight = params_.weight(p.hnorm), .eps = config_.rms_norm_eps,
                                    .y = s.both.cols(width, 2 * width), .rstd = s.h_rstd});
  const Tensor x = ctx.saved.alloc(ctx.storage(), {t, width});
  ops::linear_forward(ctx.device, {.x = s.both, .weight = params_.weight(p.projection), .y = x});
  const Residual out = mtp_block_->forward(ctx, mtp_pass(pass, batch), {x, {}}, &s.block);
  s.head_norm = norm_forward(ctx, p.head_norm, config_.rms_norm_eps, out, true);
  return s.head_norm.y;
}

void Model::mtp_backward(Context& ctx, const Pass& pass, const TrainBatch& batch, Tensor hidden, const MtpSaved& s,
                         Tensor dy, Tensor dhidden) const {
  const MtpParams& p = p_.mtp[0];
  ArenaScope scope(ctx.scratch);
  const int64_t t = hidden[0], width = config_.hidden_size;
  const Tensor dout = ctx.scratch.alloc(ctx.storage(), {t, width}), dx = ctx.scratch.alloc(ctx.storage(), {t, width});
  norm_backward(ctx, p.head_norm, s.head_norm, dy, {}, dout);
  mtp_block_->backward(ctx, mtp_pass(pass, batch), dout, s.block, dx);
  const Tensor dboth = ctx.scratch.alloc(ctx.storage(), {t, 2 * width});
  ops::linear_backward(ctx.device, {.dy = dx, .x = s.both, .weight = params_.weight(p.projection), .dx = dboth,
                                    .dweight = params_.grad(p.projection),
                                    .accumulate_dweight = params_.accumulate(p.projection)});
  ops::rmsnorm_backward(ctx.device, {.dy = dboth.cols(width, 2 * width), .s = hidden, .weight = params_.weight(p.hnorm),
                                     .rstd = s.h_rstd, .dsum = dhidden, .dx = dhidden, .dweight = params_.grad(p.hnorm),
                                     .accumulate_dweight = params_.accumulate(p.hnorm)});
  const Tensor dembedded = ctx.scratch.alloc(ctx.storage(), {t, width});
  ops::rmsnorm_backward(ctx.device, {.dy = dboth.cols(0, width), .s = s.embedded, .weight = params_.weight(p.enorm),
                                     .rstd = s.e_rstd, .dx = dembedded, .dweight = params_.grad(p.enorm),
                                     .accumulate_dweight = params_.accumulate(p.enorm)});
  ops::embed_backward(ctx.device, {.ids = batch.mtp_ids, .dy = dembedded, .dtable = params_.grad(p_.embedding),
                                   .accumulate = params_.accumulate(p_.embedding)});
}

struct Model::Tape {
  std::vector<Block::Saved> saved;
  std::vector<Residual> inputs;  // of each block, where activations are not kept
};

Residual Model::forward_blocks(Context& ctx, const Pass& pass, Residual stream, bool backward, Tape& tape) const {
  const size_t n = blocks_.size();
  tape.saved.resize(n);
  if (pass.keep_activations) {
    for (size_t i = 0; i < n; ++i) stream = blocks_[i].forward(ctx, pass, stream, &tape.saved[i]);
    return stream;
  }
  // Only the stream between two blocks outlives them; without backward, two such places are enough.
  std::vector<Residual> places(backward ? n : 2);
  for (Residual& place : places)
    for (Tensor* x : {&place.sum, &place.delta}) *x = ctx.saved.alloc(ctx.storage(), {stream.sum[0], stream.sum[1]});
  for (size_t i = 0; i < n; ++i) {
    tape.inputs.push_back(stream);
    ArenaScope scope(ctx.saved);
    const Residual out = blocks_[i].forward(ctx, pass, stream, &tape.saved[i]);
    const Residual& place = places[i % places.size()];
    ctx.device.copy(place.sum.data, out.sum.data, static_cast<size_t>(out.sum.bytes()));
    ctx.device.copy(place.delta.data, out.delta.data, static_cast<size_t>(out.delta.bytes()));
    stream = place;
  }
  return stream;
}

void Model::backward_block(Context& ctx, const Pass& pass, size_t i, Tensor dout, Tape& tape, Tensor dx) const {
  ArenaScope scope(ctx.saved);
  if (!pass.keep_activations) {
    Pass again = pass;
    again.repeats = true;
    blocks_[i].forward(ctx, again, tape.inputs[i], &tape.saved[i]);
  }
  blocks_[i].backward(ctx, pass, dout, tape.saved[i], dx);
}

void Model::train_step(Context& ctx, const Pass& pass, const TrainBatch& batch, bool backward, Trace* trace) const {
  const int64_t t = batch.ids[0], width = config_.hidden_size;
  CHECK(pass.keep_activations || !trace);
  ctx.saved.reset();
  ctx.scratch.reset();
  // Forward.
  const Tensor x = ctx.saved.alloc(ctx.storage(), {t, width});
  ops::embed_forward(ctx.device, {.ids = batch.ids, .table = params_.weight(p_.embedding), .y = x});
  Tape tape;
  const Residual stream = forward_blocks(ctx, pass, {x, {}}, backward, tape);
  for (size_t i = 0; trace && i < blocks_.size(); ++i) {
    trace->hidden.push_back(tape.saved[i].input.s);
    if (p_.blocks[i].is_moe) trace->routing.push_back(tape.saved[i].moe);
  }
  const NormSaved final_norm = norm_forward(ctx, p_.final_norm, config_.rms_norm_eps, stream, true);
  const Tensor hidden = final_norm.y;
  if (trace) trace->hidden.push_back(hidden);
  const size_t before_mtp = ctx.saved.mark();
  MtpSaved mtp;
  Tensor mtp_hidden;
  if (mtp_block_) mtp_hidden = mtp_forward(ctx, pass, batch, hidden, mtp);
  if (trace && mtp_block_) {
    trace->mtp_hidden = mtp_hidden;
    if (p_.mtp[0].block.is_moe) trace->routing.push_back(mtp.block.moe);
  }

  // Losses, and the way back. The head's gradient is taken chunk by chunk, right behind its loss.
  const Tensor dhidden = backward ? ctx.scratch.alloc(ctx.storage(), {t, width}) : Tensor();
  head_loss(ctx, p_.head, hidden, {batch.targets, batch.scale, batch.loss, batch.correct}, dhidden);
  if (mtp_block_) {
    ArenaScope scope(ctx.scratch);
    const Tensor dmtp = backward ? ctx.scratch.alloc(ctx.storage(), {t, width}) : Tensor();
    head_loss(ctx, p_.head, mtp_hidden, {batch.mtp_targets, batch.mtp_scale, batch.mtp_loss, batch.mtp_correct}, dmtp);
    if (backward) mtp_backward(ctx, pass, batch, hidden, mtp, dmtp, dhidden);
  }
  if (!backward) return;
  // The gradient of the stream ping-pongs between two buffers.
  Tensor dx = ctx.scratch.alloc(ctx.storage(), {t, width}), next = ctx.scratch.alloc(ctx.storage(), {t, width});
  norm_backward(ctx, p_.final_norm, final_norm, dhidden, {}, dx);
  ctx.saved.release(before_mtp);
  for (size_t i = blocks_.size(); i-- > 0;) {
    backward_block(ctx, pass, i, dx, tape, next);
    std::swap(dx, next);
  }
  ops::embed_backward(ctx.device, {.ids = batch.ids, .dy = dx, .dtable = params_.grad(p_.embedding),
                                   .accumulate = params_.accumulate(p_.embedding)});
}

Tensor Model::infer(Context& ctx, const Pass& pass, Tensor ids) const {
  const int64_t t = ids[0], width = config_.hidden_size;
  const Tensor y = ctx.scratch.alloc(ctx.storage(), {t, width});
  // Two pairs of buffers carry the stream from block to block; each block's scratch is released behind it.
  Tensor carry[2][2];
  for (auto& pair : carry)
    for (Tensor& x : pair) x = ctx.scratch.alloc(ctx.storage(), {t, width});
  ops::embed_forward(ctx.device, {.ids = ids, .table = params_.weight(p_.embedding), .y = carry[0][0]});
  Residual stream{carry[0][0], {}};
  for (size_t i = 0; i < blocks_.size(); ++i) {
    ArenaScope scope(ctx.scratch);
    const Residual out = blocks_[i].forward(ctx, pass, stream, nullptr);
    const auto& to = carry[(i + 1) % 2];
    ctx.device.copy(to[0].data, out.sum.data, static_cast<size_t>(out.sum.bytes()));
    ctx.device.copy(to[1].data, out.delta.data, static_cast<size_t>(out.delta.bytes()));
    stream = {to[0], to[1]};
  }
  ArenaScope scope(ctx.scratch);
  const NormSaved final_norm = norm_forward(ctx, p_.final_norm, config_.rms_norm_eps, stream, false);
  ctx.device.copy(y.data, final_norm.y.data, static_cast<size_t>(y.bytes()));
  return y;
}

}  // namespace ballast
