#include "base/human.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <limits>
#include <string>

#include "base/error.h"

namespace ballast {
namespace {

TEST(Human, Durations) {
  EXPECT_EQ(format_duration(0.04), "0.0 s");
  EXPECT_EQ(format_duration(9.94), "9.9 s");
  EXPECT_EQ(format_duration(9.96), "10 s");
  EXPECT_EQ(format_duration(59.6), "1m 00s");
  EXPECT_EQ(format_duration(123), "2m 03s");
  EXPECT_EQ(format_duration(3599.7), "1h 00m");
  EXPECT_EQ(format_duration(3900), "1h 05m");
  EXPECT_EQ(format_duration(86400 * 2 + 3 * 3600), "2d 03h");
  EXPECT_EQ(format_duration(-1), "0.0 s");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Human, ParsesBytes) {
  EXPECT_EQ(parse_bytes("5GB", "--size"), 5'000'000'000u);
  EXPECT_EQ(parse_bytes("1.5 kb", "--size"), 1500u);
  EXPECT_EQ(parse_bytes("2GiB", "--size"), uint64_t{2} << 30);
  EXPECT_EQ(parse_bytes("1048576", "--size"), 1048576u);
  for (const char* bad : {"", "GB", "5 apples", "-1GB", "0", "nan", "inf", "1e30"}) {
    try {
      parse_bytes(bad, "--size");
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("--size"), std::string::npos);
    }
  }
}

TEST(Human, SiNumbers) {
  EXPECT_EQ(format_si(0), "0");
  EXPECT_EQ(format_si(0.1234), "0.123");
  EXPECT_EQ(format_si(7), "7");
  EXPECT_EQ(format_si(42.04), "42.0");
  EXPECT_EQ(format_si(999.4), "999");
  EXPECT_EQ(format_si(999.6), "1.00k");
  EXPECT_EQ(format_si(1250), "1.25k");
  EXPECT_EQ(format_si(999700), "1.00M");
  EXPECT_EQ(format_si(-8.3e6), "-8.30M");
  EXPECT_EQ(format_si(671e9), "671G");
}

TEST(Human, Bytes) {
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1536), "1.50 KiB");
  EXPECT_EQ(format_bytes(3.0 * (1 << 30)), "3.00 GiB");
}

TEST(Human, Clocks) {
  const double before = steady_seconds();
  EXPECT_GE(steady_seconds(), before);
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  char z = 0;
  EXPECT_EQ(std::sscanf(utc_timestamp().c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%c", &year, &month, &day, &hour, &minute,
                        &second, &z),
            7);
  EXPECT_GE(year, 2024);
  EXPECT_EQ(z, 'Z');
}

}  // namespace
}  // namespace ballast
