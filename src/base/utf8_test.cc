#include "base/utf8.h"

#include <gtest/gtest.h>

namespace ballast {
namespace {

TEST(Utf8, WellFormedTextIsLeftAlone) {
  for (const std::string text :
       {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xED\x9F\xBF", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"})
    EXPECT_EQ(valid_utf8(text), text);
}

TEST(Utf8, LengthOfTheFirstSequence) {
  EXPECT_EQ(utf8_length(""), 0);
  EXPECT_EQ(utf8_length("az"), 1);
  EXPECT_EQ(utf8_length("\xC3\xA9z"), 2);
  EXPECT_EQ(utf8_length("\xF0\x9F\x98\x80"), 4);
  EXPECT_EQ(utf8_length("\xF0\x9F\x98"), 0);
  EXPECT_EQ(utf8_length("\xA9"), 0);
}

TEST(Utf8, EveryMaximalIllFormedPartBecomesOneReplacement) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(valid_utf8("a\xFFz"), "a" + r + "z");
  EXPECT_EQ(valid_utf8("\xC0\xAF"), r + r);                  // overlong
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), r + r + r);          // a surrogate
  EXPECT_EQ(valid_utf8("\xF4\x90\x80\x80"), r + r + r + r);  // above U+10FFFF
  EXPECT_EQ(valid_utf8("\xE2\x82"), r);                      // cut off
  EXPECT_EQ(valid_utf8("\xE2\x82z"), r + "z");
  // The example of the Unicode Standard, table 3-11.
  EXPECT_EQ(valid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
}

TEST(Utf8, PrintableTextMovesNoCursorAndStartsNoLine) {
  EXPECT_EQ(printable("model.layers.3 \"\xC3\xBC\" \xF0\x9F\x98\x80"), "model.layers.3 \"\xC3\xBC\" \xF0\x9F\x98\x80");
  EXPECT_EQ(printable("a\x1B[31mb\nc\td\re\x7F"), "a\\x1b[31mb\\nc\\td\\x0de\\x7f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(printable("\xC2\x9BJ\xC2\xA0"), "\\u009bJ\xC2\xA0");  // C1 has an escape of its own
  EXPECT_EQ(printable("\xE2\x80\xAEx\xE2\x81\xA6y\xE2\x80\xA8z"), "\\u202ex\\u2066y\\u2028z");
  EXPECT_EQ(printable("\xFF"), "\xEF\xBF\xBD");
}

}  // namespace
}  // namespace ballast
