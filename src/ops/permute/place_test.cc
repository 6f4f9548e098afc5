// The CUDA kernels' index arithmetic, re-run on the host: every slot of an expert gets a row of its own, in the order
// of the slots, for any routing.
#include "ops/permute/place.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/rng.h"

namespace ballast::ops {
namespace {

using Counts = std::vector<int32_t>;

// What count_kernel, scan_kernel and rank_kernel do for one expert, chunk by chunk, warp by warp, round by round.
// Returns row_of for the expert's slots, else -1.
Counts ranks(const Counts& ids, int32_t expert, int32_t first_row) {
  const SlotPlan plan{static_cast<int32_t>(ids.size())};
  const auto mine = [&](int32_t slot) { return slot < plan.slots && ids[static_cast<size_t>(slot)] == expert; };
  Counts row_of(ids.size(), -1);
  int32_t before = 0;  // in the chunks before
  for (int chunk = 0; chunk < plan.chunks(); ++chunk) {
    constexpr int kStride = 3;  // the counts of another two experts lie between
    Counts count(SlotPlan::kWarps * kStride, 0);
    const auto walk = [&](auto&& f) {
      for (int warp = 0; warp < SlotPlan::kWarps; ++warp)
        for (int round = 0; round < SlotPlan::kRounds; ++round) f(warp, round);
    };
    walk([&](int warp, int round) {
      for (int lane = 0; lane < 32; ++lane) count[warp * kStride] += mine(plan.slot(chunk, warp, round, lane));
    });
    const int32_t all = counts_before(count.data(), SlotPlan::kWarps, kStride);
    walk([&](int warp, int round) {
      unsigned same = 0;
      for (int lane = 0; lane < 32; ++lane)
        if (mine(plan.slot(chunk, warp, round, lane))) same |= 1u << lane;
      for (int lane = 0; lane < 32; ++lane)
        if (same >> lane & 1)
          row_of[plan.slot(chunk, warp, round, lane)] =
              first_row + before + count[warp * kStride] + rank_in_warp(same, lane);
      count[warp * kStride] += count_bits(same);
    });
    before += all;
  }
  return row_of;
}

TEST(PermutePlace, EverySlotBelongsToOneLane) {
  for (const int32_t slots : {1, 1023, 1024, 1025, 5000}) {
    const SlotPlan plan{slots};
    std::vector<int> seen(static_cast<size_t>(plan.chunks()) * SlotPlan::kChunk, 0);
    for (int chunk = 0; chunk < plan.chunks(); ++chunk)
      for (int warp = 0; warp < SlotPlan::kWarps; ++warp)
        for (int round = 0; round < SlotPlan::kRounds; ++round)
          for (int lane = 0; lane < 32; ++lane) ++seen.at(static_cast<size_t>(plan.slot(chunk, warp, round, lane)));
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<int64_t>(seen.size())) << slots;
    EXPECT_GE(static_cast<int32_t>(seen.size()), slots);
  }
}

TEST(PermutePlace, RanksSlotsOfAnExpertInOrder) {
  Rng rng(5);
  for (const size_t slots : {1u, 31u, 32u, 33u, 127u, 128u, 129u, 1023u, 1024u, 1025u, 5000u})
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
