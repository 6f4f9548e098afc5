// Figures about a checkpoint's routers and its FP8 scales, for `inspect` and `doctor`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "model/params.h"

namespace ballast {

// One MoE layer's router as stored. What is not in the checkpoint, or of another shape, is absent; what cannot be
// decoded (an integer type, FP8 without its scales) has its type and no values.
struct Router {
  int layer = 0;
  int64_t experts = 0;
  bool has_bias = false;  // the shape asks for one
  std::string gate_name, bias_name;
  std::optional<FileDType> gate_dtype, bias_dtype;
  std::vector<float> gate;  // (E, D)
  std::vector<float> bias;  // (E)
};
// Layer by layer, MTP layers included; one at a time in memory.
Router read_router(const Checkpoint& checkpoint, const ParamTable& table, int layer);

// 2-norm of each expert's row of the gate.
std::vector<double> row_norms(const Router& router);

struct Fp8Statistics {
  int64_t tensors = 0, codes = 0, scales = 0;
  double smallest = 0, largest = 0;  // of the scales that are not degenerate
  int64_t degenerate = 0;            // zero, negative, not finite or not a normal number
  std::vector<std::string> bad;      // "NAME: its scales are missing", "NAME: 3 degenerate scales", ...
  std::vector<std::string> lost;     // those of them that have no values: no scales, others' scales, scales not finite
};
Fp8Statistics fp8_statistics(const Checkpoint& checkpoint);

}  // namespace ballast
