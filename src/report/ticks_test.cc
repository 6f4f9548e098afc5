#include "report/ticks.h"

#include <gtest/gtest.h>

namespace ballast::report {
namespace {

using Texts = std::vector<std::string>;

TEST(Ticks, StepsAreNice) {
  EXPECT_DOUBLE_EQ(nice_step(1, 5), 0.2);
  EXPECT_DOUBLE_EQ(nice_step(10, 4), 2.5);
  EXPECT_DOUBLE_EQ(nice_step(97, 5), 20);
  EXPECT_DOUBLE_EQ(nice_step(3e6, 6), 5e5);
  for (const double span : {1e-9, 0.03, 0.7, 1.0, 42.0, 999.0, 1e12}) {
    for (int target = 2; target <= 10; ++target) {
      const double intervals = span / nice_step(span, target);
      EXPECT_GE(intervals, target * 0.66) << span << " " << target;
      EXPECT_LE(intervals, target * 1.5) << span << " " << target;
    }
  }
}

TEST(Ticks, LinearLabelsShareDecimalsAndSuffix) {
  EXPECT_EQ(make_ticks(Scale::linear, 0, 1, 4).text, (Texts{"0", "0.25", "0.50", "0.75", "1.00"}));
  EXPECT_EQ(make_ticks(Scale::linear, 0, 1.6e6, 3).text, (Texts{"0", "0.5M", "1.0M", "1.5M"}));
  EXPECT_EQ(make_ticks(Scale::linear, -0.2, 0.2, 4).text, (Texts{"−0.2", "−0.1", "0", "0.1", "0.2"}));
  EXPECT_EQ(make_ticks(Scale::linear, 0, 8000, 4).text, (Texts{"0", "2000", "4000", "6000", "8000"}));
  EXPECT_EQ(make_ticks(Scale::linear, 3, 3, 4).at, std::vector<double>{3});
  // 0.1 * 3 is not 0.3 in binary; the last tick is there all the same.
  EXPECT_EQ(make_ticks(Scale::linear, 0, 0.3, 3).at.size(), 4u);
}

TEST(Ticks, LogAndSymlog) {
  EXPECT_EQ(make_ticks(Scale::log, 0.01, 1000, 5).text, (Texts{"0.01", "0.1", "1", "10", "100", "1000"}));
  EXPECT_EQ(make_ticks(Scale::log, 1, 20, 5).text, (Texts{"1", "2", "5", "10", "20"}));
  EXPECT_EQ(make_ticks(Scale::symlog, -0.02, 0.5, 5, 0.01).text, (Texts{"−0.01", "0", "0.01", "0.1"}));
}

TEST(Ticks, WideningIsOutward) {
  double lo = 0.13, hi = 2.94;
  widen_to_ticks(Scale::linear, lo, hi, 6);
  EXPECT_DOUBLE_EQ(lo, 0);
  EXPECT_DOUBLE_EQ(hi, 3);
  lo = hi = 7;
  widen_to_ticks(Scale::linear, lo, hi, 4);
  EXPECT_LT(lo, 7);
  EXPECT_GT(hi, 7);
  lo = 0.02, hi = 30;
  widen_to_ticks(Scale::log, lo, hi, 4);
  EXPECT_DOUBLE_EQ(lo, 0.01);
  EXPECT_DOUBLE_EQ(hi, 100);
}

TEST(Ticks, NumbersAsText) {
  EXPECT_EQ(significant(0.99961), "1.00");
  EXPECT_EQ(significant(-0.012345, 2), "−0.012");
  EXPECT_EQ(significant(1234.6), "1235");
  EXPECT_EQ(significant(0.0 / 0.0), "–");
  EXPECT_EQ(fixed(-0.0004, 2), "0.00");
  EXPECT_EQ(si(1572864), "1.57M");
  EXPECT_EQ(si(999), "999");
  EXPECT_EQ(si(12345), "12.3k");
  EXPECT_EQ(grouped(1572864), "1\u202f572\u202f864");
  EXPECT_EQ(count(4), "4");
  EXPECT_EQ(count(4.25), "4.2");
}

TEST(AxisMap, MapsEndsAndMiddle) {
  const AxisMap down(Scale::linear, 0, 4, 200, 100);
  EXPECT_DOUBLE_EQ(down(0), 200);
  EXPECT_DOUBLE_EQ(down(3), 125);
  const AxisMap log(Scale::log, 1, 100, 0, 10);
  EXPECT_DOUBLE_EQ(log(10), 5);
  const AxisMap symlog(Scale::symlog, -1, 1, 0, 10, 0.1);
  EXPECT_DOUBLE_EQ(symlog(0), 5);
}

}  // namespace
}  // namespace ballast::report
