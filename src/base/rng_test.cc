#include "base/rng.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/stats.h"

namespace ballast {
namespace {

using Block = std::array<uint32_t, 4>;

TEST(Philox, KnownAnswers) {  // Random123's kat_vectors, philox4x32 with 10 rounds
  EXPECT_EQ(philox(0, 0, 0), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~0ull, ~0ull, ~0ull), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  // Counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0 (digits of pi), low words first.
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, ASequenceIsItsBlocksInOrder) {
  Rng rng(1, 2, 3);
  for (uint64_t counter = 3; counter < 6; ++counter)
    for (const uint32_t word : philox(1, 2, counter)) EXPECT_EQ(rng.u32(), word);
}

TEST(Rng, DrawsHaveTheirMoments) {
  Rng rng(5);
  std::vector<double> uniform(50000), normal(50000);
  for (double& x : uniform) {
    x = rng.uniform();
    ASSERT_TRUE(x >= 0 && x < 1);
  }
  for (double& x : normal) x = rng.normal();
  EXPECT_NEAR(mean(uniform), 0.5, 0.005);
  EXPECT_NEAR(sample_stddev(uniform), std::sqrt(1.0 / 12), 0.005);
  EXPECT_NEAR(mean(normal), 0, 0.02);
  EXPECT_NEAR(sample_stddev(normal), 1, 0.02);
  EXPECT_NEAR(quantile(normal, 0.975), 1.96, 0.05);
}

TEST(Rng, BelowReachesEveryValueEquallyOften) {
  Rng rng(6);
  std::vector<int> count(7);
  for (int i = 0; i < 70000; ++i) ++count[rng.below(7)];
  for (const int n : count) EXPECT_NEAR(n, 10000, 400);
  EXPECT_EQ(rng.below(1), 0u);
}

}  // namespace
}  // namespace ballast
