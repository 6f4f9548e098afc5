#include "base/stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"

namespace ballast {
namespace {

TEST(Stats, MeanAndDeviation) {
  const std::vector<double> v = {2, 4, 4, 4, 5, 5, 7, 9};
  EXPECT_DOUBLE_EQ(mean(v), 5);
  EXPECT_DOUBLE_EQ(sample_stddev(v), std::sqrt(32.0 / 7));
  EXPECT_EQ(sample_stddev(std::vector<double>{3}), 0);
}

TEST(Stats, QuantilesAreNumpys) {
  const std::vector<double> v = {15, 20, 35, 40, 50};  // unsorted input is sorted first
  EXPECT_DOUBLE_EQ(quantile(v, 0), 15);
  EXPECT_DOUBLE_EQ(quantile(v, 0.4), 29);
  EXPECT_DOUBLE_EQ(quantile(v, 1), 50);
  EXPECT_DOUBLE_EQ(quantile(std::vector<double>{3, 1, 2}, 0.5), 2);
  EXPECT_DOUBLE_EQ(quantile(std::vector<double>{7}, 0.3), 7);
}

TEST(Stats, BootstrapOfTwoValuesIsExact) {
  // The mean of two draws from {0, 1} is 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4.
  const std::vector<double> v = {0, 1};
  const Interval wide = bootstrap_mean(v, 1, 10000, 0.95), narrow = bootstrap_mean(v, 1, 10000, 0.4);
  EXPECT_EQ(wide.lo, 0);
  EXPECT_EQ(wide.hi, 1);
  EXPECT_EQ(narrow.lo, 0.5);
  EXPECT_EQ(narrow.hi, 0.5);
}

TEST(Stats, BootstrapOfManyValuesIsTheNormalInterval) {
  Rng rng(9);
  std::vector<double> v(400);
  for (double& x : v) x = rng.normal();
  const double half = 1.96 * sample_stddev(v) / std::sqrt(400.0);
  const Interval i = bootstrap_mean(v, 3);
  EXPECT_NEAR(i.lo, mean(v) - half, 0.06 * half);
  EXPECT_NEAR(i.hi, mean(v) + half, 0.06 * half);
}

TEST(Stats, DependsOnTheSeedOnly) {
  const std::vector<double> v = {1, 5, 2, 8, 3};
  const Interval a = bootstrap_mean(v, 7, 200), b = bootstrap_mean(v, 7, 200);
  EXPECT_EQ(a.lo, b.lo);
  EXPECT_EQ(a.hi, b.hi);
  Interval other = bootstrap_mean(v, 8, 201, 0.9);
  EXPECT_TRUE(other.lo != a.lo || other.hi != a.hi);
}

TEST(Stats, ClustersWidenTheInterval) {
  // 20 clusters of 50 equal items: as uncertain as 20 items, not as 1000.
  Rng rng(2);
  std::vector<double> numerators, ones;
  std::vector<int64_t> cluster, item;
  for (int c = 0; c < 20; ++c) {
    const double x = rng.normal();
    for (int i = 0; i < 50; ++i) {
      numerators.push_back(x);
      ones.push_back(1);
      cluster.push_back(1000 - c);
      item.push_back(static_cast<int64_t>(item.size()));
    }
  }
  const RatioOfSums ratio{numerators, ones};
  const Interval by_cluster = bootstrap_ratio(ratio, cluster, 1, 2000), by_item = bootstrap_ratio(ratio, item, 1, 2000);
  EXPECT_NEAR((by_cluster.hi - by_cluster.lo) / (by_item.hi - by_item.lo), std::sqrt(50.0), 0.7);
  EXPECT_LT(by_cluster.lo, ratio.value());
  EXPECT_GT(by_cluster.hi, ratio.value());
}

TEST(Stats, RatiosOfEqualWeightsAreMeans) {
  const std::vector<double> v = {1, 5, 2, 8, 3}, ones(5, 1.0);
  const std::vector<int64_t> cluster = {0, 1, 2, 3, 4};
  const Interval a = bootstrap_ratio({v, ones}, cluster, 7, 500), b = bootstrap_mean(v, 7, 500);
  EXPECT_EQ(a.lo, b.lo);
  EXPECT_EQ(a.hi, b.hi);
}

TEST(Stats, PairingRemovesWhatBothShare) {
  Rng rng(4);
  std::vector<double> a, b, ones;
  std::vector<int64_t> cluster;
  for (int i = 0; i < 100; ++i) {
    const double shared = 10 * rng.normal();
    a.push_back(shared + 1 + 0.01 * rng.normal());
    b.push_back(shared);
    ones.push_back(1);
    cluster.push_back(i);
  }
  for (const Interval& i :
       {bootstrap_mean_difference(a, b, 1, 1000), bootstrap_ratio_difference({a, ones}, {b, ones}, cluster, 1, 1000)}) {
    EXPECT_NEAR(i.lo, 1, 0.01);
    EXPECT_NEAR(i.hi, 1, 0.01);
    EXPECT_LT(i.lo, i.hi);
  }
}

}  // namespace
}  // namespace ballast
