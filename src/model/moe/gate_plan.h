// Expert skipping: what happens between the trained choice of experts and their execution. Candidates are chosen
// exactly as trained (biased, grouped) and then trimmed on unbiased scores, because the bias is a load price with an
// arbitrary common offset. Skipped slots get id -1 and weight 0; their experts' weights are never read.
//
// A policy is one file, skip/<name>.h: its config fields and a functor that marks the slots of one row to keep. What
// follows the marks is here: at least the best slot stays, and the survivors' weights are compensated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/device.h"
#include "ops/route/route.h"

namespace ballast {

// The slots of one row, sorted by unbiased score, largest first (ties in slot order).
struct SkipRow {
  int k = 0;
  const float* score = nullptr;  // (k)
  bool* keep = nullptr;          // (k), all true on entry
  // What a random policy may key its draws by.
  int64_t position = 0;
  int layer = 0;
};

// What policies share. Their own fields live in their files and join this section.
struct SkipOptions {
  int top_k = 0;              // topk and random: slots to keep; 0: all
  double renorm = 0;          // eta: 0 renormalizes the survivors, 1 leaves their weights as they were
  bool prefill = true;        // apply to prompt tokens, too
  int64_t seed = 0;
};

struct SkipConfig;  // model/moe/skip.h: the policy's name, SkipOptions and every policy's own fields

class GatePlan {
 public:
  virtual ~GatePlan() = default;
  struct Arguments {
    ops::RouteConfig config;
    Tensor scores, ids, weights, positions;
    int layer = 0;
    bool decoding = false;
  };
  virtual void apply(Device& device, const Arguments& a) const = 0;
  virtual std::string description() const = 0;
};

// The weights of a row whose slots were marked. For normalized gates:
//   g_i = scale * p_i / (S_keep^(1 - eta) * S_full^eta);  otherwise the survivors keep their weights.
// Nothing is touched when every slot is kept, so that identity settings are bit-exact.
void compensate(const ops::RouteConfig& config, const float* scores, double renorm, const bool* keep_slot, int32_t* ids,
                float* weights);

}  // namespace ballast
