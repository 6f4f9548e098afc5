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
  EXPECT_NE(refusal(R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Random"})").find("'Random'"),
            std::string::npos);
}

Json split_section(const std::string& regex, const char* behavior, bool invert) {
  Json split = Json::Object{{"type", "Split"},
                            {"pattern", Json::Object{{"Regex", regex}}},
                            {"behavior", behavior},
                            {"invert", invert}};
  Json end = Json::Object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return Json::Object{{"type", "Sequence"}, {"pretokenizers", Json::Array{std::move(split), std::move(end)}}};
}

// The pieces that Hugging Face's `tokenizers` gives.
TEST(PreTokenizer, Behaviors) {
  const auto pieces = [](const char* behavior, bool invert, std::string_view text = "12ab3c45d6") {
    return split(split_section("[0-9]", behavior, invert), text);
  };
  const Pieces isolated = {"1", "2", "ab", "3", "c", "4", "5", "d", "6"};
  EXPECT_EQ(pieces("Isolated", false), isolated);
  EXPECT_EQ(pieces("Isolated", true), isolated);
  EXPECT_EQ(pieces("MergedWithPrevious", false), (Pieces{"1", "2", "ab3", "c4", "5", "d6"}));
  EXPECT_EQ(pieces("MergedWithPrevious", true), (Pieces{"1", "2ab", "3c", "4", "5d", "6"}));
  EXPECT_EQ(pieces("MergedWithNext", false), (Pieces{"1", "2ab", "3c", "4", "5d", "6"}));
  EXPECT_EQ(pieces("MergedWithNext", true), (Pieces{"1", "2", "ab3", "c4", "5", "d6"}));
  EXPECT_EQ(pieces("Contiguous", false), (Pieces{"12", "ab", "3", "c", "45", "d", "6"}));
  EXPECT_EQ(pieces("Contiguous", true), (Pieces{"12", "ab", "3", "c", "45", "d", "6"}));
  EXPECT_EQ(pieces("MergedWithPrevious", false, "ab12"), (Pieces{"ab1", "2"}));
  EXPECT_EQ(pieces("MergedWithNext", true, "ab12"), (Pieces{"ab1", "2"}));
}

// What it would remove is not lost without a word.
TEST(PreTokenizer, RemovedInverted) {
  const Json section = split_section("[0-9]|[a-z]+", "Removed", true);
  EXPECT_EQ(split(section, "12ab3"), (Pieces{"1", "2", "ab", "3"}));
  try {
    split(section, "12 ab");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("would drop a part of the text '12 ab'"), std::string::npos) << e.what();
  }
}

TEST(Regex, RubySyntaxBecomesPcre2) {
  EXPECT_EQ(to_pcre2(R"([^\s\p{L}]+|\S\/\u00e9\x{41})", "t"),
            R"([^\p{White_Space}\p{L}]+|\P{White_Space}\/\x{00e9}\x{41})");
  EXPECT_EQ(to_pcre2(R"(\w[\w-])", "t"), R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}][\p{Alphabetic}\p{M}\p{Nd}\p{Pc}-])");
  for (const char* pattern : {R"(\h)", "[a[b]]", "[a&&b]", "[^a&&[^b]]", "[a&&[^b]c]", "a{1,2}+", "(?x: a)", R"(\G)"})
    EXPECT_THROW(to_pcre2(pattern, "t"), Error) << pattern;
  for (const char* pattern : {"(", "[a", R"(\p{Nonsense})", R"(\u12)", R"(\p{L)", "\\", "a**b(", "*"})
    EXPECT_THROW(Regex(pattern, "t"), Error) << pattern;
}

// Ends of lines, the subtraction of classes, scripts; as Hugging Face's `tokenizers` cuts them.
TEST(Regex, RubyAnchorsAndClasses) {
  const auto cut = [](const char* regex, std::string_view text) {
    return split(split_section(regex, "Isolated", false), text);
  };
  EXPECT_EQ(cut(R"(\s+$)", "a  \nb  "), (Pieces{"a", "  ", "\nb", "  "}));
  EXPECT_EQ(cut(R"(\s+$)", "a  \n  1"), (Pieces{"a", "  ", "\n  1"}));
  EXPECT_EQ(cut(R"(\s+$)", "a  \n"), (Pieces{"a", "  \n"}));
  EXPECT_EQ(cut(R"(x|\s+$)", "a \nb x \n"), (Pieces{"a", " ", "\nb ", "x", " \n"}));
  EXPECT_EQ(cut("$", "a\n"), (Pieces{"a", "\n"}));
  EXPECT_EQ(cut("^", "a\nb\n"), (Pieces{"a\n", "b\n"}));
  EXPECT_EQ(cut(R"([\p{L}&&[^\p{Han}]]+)", "ab中文c々〆ー"), (Pieces{"ab", "中文", "c", "々", "〆ー"}));
  EXPECT_EQ(to_pcre2(R"([\p{L}a&&[^\p{Han}b]]+x)", "t"), R"((?:(?![\p{sc:Han}b])[\p{L}a])+x)");
}

TEST(Regex, BlanksAtTheEndOfALineAreFoundInLinearTime) {
  RegexScratch scratch;
  size_t begin = 0, end = 0;
  std::string text(1 << 20, ' ');
  EXPECT_FALSE(Regex(R"(\s+$)", "t").find(text + "1", 0, begin, end, scratch));
  EXPECT_TRUE(Regex(R"(\s+$)", "t").find("1" + text, 0, begin, end, scratch));
  EXPECT_EQ(begin, 1u);
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
  EXPECT_THROW(Regex(std::string(20000, 'a'), "t"), Error);
  EXPECT_THROW(Regex(std::string(5000, '(') + std::string(5000, ')'), "t"), Error);
  EXPECT_THROW(Regex("(?:(?:(?:a{999}){999}){999}){999}", "t"), Error);
  EXPECT_THROW(Regex("(?:a|aa|b)+c", "t").find(std::string(200, 'a') + "dc", 0, begin, end, scratch), Error);
}

}  // namespace
}  // namespace ballast
