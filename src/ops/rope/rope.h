// Rotary position embedding in place (Su et al. 2021, eq. 15), interleaved as DeepSeek's: the pair (x[2i], x[2i+1])
// turns by the angle position * inv_freq[i]. YaRN (Peng et al. 2023) enters through inv_freq and `factor`, its mscale.
// The vjp is the inverse rotation.
#pragma once

#include "ops/op.h"

namespace ballast::ops {

struct Rope {
  Tensor x;          // (T, H, D) storage, updated; token and head strides are free
  Tensor positions;  // i32 (T)
  Tensor inv_freq;   // (D / 2) full
  double factor = 1; // cos and sin are multiplied by it
  bool inverse = false;
  void check() const;
  Cost cost() const;
};

void rope(Device& device, const Rope& a);

}  // namespace ballast::ops
