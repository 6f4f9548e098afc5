// What the CUDA kernels do to a row, re-run on the host.
#include "ops/cross_entropy/running_sum.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "base/rng.h"

namespace ballast::ops {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

double lse(const RunningSum& s) { return double(s.max) + std::log(double(s.sum)); }

// A row split over `threads`, merged pairwise as the shuffles do.
RunningSum reduce(const std::vector<float>& z, size_t threads) {
  std::vector<RunningSum> part(threads);
  for (size_t i = 0; i < z.size(); ++i) part[i % threads].add({z[i]});
  for (size_t offset = threads / 2; offset > 0; offset /= 2)
    for (size_t l = 0; l < offset; ++l) part[l].merge(part[l + offset]);
  return part[0];
}

TEST(RunningSum, EqualsTwoPasses) {
  Rng rng(3);
  for (const size_t n : {1u, 2u, 31u, 64u, 1000u})
    for (const double scale : {0.0, 1.0, 30.0, 1000.0}) {
      std::vector<float> z(n);
      float max = -kInf;
      for (float& v : z) max = std::max(max, v = static_cast<float>(scale * rng.normal()));
      double sum = 0;
      for (const float v : z) sum += std::exp(double(v) - max);
      EXPECT_NEAR(lse(reduce(z, 32)), max + std::log(sum), 2e-7 * (1 + std::abs(max)))
          << n << " logits, scale " << scale;
    }
}

TEST(RunningSum, MaskedLogitsAddNothingWhereverTheyStand) {
  for (size_t at = 0; at < 40; ++at) {
    std::vector<float> z(40, -kInf);
    z[at] = 2;
    EXPECT_EQ(lse(reduce(z, 32)), 2) << at;
  }
  RunningSum four;
  four.add({-kInf, -kInf, -kInf, -kInf});
  EXPECT_EQ(four.sum, 0);
}

TEST(RunningSum, NanAndInfinityEndAsNan) {
  for (const float bad : {std::nanf(""), kInf})
    for (size_t at = 0; at < 70; ++at) {
      std::vector<float> z(70, 0.5f);
      z[at] = bad;
      EXPECT_TRUE(std::isnan(reduce(z, 32).sum)) << bad << " at " << at;
    }
}

TEST(RowPasses, TakeEveryElementOnce) {
  for (const auto& [width, vector] : {std::pair<int64_t, int>{1, 1}, {37, 1}, {513, 1}, {4, 4}, {2048, 4}, {2052, 4}}) {
    const RowPasses map{512, vector};
    std::vector<int> seen(static_cast<size_t>(width), 0);
    for (int64_t pass = 0; pass < map.passes(width); ++pass)
      for (int thread = 0; thread < map.threads; ++thread)
        for (int i = 0; i < vector && map.first(pass, thread) < width; ++i) ++seen[map.first(pass, thread) + i];
    for (const int n : seen) EXPECT_EQ(n, 1) << width << " by " << vector;
  }
}

// bf16 gradients in the logits' own row: after the barrier of pass p, what is written lies within what passes 0..p
// read.
TEST(RowPasses, HalfSizedGradientsNeverOverwriteLogitsYetToBeRead) {
  for (const int vector : {1, 4}) {
    const RowPasses map{512, vector};
    for (int64_t pass = 0; pass < 70; ++pass) {
      const int64_t written_end = 2 * map.first(pass + 1, 0), first_byte_unread = 4 * map.first(pass + 1, 0);
      EXPECT_LE(written_end, first_byte_unread) << "pass " << pass;
    }
  }
}

}  // namespace
}  // namespace ballast::ops
