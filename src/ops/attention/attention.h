// Multi-head latent attention in its expanded form (DeepSeek-V2, arXiv 2405.04434, eq. 10-19): causal softmax attention
// whose keys are a per-head part k_nope and one rotary part k_rope shared by all heads. Packed documents are segments
// that never see each other. Query i of a segment with n_q queries and n_kv keys sees keys 0 .. n_kv - n_q + i
// (bottom-right alignment), so the same op serves training (equal offsets) and chunked prefill.
// Softmax is f32. A query outside of every segment, or one that sees no key, gets o = 0 and lse = -inf; keys that no
// query sees get gradient 0.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct AttentionForward {
  Tensor q;        // (Tq, H, dn + dr) storage: [nope | rope], rotated
  Tensor k_nope;   // (Tk, H, dn) storage
  Tensor k_rope;   // (Tk, dr) storage, rotated
  Tensor v;        // (Tk, H, dv) storage
  Tensor q_offs;   // i32 (S + 1): segment s has queries [q_offs[s], q_offs[s+1]); segments may be empty
  Tensor kv_offs;  // i32 (S + 1)
  double scale = 1;
  Tensor o;        // (Tq, H, dv) storage, out
  Tensor lse;      // (H, Tq) full, out: log of the softmax denominator, with the maximum
  void check() const;
  Cost cost() const;
};

struct AttentionBackward {
  Tensor q, k_nope, k_rope, v, q_offs, kv_offs;  // as forward
  double scale = 1;
  Tensor o, lse;     // as forward
  Tensor d_o;        // (Tq, H, dv) storage
  Tensor dq;         // (Tq, H, dn + dr) storage, out
  Tensor dk_nope;    // (Tk, H, dn) storage, out
  Tensor dk_rope;    // (Tk, dr) storage, out: summed over heads in head order
  Tensor dv;         // (Tk, H, dv) storage, out
  void check() const;
  Cost cost() const;
};

void attention_forward(Device& device, const AttentionForward& a);
void attention_backward(Device& device, const AttentionBackward& a);

}  // namespace ballast::ops
