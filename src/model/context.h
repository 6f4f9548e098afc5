// What a layer is given: where to compute (Context) and what one step looks like (Pass). Passed, never global.
#pragma once

#include "model/params.h"

namespace ballast {

struct Context {
  Device& device;
  ParamStore& params;
  Arena& saved;    // activations kept for backward, until the end of the step
  Arena& scratch;  // mark and release

  DType storage() const { return params.storage(); }
  DType full() const { return params.full(); }
  Tensor keep(std::initializer_list<int64_t> shape, bool training) const {
    return (training ? saved : scratch).alloc(storage(), shape);
  }
};

class GatePlan;  // model/moe/gate_plan.h

// The latent cache of one layer: per sequence slot, each position's normalized latent and rotated k_rope.
struct CacheLayer {
  Tensor rows;  // (slots, positions, r + dr) storage
};

// One step's view of the batch.
struct Pass {
  enum class Mode { train, prefill, decode } mode = Mode::train;
  Tensor positions;  // i32 (T)
  Tensor segments;   // i32 (S + 1): documents that do not see each other
  Tensor sequences;  // i32 (B + 1): rows of each sequence, for the sequence-wise loss; train
  Tensor all_rows;   // i32 (2): [0, T]; train
  Tensor valid;      // i32 (T), optional: 0 marks a padding row, which is not routed

  // Serving. prefill: rows of one sequence, appended to slot `slot` after `past` positions. decode: one row per slot.
  const std::vector<CacheLayer>* cache = nullptr;
  int slot = 0;
  int64_t past = 0;
  Tensor length;     // i32 (T): decode: positions to attend to, the new one included
  Tensor kv_segments;            // i32 (2): prefill: [0, past + T]
  const GatePlan* plan = nullptr;  // skip policy; null: as trained

  // Auxiliary balance losses (ops/balance_loss); 0 turns one off.
  double aux_seq = 0, aux_global = 0;
  Tensor aux_loss;     // (L, 2) full, out: sequence-wise and global loss of each MoE layer; needed when one is on
  Tensor aux_running;  // i64 (L, E + 1): the global loss's counts over the micro-batches of the step
  Tensor aux_f_seq, aux_f_global;  // (L, B, E), (L, 1, E) full, out: relative frequencies, kept for backward
  Tensor aux_scale;    // (1) full: gradient of the total with respect to each auxiliary loss

  // Training: false keeps the layers' inputs alone, and backward repeats each layer's forward (recomputation of
  // activations; Chen et al., arXiv 1604.06174).
  bool keep_activations = true;
  bool repeats = false;  // this is such a repetition: what the first time counted is not counted again

  // Routing telemetry. Rows are MoE layers in order, MTP layers last.
  Tensor load;      // i64 (L, E), optional: counts are added (training, first forward only)
  Tensor executed;  // i64 (L), optional: experts whose weights were read are added
  Tensor nonfinite; // i32 (1)
  Tensor route_scores, route_ids;  // (L, T, E) full, i32 (L, T, K), optional, out: unbiased scores and choices
};

}  // namespace ballast
