// How a warp of the CUDA kernel chooses experts: lane l owns experts l, l + 32, ...; what a lane does apart from the
// warp's reductions, so that a test runs it on the host.
#pragma once

#include "ops/float_bits.h"

namespace ballast::ops {

// An unsigned that orders as the float does, equal for both zeros; never 0, which stands for "not to be chosen".
BALLAST_HD inline uint32_t sort_key(float v) {
  uint32_t bits = bits_of(v);
  if (bits == 0x80000000u) bits = 0;  // -0; not by adding 0, which a CPU that flushes denormals does not do exactly
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

struct Candidate {
  uint32_t key;
  int index;
};

// The best of a lane's experts; of equal ones the lowest. The warp's best is then the largest key, and of its owners
// the lowest index.
BALLAST_HD inline Candidate best_of_lane(const uint32_t* key, int experts, int lane) {
  Candidate best{0, lane};
  for (int e = lane; e < experts; e += 32)
    if (key[e] > best.key) best = {key[e], e};
  return best;
}

// A group's score: its largest, or the sum of its two largest.
BALLAST_HD inline float score_of_group(const float* c, int begin, int end, bool largest_only) {
  float first = -INFINITY, second = -INFINITY;
  for (int e = begin; e < end; ++e) {
    if (c[e] > first) {
      second = first;
      first = c[e];
    } else if (c[e] > second) {
      second = c[e];
    }
  }
  return largest_only ? first : first + second;
}

}  // namespace ballast::ops
