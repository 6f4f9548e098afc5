// One decode step of multi-head latent attention in its absorbed form (arXiv 2405.04434, section 2.1.2): keys and
// values stay compressed. With kv_b split per head into W_uk (dn, r) and W_uv (dv, r), and cached c (latent) and
// k_rope:
//   score_j = scale * ((q_nope W_uk) . c_j + q_rope . k_rope_j);  o = W_uv (sum_j softmax(score)_j c_j)
// Equals the expanded form over the same cache. No vjp.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct MlaDecode {
  Tensor q;        // (B, H, dn + dr) storage, rotated
  Tensor kv_b;     // (H * (dn + dv), r) storage: kv_b_proj.weight
  Tensor cache;    // (B, C, r + dr) storage: [normalized latent | rotated k_rope] of each position
  Tensor length;   // i32 (B): positions to attend to, this token's included; 0 gives a zero row
  double scale = 1;
  Tensor scratch;  // (B, H, 2 r + C) full
  Tensor o;        // (B, H, dv) storage, out
  void check() const;
  Cost cost() const;
};

void mla_decode(Device& device, const MlaDecode& a);

}  // namespace ballast::ops
