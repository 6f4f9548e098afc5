#include "core/fp8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace ballast {
namespace {

float decode(int code) {
  e4m3 v;
  v.bits = static_cast<uint8_t>(code);
  return static_cast<float>(v);
}
int encode(float f) { return e4m3(f).bits; }

// Table 1 of arXiv 2209.05433, in words: sign, exponent with bias 7, fraction; exponent 0 has no hidden bit; only the
// last code of each sign is NaN.
float by_definition(int code) {
  const int exponent = code >> 3 & 15, fraction = code & 7;
  const double magnitude = exponent ? std::ldexp(1 + fraction / 8.0, exponent - 7) : std::ldexp(fraction / 8.0, -6);
  return static_cast<float>(code & 128 ? -magnitude : magnitude);
}

TEST(E4m3, EveryCodeIsItsDefinition) {
  for (int code = 0; code < 256; ++code) {
    if ((code & 127) == 127) {
      EXPECT_TRUE(std::isnan(decode(code)));
      EXPECT_EQ(encode(decode(code)), code);
      continue;
    }
    EXPECT_EQ(decode(code), by_definition(code)) << code;
    EXPECT_EQ(std::signbit(decode(code)), code >= 128) << code;  // minus zero, too
    EXPECT_EQ(encode(decode(code)), code);
  }
  EXPECT_EQ(decode(0x7e), kE4m3Largest);
  EXPECT_EQ(decode(0x08), kE4m3SmallestNormal);
}

// Between two neighbors everything goes to the nearer one, the middle to the even code.
TEST(E4m3, RoundsToNearestEven) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (int low = 0; low < 0x7e; ++low) {
    const float a = decode(low), b = decode(low + 1), middle = (a + b) / 2;
    EXPECT_EQ(encode(middle), low % 2 ? low + 1 : low) << middle;
    EXPECT_EQ(encode(std::nextafter(middle, 0.0f)), low) << middle;
    EXPECT_EQ(encode(std::nextafter(middle, infinity)), low + 1) << middle;
    EXPECT_EQ(encode(-middle), 128 | (low % 2 ? low + 1 : low)) << middle;
  }
}

TEST(E4m3, SaturatesAndKeepsNaN) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float f : {std::nextafter(448.0f, 500.0f), 464.0f, 480.0f, 1e30f, infinity}) {
    EXPECT_EQ(encode(f), 0x7e) << f;
    EXPECT_EQ(encode(-f), 0xfe) << f;
  }
  EXPECT_EQ(encode(std::nanf("")) & 0x7f, 0x7f);
  EXPECT_EQ(encode(1e-40f), 0);
  EXPECT_EQ(encode(-1e-40f), 128);
}

// All 2^32 floats are too many for a test; one in a thousand, through the exact middle of the neighbors in double.
TEST(E4m3, NearestAmongAllCodes) {
  for (uint64_t u = 0; u < (uint64_t{1} << 31); u += 997) {
    const float f = std::bit_cast<float>(static_cast<uint32_t>(u));
    if (!(f <= 448)) continue;
    const int code = encode(f);
    const double error = std::abs(double(f) - decode(code));
    if (code > 0) EXPECT_LE(error, std::abs(double(f) - decode(code - 1))) << f;
    if (code < 0x7e) EXPECT_LE(error, std::abs(double(f) - decode(code + 1))) << f;
  }
}

TEST(E4m3, ScaleOfABlock) {
  EXPECT_EQ(fp8_block_scale(448), 1);
  EXPECT_EQ(fp8_block_scale(3), 3.0f / 448);
  EXPECT_EQ(fp8_block_scale(0), 1);
  EXPECT_EQ(fp8_block_scale(1e-43f), 1);
}

}  // namespace
}  // namespace ballast
