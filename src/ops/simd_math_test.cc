// Exp over its whole range, on the best target of this machine.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/simd_math_test.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

void ExpOf(const float* x, size_t n, float* y) {
  const F32 d;
  ForEachVector(d, n, [&](auto load, auto store) HWY_ATTR { store(Exp(d, load(x)), y); });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace ballast::ops {
namespace {

HWY_EXPORT(ExpOf);

std::vector<float> exp_of(const std::vector<float>& x) {
  std::vector<float> y(x.size());
  HWY_DYNAMIC_DISPATCH(ExpOf)(x.data(), x.size(), y.data());
  return y;
}

TEST(SimdMath, ExpIsWithinOneUlp) {
  std::vector<float> x;
  for (int i = 0; i < 400000; ++i) x.push_back(-86.5f + 174.5f * float(i) / 400000.0f);
  for (int i = 0; i < 1000; ++i) x.push_back(std::ldexp(i % 2 ? 1.3f : -1.3f, -i % 40));
  const std::vector<float> y = exp_of(x);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = std::exp(double(x[i])), ulp = std::ldexp(1.0, std::ilogb(want) - 23);
    worst = std::max(worst, std::abs(y[i] - want) / ulp);
  }
  EXPECT_LT(worst, 1.0);
}

TEST(SimdMath, ExpAtTheEnds) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> y =
      exp_of({-infinity, -1e30f, -86.6f, 0.0f, 88.0f, 1e30f, infinity, std::nanf(""), -std::nanf("1")});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(y[i], 0.0f);
  EXPECT_EQ(y[3], 1.0f);
  for (int i = 4; i < 7; ++i) EXPECT_NEAR(y[i] / std::exp(88.0), 1, 1e-6);
  EXPECT_TRUE(std::isnan(y[7]) && std::isnan(y[8]));
}

}  // namespace
}  // namespace ballast::ops
#endif
