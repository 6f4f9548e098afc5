// The CUDA kernels' index arithmetic, re-run on the host: every slot of an expert gets a row of its own, in the order
// of the slots, for any routing.
#include "ops/permute/place.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"

namespace ballast::ops {
namespace {

constexpr int kWarps = 8, kBlock = 32 * kWarps;

// rank_kernel's loop for one expert, all threads of the block in turn. Returns row_of for the expert's slots, else -1.
std::vector<int32_t> ranks(const std::vector<int32_t>& ids, int32_t expert, int32_t first_row) {
  std::vector<int32_t> row_of(ids.size(), -1);
  int32_t row = first_row;
  for (size_t start = 0; start < ids.size(); start += kBlock) {
    unsigned votes[kWarps] = {};
    int32_t warp_count[kWarps];
    for (int thread = 0; thread < kBlock; ++thread)
      if (start + thread < ids.size() && ids[start + thread] == expert) votes[thread / 32] |= 1u << thread % 32;
    for (int w = 0; w < kWarps; ++w) warp_count[w] = count_bits(votes[w]);
    for (int thread = 0; thread < kBlock; ++thread) {
      const int warp = thread / 32, lane = thread % 32;
      if (votes[warp] >> lane & 1)
        row_of[start + thread] = row + count_votes(warp_count, kWarps, warp).before + rank_in_warp(votes[warp], lane);
    }
    row += count_votes(warp_count, kWarps, 0).all;
  }
  return row_of;
}

TEST(PermutePlace, RanksSlotsOfAnExpertInOrder) {
  Rng rng(5);
  for (const size_t slots : {1u, 31u, 32u, 33u, 255u, 256u, 257u, 1000u, 5000u})
    for (const int experts : {1, 3, 64}) {
      std::vector<int32_t> ids(slots);
      for (int32_t& id : ids) id = static_cast<int32_t>(rng.below(static_cast<uint64_t>(experts) + 1)) - 1;
      for (int32_t e = 0; e < experts; ++e) {
        const auto row_of = ranks(ids, e, 128 * e);
        int32_t next = 128 * e;
        for (size_t s = 0; s < slots; ++s)
          EXPECT_EQ(row_of[s], ids[s] == e ? next++ : -1) << slots << " slots, expert " << e << ", slot " << s;
      }
    }
}

TEST(PermutePlace, GroupsAreRoundedUpAndEmptyOnesTakeNothing) {
  EXPECT_EQ(padded_rows(0, 128), 0);
  for (int32_t count = 1; count < 700; ++count) {
    const int32_t rows = padded_rows(count, 128);
    EXPECT_EQ(rows % 128, 0);
    EXPECT_TRUE(rows >= count && rows < count + 128) << count;
    EXPECT_EQ(padded_rows(count, 1), count);
  }
}

}  // namespace
}  // namespace ballast::ops
