// Draws tokens from an engine's logits. A draw depends on (seed, stream, position) and the row of logits, on nothing
// else in the batch, so a request's text is the same whatever runs beside it.
#pragma once

#include "core/device.h"

namespace ballast {

struct SamplerOptions {
  double temperature = 0;  // 0: the most probable token
  double top_p = 1;        // in (0, 1]
  uint64_t seed = 0, stream = 0;
};

class Sampler {
 public:
  // `full`: the dtype of the logits. Throws Error{usage} for a negative temperature or a top_p outside (0, 1].
  Sampler(Device& device, DType full, const SamplerOptions& options);

  // The token that follows `position` tokens. logits (1, V). Allocates nothing.
  int32_t draw(const Tensor& logits, int64_t position);

 private:
  Device& device_;
  SamplerOptions options_;
  Buffer memory_;
  Tensor temperature_, top_p_, key_, token_;
};

}  // namespace ballast
