// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1; DeepSeek-V3 eq. 1-11). Training and prefill
// use the expanded form, decode the absorbed one over the latent cache.
#pragma once

#include "model/context.h"

namespace ballast {

class MlaLayer {
 public:
  MlaLayer(const ModelConfig& config, const AttentionParams& params, int index, Tensor inv_freq);

  struct Saved {
    Tensor x;           // (T, D): the layer's input
    Tensor down;        // (T, q_lora + r + dr), or (T, H dq + r + dr): [c_q | c_kv | k_rope], k_rope rotated
    Tensor q_rstd, kv_rstd;
    Tensor q_latent;    // (T, q_lora): normalized
    Tensor kv_latent;   // (T, r): normalized
    Tensor q;           // (T, H, dn + dr), rotated
    Tensor kv;          // (T, H, dn + dv)
    Tensor o, lse;      // (T, H, dv), (H, T)
  };

  // x (T, D) -> (T, D). saved == nullptr: inference; everything but the result lives in scratch.
  Tensor forward(Context& ctx, const Pass& pass, Tensor x, Saved* saved) const;
  // Gradient of x; adds to the parameters' gradients. The result lives in scratch.
  Tensor backward(Context& ctx, const Pass& pass, Tensor dy, const Saved& saved) const;

 private:
  void add_bias(Context& ctx, ParamId id, Tensor y) const;
  Tensor project(Context& ctx, const Pass& pass, Tensor x, Saved& s, bool training) const;
  Tensor append_to_cache(Context& ctx, const Pass& pass, const Saved& s) const;
  Tensor attend(Context& ctx, const Pass& pass, Saved& s, bool training) const;
  Tensor attend_cached(Context& ctx, const Pass& pass, const Saved& s) const;
  Tensor decode(Context& ctx, const Pass& pass, const Saved& s) const;

  const ModelConfig& c_;
  AttentionParams p_;
  int index_;
  Tensor inv_freq_;
  double scale_, rope_factor_;
  int64_t heads_, dn_, dr_, dv_, r_, q_width_, first_;  // first_: columns of `down` before c_kv
};

}  // namespace ballast
