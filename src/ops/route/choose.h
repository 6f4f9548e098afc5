// How a warp of the CUDA kernel chooses experts: lane l owns experts l, l + 32, ...; the comparisons apart from the
// shuffles, so that a test runs them on the host.
#pragma once

#include "ops/math.h"

namespace ballast::ops {

struct Candidate {
  float value;
  int index;
};

// The larger value, ties to the lower index: a total order, so every lane of a butterfly ends with the same one.
BALLAST_HD inline Candidate better(Candidate a, Candidate b) {
  return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

// The best of a lane's experts that are not taken (bit i: expert lane + 32 i); nothing left is an index past all
// experts.
BALLAST_HD inline Candidate best_of_lane(const float* c, int experts, unsigned taken, int lane) {
  Candidate best{-INFINITY, experts + lane};
  for (int i = 0, e = lane; e < experts; ++i, e += 32)
    if (!(taken >> i & 1) && c[e] > best.value) best = {c[e], e};
  return best;
}
BALLAST_HD inline unsigned taken_bit(int expert) { return 1u << (expert / 32); }

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

// A kept or missing group must lose even against a score of -inf: it gets an index past all groups.
BALLAST_HD inline Candidate group_candidate(float score, int lane, int groups, bool kept) {
  return kept || lane >= groups ? Candidate{-INFINITY, lane + 32} : Candidate{score, lane};
}

}  // namespace ballast::ops
