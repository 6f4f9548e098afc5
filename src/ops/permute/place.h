// Where permute's CUDA kernels put rows: the index arithmetic apart from the threads, so that a test runs it on the
// host. The slots are split into chunks, a chunk into one run of consecutive slots per warp, a run into rounds of one
// slot per lane. A slot's rank within its expert is the sum of four counts of that expert's slots:
//   in the chunks before, in the warps before (same chunk), in the rounds before (same warp), in the lanes before.
#pragma once

#include "ops/math.h"

namespace ballast::ops {

struct SlotPlan {
  static constexpr int kWarps = 8, kRounds = 4, kChunk = kWarps * kRounds * 32;
  int32_t slots;
  BALLAST_HD int chunks() const { return (slots + kChunk - 1) / kChunk; }
  // May lie past the last slot.
  BALLAST_HD int32_t slot(int chunk, int warp, int round, int lane) const {
    return ((chunk * kWarps + warp) * kRounds + round) * 32 + lane;
  }
};

// Rows that a group of `count` takes.
BALLAST_HD inline int32_t padded_rows(int32_t count, int align) { return (count + align - 1) / align * align; }

// How many lanes below `lane` voted.
BALLAST_HD inline int32_t rank_in_warp(unsigned votes, int lane) { return count_bits(votes & ((1u << lane) - 1)); }

// Turns the counts of an expert in each warp, `stride` apart, into how many lie in the warps before; returns their sum.
BALLAST_HD inline int32_t counts_before(int32_t* count, int warps, int stride) {
  int32_t sum = 0;
  for (int w = 0; w < warps; ++w) {
    const int32_t here = count[w * stride];
    count[w * stride] = sum;
    sum += here;
  }
  return sum;
}

}  // namespace ballast::ops
