// A DeepSeek-V3-architecture model: embedding, decoder layers, final norm, head, and the multi-token prediction (MTP)
// layer (arXiv 2412.19437, section 2). Explicit forward and backward; backward reads as forward upwards.
// model/reference.h is the same model written to be read.
#pragma once

#include <memory>
#include <vector>

#include "model/block.h"
#include "model/head.h"

namespace ballast {

// What one micro-batch is, on the device.
struct TrainBatch {
  Tensor ids, targets;          // i32 (T), -1: no target
  Tensor mtp_ids, mtp_targets;  // i32 (T), -1: no such token; used with an MTP layer
  Tensor mtp_valid;             // i32 (T): mtp_ids >= 0
  Tensor scale, mtp_scale;      // (1) full: gradient of the total with respect to each token's loss
  Tensor loss, mtp_loss;        // (T) full, out
  Tensor correct, mtp_correct;  // i32 (T), out
};

// What a caller may ask to see of a forward pass (verify).
struct Trace {
  std::vector<Tensor> hidden;                // input of each layer, then the final norm's output
  std::vector<MoeLayer::Saved> routing;      // by MoE layer, MTP last
  Tensor mtp_hidden;                         // after the MTP head's norm
};

class Model {
 public:
  // `params` outlives the model.
  Model(const ModelConfig& config, ParamStore& params);

  const ModelConfig& config() const { return config_; }
  ParamStore& params() { return params_; }
  int moe_layers() const { return moe_layers_; }  // MTP's included

  // Losses, and with `backward` the gradients (added to what the step has so far). `trace` needs no backward, but kept
  // activations.
  void train_step(Context& ctx, const Pass& pass, const TrainBatch& batch, bool backward, Trace* trace = nullptr) const;

  // Hidden states after the final norm, (T, D), for prefill and decode. In scratch: the caller holds the scope.
  Tensor infer(Context& ctx, const Pass& pass, Tensor ids) const;
  void logits(Context& ctx, Tensor hidden, Tensor logits) const { head_logits(ctx, p_.head, hidden, logits); }

 private:
  struct MtpSaved {
    Tensor embedded, e_rstd, h_rstd, both;  // (T, D), (T), (T), (T, 2D)
    Block::Saved block;
    NormSaved head_norm;
  };
  struct Tape;  // what the layers of one forward pass leave to backward
  Residual forward_blocks(Context& ctx, const Pass& pass, Residual stream, bool backward, Tape& tape) const;
  void backward_block(Context& ctx, const Pass& pass, size_t i, Tensor dout, Tape& tape, Tensor dx) const;
  Tensor mtp_forward(Context& ctx, const Pass& pass, const TrainBatch& batch, Tensor hidden, MtpSaved& s) const;
  void mtp_backward(Context& ctx, const Pass& pass, const TrainBatch& batch, Tensor hidden, const MtpSaved& s, Tensor dy,
                    Tensor dhidden) const;
  Pass mtp_pass(const Pass& pass, const TrainBatch& batch) const;

  ModelConfig config_;
  ParamStore& params_;
  ModelParams p_;
  Buffer inv_freq_;
  int moe_layers_ = 0;
  std::vector<Block> blocks_;
  std::unique_ptr<Block> mtp_block_;
};

}  // namespace ballast
