#include "train/load_statistics.h"

#include <gtest/gtest.h>

namespace ballast {
namespace {

TEST(LoadStatistics, MaxVioOfKnownLoads) {
  EXPECT_DOUBLE_EQ(max_vio({5, 5, 5, 5}), 0);
  EXPECT_DOUBLE_EQ(max_vio({20, 0, 0, 0}), 3);   // one takes all: E - 1
  EXPECT_DOUBLE_EQ(max_vio({10, 10, 0, 0}), 1);  // top-2 collapse: E / K - 1
  EXPECT_DOUBLE_EQ(effective_experts({7, 7, 0, 0}), 2);
  EXPECT_NEAR(effective_experts({5, 5, 5, 5}), 4, 1e-12);
  const LoadStatistics s = load_statistics({{20, 0, 0, 0}, {5, 5, 5, 5}});
  EXPECT_DOUBLE_EQ(s.worst, 3);
  EXPECT_DOUBLE_EQ(s.mean, 1.5);
  EXPECT_DOUBLE_EQ(s.starved_share, 3.0 / 8);
}

TEST(LoadStatistics, DeadAfterTenIdleSteps) {
  DeadExperts dead;
  for (int i = 0; i < 9; ++i) dead.observe({{3, 0}});
  EXPECT_EQ(dead.count(), 0);
  dead.observe({{3, 0}});
  EXPECT_EQ(dead.count(), 1);
  dead.observe({{3, 1}});
  EXPECT_EQ(dead.count(), 0);
}

}  // namespace
}  // namespace ballast
