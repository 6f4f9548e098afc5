// A warp's choice, re-run on the host with 32 lanes and the butterfly of the shuffles, against sorting.
#include "ops/route/choose.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/rng.h"

namespace ballast::ops {
namespace {

constexpr int kLanes = 32;

// What __shfl_xor_sync leaves in every lane.
Candidate butterfly(std::vector<Candidate> lanes) {
  for (int offset = kLanes / 2; offset > 0; offset /= 2) {
    const auto before = lanes;
    for (int l = 0; l < kLanes; ++l) lanes[l] = better(before[l], before[l ^ offset]);
  }
  for (const Candidate& c : lanes) EXPECT_EQ(c.index, lanes[0].index) << "the lanes disagree";
  return lanes[0];
}

std::vector<int> choose(const std::vector<float>& c, int k) {
  const int experts = static_cast<int>(c.size());
  std::vector<unsigned> taken(kLanes, 0);
  std::vector<int> ids;
  for (int j = 0; j < k; ++j) {
    std::vector<Candidate> lanes;
    for (int l = 0; l < kLanes; ++l) lanes.push_back(best_of_lane(c.data(), experts, taken[l], l));
    const Candidate best = butterfly(lanes);
    taken[best.index % kLanes] |= taken_bit(best.index);
    ids.push_back(best.index);
  }
  return ids;
}

std::vector<int> sorted(const std::vector<float>& c, int k) {
  std::vector<int> order(c.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return c[a] > c[b]; });
  order.resize(static_cast<size_t>(k));
  return order;
}

TEST(RouteChoose, TopKEqualsSortingWithTiesToTheLowerExpert) {
  Rng rng(7);
  for (const int experts : {1, 8, 31, 32, 33, 64, 256, 511, 512})
    for (int trial = 0; trial < 50; ++trial) {
      const int k = std::min(experts, 8);
      std::vector<float> c(static_cast<size_t>(experts));
      for (float& v : c) v = trial % 2 ? static_cast<float>(rng.normal()) : static_cast<float>(rng.below(5));  // ties
      if (trial % 3 == 0)  // masked groups
        for (int e = k; e < experts; ++e)
          if (rng.below(2)) c[static_cast<size_t>(e)] = -INFINITY;
      EXPECT_EQ(choose(c, k), sorted(c, k)) << experts << " experts, trial " << trial;
    }
}

TEST(RouteChoose, ANonFiniteRowOfZerosYieldsDistinctIdsInRange) {
  EXPECT_EQ(choose(std::vector<float>(256, 0.0f), 8), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(RouteChoose, GroupsEqualSorting) {
  Rng rng(9);
  for (const int groups : {1, 4, 8, 32})
    for (int trial = 0; trial < 50; ++trial) {
      std::vector<float> score(static_cast<size_t>(groups));
      for (float& s : score) s = rng.below(4) ? static_cast<float>(rng.below(6)) : -INFINITY;
      std::vector<char> kept(kLanes, 0);
      const int n = std::max(1, groups / 2);
      for (int i = 0; i < n; ++i) {
        std::vector<Candidate> lanes;
        for (int l = 0; l < kLanes; ++l)
          lanes.push_back(group_candidate(l < groups ? score[l] : 0, l, groups, kept[l]));
        const int best = butterfly(lanes).index;
        ASSERT_LT(best, groups);
        kept[static_cast<size_t>(best)] = 1;
      }
      const auto want = sorted(score, n);
      for (int g = 0; g < groups; ++g) EXPECT_EQ(bool(kept[g]), std::count(want.begin(), want.end(), g) == 1) << g;
    }
}

TEST(RouteChoose, GroupScores) {
  const std::vector<float> c{3, 1, 3, -INFINITY, 2, 7};
  EXPECT_EQ(score_of_group(c.data(), 0, 3, false), 6);
  EXPECT_EQ(score_of_group(c.data(), 3, 6, false), 9);
  EXPECT_EQ(score_of_group(c.data(), 3, 6, true), 7);
  EXPECT_EQ(score_of_group(c.data(), 3, 4, false), -INFINITY);
}

}  // namespace
}  // namespace ballast::ops
