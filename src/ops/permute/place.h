// Where permute's CUDA kernels put rows: the index arithmetic apart from the threads, so that a test runs it on the
// host.
#pragma once

#include "ops/math.h"

namespace ballast::ops {

// Rows that a group of `count` takes.
BALLAST_HD inline int32_t padded_rows(int32_t count, int align) { return (count + align - 1) / align * align; }

struct Votes {
  int32_t before = 0;  // of the warps before this one
  int32_t all = 0;     // of the block
};
BALLAST_HD inline Votes count_votes(const int32_t* warp_count, int warps, int warp) {
  Votes v;
  for (int w = 0; w < warps; ++w) {
    if (w < warp) v.before += warp_count[w];
    v.all += warp_count[w];
  }
  return v;
}

// How many lanes below `lane` voted.
BALLAST_HD inline int32_t rank_in_warp(unsigned votes, int lane) { return count_bits(votes & ((1u << lane) - 1)); }

}  // namespace ballast::ops
