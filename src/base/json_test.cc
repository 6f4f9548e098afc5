#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/rng.h"

namespace ballast {
namespace {

std::string message_of(std::string_view text) {
  try {
    Json::parse(text, "f.json");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::format);
    return e.what();
  }
  return "no error";
}

TEST(Json, ParsesEveryTypeAndKeepsTheOrderOfKeys) {
  const Json v = Json::parse(R"({"z": null, "a": [true, -3, 2.5, "x\u00e9\n"], "m": {}})");
  ASSERT_EQ(v.as_object().size(), 3u);
  EXPECT_EQ(v.as_object()[0].first, "z");
  EXPECT_EQ(v.as_object()[1].first, "a");
  EXPECT_TRUE(v.at("z").is_null());
  const Json::Array& a = v.at("a").as_array();
  EXPECT_TRUE(a[0].as_bool());
  EXPECT_EQ(a[1].as_int(), -3);
  EXPECT_EQ(a[2].as_double(), 2.5);
  EXPECT_EQ(a[3].as_string(), "x\xC3\xA9\n");
  EXPECT_TRUE(v.at("m").is_object());
}

TEST(Json, IntegersKeepAllTheirBitsAndBiggerOnesBecomeDoubles) {
  EXPECT_EQ(Json::parse("9223372036854775807").as_int(), INT64_MAX);
  EXPECT_EQ(Json::parse("-9223372036854775808").as_int(), INT64_MIN);
  EXPECT_EQ(Json::parse("9007199254740993").as_int(), 9007199254740993);  // 2^53 + 1
  EXPECT_FALSE(Json::parse("9223372036854775808").is_int());
  EXPECT_EQ(Json::parse("9223372036854775808").as_double(), 0x1p63);
  // transformers writes this as "no limit" into tokenizer_config.json.
  EXPECT_EQ(Json::parse("1000000000000000019884624838656").as_double(), 1e30);
  EXPECT_THROW(Json::parse("1e30").as_int("f"), Error);
  EXPECT_EQ(Json::parse("3.0").as_int(), 3);
  EXPECT_THROW(Json::parse("3.5").as_int("f"), Error);
}

TEST(Json, ErrorsNamePlaceLineAndColumn) {
  EXPECT_EQ(message_of("{\"a\": 1,\n  \"b\": x}").substr(0, 12), "f.json:2:8: ");
  EXPECT_EQ(message_of("{\"a\":\n [1, 2").substr(0, 12), "f.json:2:6: ");
  EXPECT_EQ(message_of("").substr(0, 12), "f.json:1:1: ");
  EXPECT_NE(message_of("[1] 2").find("f.json:1:5: "), std::string::npos);
  EXPECT_NE(message_of("{\"a\": 1, \"b\": 2, \"a\": 3}").find("key 'a' appears twice"), std::string::npos);
  EXPECT_NE(message_of("1e999").find("overflow"), std::string::npos);
  EXPECT_LT(message_of("[\"" + std::string(100000, 'x')).size(), 300u);
}

TEST(Json, DepthIsLimited) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(Json::parse(nested(200)));
  EXPECT_EQ(message_of(nested(201)), "f.json:1:201: nested deeper than 200 levels");
  EXPECT_NE(message_of(std::string(5000000, '[')).find("nested deeper"), std::string::npos);
}

TEST(Json, AccessErrorsSayWhatWasExpectedAndFound) {
  const Json v = Json::parse(R"({"n": "four"})");
  try {
    v.at("n").as_int("config.json: n");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "config.json: n: expected an integer, found a string");
  }
  try {
    v.at("hidden_size", "config.json");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "config.json: key 'hidden_size' is missing");
  }
  EXPECT_EQ(v.find("absent"), nullptr);
  EXPECT_EQ(Json(3).find("absent"), nullptr);
}

TEST(Json, BuildsObjectsAndArrays) {
  Json v;
  v["a"] = 1;
  v["b"]["c"] = "text";
  v["list"].push_back(2.0);
  v["list"].push_back(nullptr);
  EXPECT_EQ(v.dump(), R"({"a": 1, "b": {"c": "text"}, "list": [2.0, null]})");
  EXPECT_EQ(v.dump(2),
            "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": \"text\"\n  },\n  \"list\": [\n    2.0,\n    null\n  ]\n}");
  EXPECT_EQ(Json::array().dump(2), "[]");
  EXPECT_EQ(Json::object().dump(2), "{}");
}

TEST(Json, DoublesReadBackEqual) {
  Rng rng(1);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = rng.u64();
    double v;
    std::memcpy(&v, &bits, 8);
    if (!std::isfinite(v)) continue;
    const Json back = Json::parse(Json(v).dump());
    ASSERT_FALSE(back.is_int());
    ASSERT_EQ(back.as_double(), v);
  }
  EXPECT_EQ(Json(0.1).dump(), "0.1");
  EXPECT_EQ(Json(1e300).dump(), "1e+300");
  EXPECT_EQ(Json(std::numeric_limits<double>::quiet_NaN()).dump(), "null");
  EXPECT_EQ(Json(-std::numeric_limits<double>::infinity()).dump(), "null");
}

TEST(Json, WritesValidUtf8WhateverItIsGiven) {
  EXPECT_EQ(Json("a\xFFz").dump(), "\"a\xEF\xBF\xBDz\"");
  EXPECT_EQ(Json("\x01\"\\\t").dump(), "\"\\u0001\\\"\\\\\\t\"");
  Rng rng(2);
  for (int i = 0; i < 2000; ++i) {
    std::string raw;
    for (uint64_t n = rng.below(24); n > 0; --n) raw += static_cast<char>(rng.below(256));
    ASSERT_NO_THROW(Json::parse(Json(raw).dump()));
  }
}

TEST(Json, MutatedTextNeverCrashes) {
  const std::string seed =
      R"({"model": {"layers": 61, "rope": {"factor": 40.0, "type": "yarn"}}, "eos": [1, 2], "s": "\ud83d\ude00", "n": null})";
  Rng rng(3);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = seed;
    for (uint64_t edits = 1 + rng.below(4); edits > 0; --edits) {
      const size_t at = rng.below(text.size());
      switch (rng.below(4)) {
        case 0:
          text[at] = static_cast<char>(rng.below(256));
          break;
        case 1:
          text.erase(at, 1 + rng.below(8));
          break;
        case 2:
          text.insert(at, 1, "{}[]\",:\\0-e.u\n"[rng.below(14)]);
          break;
        default:
          text.resize(at);
          break;
      }
      if (text.empty()) text = " ";
    }
    try {
      const std::string once = Json::parse(text).dump();
      ASSERT_EQ(Json::parse(once).dump(), once);
      ++accepted;
    } catch (const Error& e) {
      ASSERT_EQ(e.kind, ErrorKind::format);
    }
  }
  EXPECT_GT(accepted, 500);
}

}  // namespace
}  // namespace ballast
