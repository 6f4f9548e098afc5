// A warp's choice, re-run on the host with 32 lanes and the warp's reductions, against sorting.
#include "ops/route/choose.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "base/rng.h"

namespace ballast::ops {
namespace {

constexpr int kLanes = 32;

// What the warp's two reductions leave in every lane: the largest key, then the lowest index that has it.
int best_of_warp(const std::vector<Candidate>& lanes) {
  uint32_t key = 0;
  for (const Candidate& c : lanes) key = std::max(key, c.key);
  int index = std::numeric_limits<int>::max();
  for (const Candidate& c : lanes)
    if (c.key == key) index = std::min(index, c.index);
  return index;
}

std::vector<int> choose(const std::vector<float>& c, int k) {
  const int experts = static_cast<int>(c.size());
  std::vector<uint32_t> key;
  for (const float v : c) key.push_back(sort_key(v));
  std::vector<int> ids;
  for (int j = 0; j < k; ++j) {
    std::vector<Candidate> lanes;
    for (int l = 0; l < kLanes; ++l) lanes.push_back(best_of_lane(key.data(), experts, l));
    ids.push_back(best_of_warp(lanes));
    key.at(static_cast<size_t>(ids.back())) = 0;
  }
  return ids;
}

TEST(RouteChoose, KeysOrderAsFloatsDo) {
  const float inf = INFINITY;
  const std::vector<float> rising{-inf, -3e38f, -1.5f, -1e-45f, 0, 1e-45f, 1, 1.0000001f, 3e38f, inf};
  for (size_t i = 1; i < rising.size(); ++i) EXPECT_LT(sort_key(rising[i - 1]), sort_key(rising[i])) << i;
  EXPECT_EQ(sort_key(-0.0f), sort_key(0.0f));
  EXPECT_GT(sort_key(-inf), 0u) << "0 is for what must not be chosen";
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
      std::vector<Candidate> lanes;
      for (int l = 0; l < kLanes; ++l) lanes.push_back({l < groups ? sort_key(score[static_cast<size_t>(l)]) : 0, l});
      const int n = std::max(1, groups / 2);
      for (int i = 0; i < n; ++i) {
        const int best = best_of_warp(lanes);
        ASSERT_LT(best, groups);
        kept[static_cast<size_t>(best)] = 1;
        lanes[static_cast<size_t>(best)].key = 0;
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
