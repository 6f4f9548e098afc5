#include "base/toml.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "base/rng.h"

namespace ballast {
namespace {

// Found by fuzzing: toml++ 3.3 declares these unreachable where it looks for blanks. Only a sanitizer is sure to see it.
TEST(Toml, CharactersBeyondAsciiOutsideStringsAreErrors) {
  for (const char* text : {"\xc2\xa1", "\xcf\x90 = 1", "a = [1, \xcf\x90]", "a = 1\xd2\x99", "[\xe2\x80\x90]", "\xe3\x80\x81", "a\xc2\xa0= 1"})
    EXPECT_THROW(parse_toml(text), Error) << text;
}

TEST(Toml, ReadsEveryTypeInTheOrderOfTheText) {
  const Json v = parse_toml(R"(
zeta = 1
alpha = 2.5
on = true
[train]
steps = 1_000
names = ["a", 'b\']
[model.rope]
type = "yarn"
[model]
hidden = 64
[[arms]]
rule = "none"
[[arms]]
rule = "sign"
)");
  EXPECT_EQ(v.as_object()[0].first, "zeta");
  EXPECT_EQ(v.as_object()[1].first, "alpha");
  EXPECT_EQ(v.as_object()[3].first, "train");
  EXPECT_EQ(v.at("alpha").as_double(), 2.5);
  EXPECT_TRUE(v.at("on").as_bool());
  EXPECT_EQ(v.at("train").at("steps").as_int(), 1000);
  EXPECT_EQ(v.at("train").at("names").as_array()[1].as_string(), "b\\");
  EXPECT_EQ(v.at("model").at("rope").at("type").as_string(), "yarn");
  EXPECT_EQ(v.at("model").at("hidden").as_int(), 64);
  EXPECT_EQ(v.at("arms").as_array()[1].at("rule").as_string(), "sign");
}

std::string message_of(std::string_view text) {
  try {
    parse_toml(text, "f.toml");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::format);
    return e.what();
  }
  return "no error";
}

TEST(Toml, ErrorsNamePlaceLineAndColumn) {
  EXPECT_EQ(message_of("a = 1\nb = = 2\n").substr(0, 11), "f.toml:2:5:");
  EXPECT_EQ(message_of("a = 1\na = 2\n").substr(0, 9), "f.toml:2:");
  EXPECT_NE(message_of("when = 2024-01-01").find("f.toml:1:8: dates"), std::string::npos);
  EXPECT_NE(message_of("a = " + std::string(100000, '[')), "no error");
}

TEST(Toml, WritesSectionsThatReadBackEqual) {
  const Json v = Json::parse(R"({"b": {"x": 1, "deep er": {"y": [1.0, 2.5], "z": []}}, "a": "q\"\n\u0001\u007f",
                                 "list": [{"k": true}, {"k": 1e300}], "empty": {}})");
  const std::string text = write_toml(v);
  EXPECT_EQ(text.substr(0, 5), "a = \"");
  EXPECT_NE(text.find("\n[b.\"deep er\"]\ny = [1.0, 2.5]\n"), std::string::npos) << text;
  const Json back = parse_toml(text);
  for (const char* key : {"b", "a", "list", "empty"}) EXPECT_EQ(back.at(key).dump(), v.at(key).dump());
  EXPECT_EQ(write_toml(back), text);
  EXPECT_EQ(write_toml(Json(Json::Object{{"n", Json()}, {"i", -std::numeric_limits<double>::infinity()}})),
            "n = \"none\"\ni = -inf\n");
}

TEST(Toml, MutatedTextNeverCrashes) {
  const std::string seed = "a = 1\n[b.c]\nx = [1, 2.5, \"s\"]\ny = {k = true}\n[[d]]\nz = 'q'\n";
  Rng rng(4);
  for (int round = 0; round < 5000; ++round) {
    std::string text = seed;
    for (uint64_t edits = 1 + rng.below(4); edits > 0; --edits) {
      const size_t at = rng.below(text.size());
      if (rng.below(2)) {
        text[at] = static_cast<char>(rng.below(256));
      } else {
        text.insert(at, 1, "[]{}=\"'.,\n#"[rng.below(11)]);
      }
    }
    try {
      parse_toml(text);
    } catch (const Error& e) {
      ASSERT_EQ(e.kind, ErrorKind::format);
    }
  }
}

}  // namespace
}  // namespace ballast
