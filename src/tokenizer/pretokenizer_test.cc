#include "tokenizer/pretokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ballast {
namespace {

using Pieces = std::vector<std::string>;

Pieces split(const PreTokenizer& pre_tokenizer, std::string_view text) {
  PreTokenizer::Scratch scratch;
  std::vector<uint32_t> ends;
  pre_tokenizer.split(text, ends, scratch);
  Pieces pieces;
  uint32_t begin = 0;
  for (const uint32_t end : ends) {
    pieces.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

Pieces split(const Json& section, std::string_view text) { return split(PreTokenizer(section, "test"), text); }

std::string refusal(std::string_view json) {
  try {
    PreTokenizer(Json::parse(json), "file: pre_tokenizer");
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

// The pieces that GPT-2's own encoder gives.
TEST(PreTokenizer, Gpt2) {
  EXPECT_EQ(split(gpt2_pre_tokenizer(), "I'll  see 12 cats!\n\n  ok "),
            (Pieces{"I", "'ll", " ", " see", " 12", " cats", "!", "\n\n ", " ok", " "}));
  EXPECT_EQ(split(gpt2_pre_tokenizer(), "a\u00A0b\u3000\u3000c\u180Ed"),  // U+180E is no white space since Unicode 6.3
            (Pieces{"a", "\u00A0", "b", "\u3000", "\u3000", "c", "\u180E", "d"}));
}

TEST(PreTokenizer, Code) {
  EXPECT_EQ(split(code_pre_tokenizer(), "def add(first_value, x=105):\n\n        return self.x  \n"),
            (Pieces{"def", " add", "(first", "_value", ",", " x", "=", "1", "0", "5", "):\n\n", "       ", " return",
                    " self", ".x", "  \n"}));
}

TEST(PreTokenizer, SequenceOfSplitDigitsByteLevel) {
  const Json section = Json::parse(R"({"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"String": "a.b"}, "behavior": "Isolated", "invert": false},
      {"type": "Split", "pattern": {"Regex": "\\s?\\p{L}+"}, "behavior": "Isolated", "invert": false},
      {"type": "Digits", "individual_digits": true},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false, "a_new_field": 1}]})");
  EXPECT_EQ(split(section, "xa.by axb 12²"), (Pieces{"x", "a", ".", "b", "y", " axb", " ", "1", "2", "²"}));
}

TEST(PreTokenizer, UnknownComponentsAreRefusedByName) {
  EXPECT_NE(refusal(R"({"type": "Metaspace"})").find("Metaspace"), std::string::npos);
  EXPECT_NE(refusal(R"({"type": "ByteLevel", "add_prefix_space": true})").find("add_prefix_space"), std::string::npos);
  EXPECT_NE(refusal(R"({"type": "Digits"})").find("does not end in ByteLevel"), std::string::npos);
  EXPECT_NE(refusal("null").find("no pre_tokenizer"), std::string::npos);
  const std::string split = R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "$"},
                                "behavior": "Removed"}]})";
  EXPECT_NE(refusal(split).find("pre_tokenizer.pretokenizers[0]: Split with the behavior 'Removed'"), std::string::npos)
      << refusal(split);
}

TEST(Regex, RubySyntaxBecomesPcre2) {
  EXPECT_EQ(to_pcre2(R"([^\s\p{L}]+|\S\/\u00e9\x{41})", "t"),
            R"([^\p{White_Space}\p{L}]+|\P{White_Space}\/\x{00e9}\x{41})");
  EXPECT_EQ(to_pcre2(R"(\w[\w-])", "t"), R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}][\p{Alphabetic}\p{M}\p{Nd}\p{Pc}-])");
  for (const char* pattern : {R"(\h)", "^a", "a$", "[a[b]]", "[a&&b]", "a{1,2}+", "(?x: a)", R"(\G)"})
    EXPECT_THROW(to_pcre2(pattern, "t"), Error) << pattern;
  for (const char* pattern : {"(", "[a", R"(\p{Nonsense})", R"(\u12)", R"(\p{L)", "\\", "a**b(", "*"})
    EXPECT_THROW(Regex(pattern, "t"), Error) << pattern;
}

TEST(Regex, LongTextsMatchWithinTheLimits) {
  RegexScratch scratch;
  size_t begin = 0, end = 0;
  const std::string letters(32 << 20, 'a'), blanks(32 << 20, ' ');
  EXPECT_FALSE(Regex(R"(\s?\p{P}+)", "t").find(letters, 0, begin, end, scratch));
  EXPECT_TRUE(Regex(R"(\s*[\r\n]+|\s+(?!\S)|\s+)", "t").find(blanks + "x", 0, begin, end, scratch));
  EXPECT_EQ(end, blanks.size() - 1);
}

TEST(Regex, ExplosivePatternsEndInAnError) {
  RegexScratch scratch;
  size_t begin = 0, end = 0;
  EXPECT_THROW(Regex("(?:a|aa|b)+c", "t").find(std::string(200, 'a') + "dc", 0, begin, end, scratch), Error);
}

}  // namespace
}  // namespace ballast
