#include "eval/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "eval/generator.h"

namespace ballast {
namespace {

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

struct Pair {
  std::string a, b;
  int similarity;
};

// From rapidfuzz 3.14's LCSseq with Python's fractions; without the exact halves also its fuzz.ratio.
const Pair kPairs[] = {
    // clang-format off
    {"", "", 100},
    {"", "a", 0},
    {"a", "", 0},
    {"a", "a", 100},
    {"a", "b", 0},
    {"return x", "return x", 100},
    {"return x", "return y", 88},
    {"    return self", "return self", 85},
    {"for i in range(10):", "for j in range(n):", 86},
    {"é", "e", 0},
    {"naïve = 1", "naive = 1", 89},
    {"漢字", "漢", 67},
    {"漢字仮名", "仮名漢字", 50},
    {"😀😁", "😁😀", 50},
    {"x = '😀'", "x = '😁'", 86},
    {"\t\tpass", "        pass", 44},
    {"self.assertEqual(a, b)", "self.assertNotEqual(a, b)", 94},
    {"import os", "import sys", 84},
    {"abc", "cba", 33},
    {"ab", "ba", 50},
    {"aab", "aba", 67},
    {repeat("a", 200), repeat("a", 100), 67},
    {repeat("ab", 100), repeat("ba", 100), 100},
    {repeat("x", 120), repeat("y", 120), 0},
    {"raise ValueError(\"bad\")", "raise TypeError('bad')", 76},
    {"abbbbbbb", "accccccc", 12},
    {"aaaaabbb", "aaaaaccc", 62},
    {repeat("a", 9) + repeat("b", 63), repeat("a", 9) + repeat("c", 63), 12},
    {repeat("a", 15) + repeat("b", 9), repeat("a", 15) + repeat("c", 9), 62},
    {repeat("a", 26) + repeat("b", 54), repeat("a", 26) + repeat("c", 54), 32},
    {repeat("a", 37) + repeat("b", 3), repeat("a", 37) + repeat("c", 3), 92},
    {repeat("a", 58) + repeat("b", 22), repeat("a", 58) + repeat("c", 22), 72},
    {"aaabbbbb", "aaaccccc", 38},
    {repeat("a", 9) + repeat("b", 15), repeat("a", 9) + repeat("c", 15), 38},
    {repeat("a", 18) + repeat("b", 30), repeat("a", 18) + repeat("c", 30), 38},
    {repeat("a", 24) + repeat("b", 40), repeat("a", 24) + repeat("c", 40), 38},
    {repeat("a", 33) + repeat("b", 55), repeat("a", 33) + repeat("c", 55), 38},
    {repeat("a", 46) + repeat("b", 34), repeat("a", 46) + repeat("c", 34), 58},
    {"c)abéb(漢aé ab))b bé)a漢b", "cé)abéb(漢)aé aab))b baé)a漢b", 92},
    {"éb漢=écb漢漢 (b", "é漢éé.漢a (b ", 61},
    {"é)c(c.)abé", "éa)c(.c(.漢bca)aa.=bé", 67},
    {"=c )).bc.)é=c)é=", "=c ))cc)漢é a)=", 67},
    {"))))b.)a b .cb(漢aba漢céb(漢ab 漢)c=(漢(.bb", "))))b=)a b .cbé(漢aba漢cé(漢ab 漢.)cc==((.bb", 90},
    {"(c( ééé( 漢  )  é.(aa=.= 漢(.((b b . (", "c( éébé( 漢  .)  é.(aa=.=漢(.((b b . (", 94},
    {")(b).)bcccac漢.", "(b).)=b(ccacbc漢", 76},
    {"(.漢é)é", "(.漢éa)é", 92},
    {"cc.漢béa(ééé.", "cc.漢béa(ééé.", 100},
    {"é.éab.(漢é", "écé.b.é(漢éé", 70},
    {"c=c. b).c c)é)() ((b(a(é..", "cc=b .= b).cé )é)( .((b(a(é)..", 82},
    {")b=ab=b漢 b=b.a", ")ébc=b===b b=b.a", 80},
    // clang-format on
};

TEST(Metrics, EditSimilarityEqualsTheReferenceTable) {
  EXPECT_EQ(std::size(kPairs), 50u);
  for (const Pair& p : kPairs) {
    EXPECT_EQ(edit_similarity(p.a, p.b), p.similarity) << p.a << " | " << p.b;
    EXPECT_EQ(edit_similarity(p.b, p.a), p.similarity) << p.b << " | " << p.a;
  }
}

// Exact rationals: 1 - C(n - c, k) / C(n, k) with binomials that fit a 64-bit integer for n <= 30.
TEST(Metrics, PassAtKEqualsExactRationals) {
  const auto choose = [](int64_t n, int64_t k) {
    int64_t c = 1;
    if (k > n) return int64_t{0};
    for (int64_t i = 1; i <= k; ++i) c = c * (n - k + i) / i;
    return c;
  };
  for (int64_t n = 1; n <= 30; ++n) {
    for (int64_t c = 0; c <= n; ++c) {
      for (int64_t k = 1; k <= n; ++k) {
        const double exact = double(choose(n, k) - choose(n - c, k)) / double(choose(n, k));
        ASSERT_NEAR(pass_at_k(n, c, k), exact, 1e-12) << n << " " << c << " " << k;
        if (c == 0 || n - c < k) {
          ASSERT_EQ(pass_at_k(n, c, k), c == 0 ? 0 : 1);
        }
      }
    }
  }
  EXPECT_NEAR(pass_at_k(200, 3, 1), .015, 5e-6);
  EXPECT_NEAR(pass_at_k(200, 3, 10), .14331, 5e-6);
  EXPECT_NEAR(pass_at_k(200, 3, 100), .87688, 5e-6);
}

TEST(Metrics, ExactMatchSplitsAtBlanks) {
  EXPECT_TRUE(exact_match_line("  x  =\t1 ", "x = 1"));
  EXPECT_TRUE(exact_match_line("", " \t"));
  EXPECT_FALSE(exact_match_line("x=1", "x = 1"));
  EXPECT_FALSE(exact_match_line("x = 1", "x = 1 + y"));
  EXPECT_FALSE(exact_match_line("", "x"));
}

TEST(Metrics, LiteralsAreResolvedAsInCodeXGlue) {
  EXPECT_EQ(resolve_literals("f(<NUM_LIT>, '<STR_LIT>', <CHAR_LIT>)"), "f(0, '', )");
  EXPECT_EQ(resolve_literals("f(<NUM_LIT:12>, '<STR_LIT:a b>', <CHAR_LIT:c>)"), "f(12, 'a b', c)");
  EXPECT_EQ(resolve_literals("a < b <NUM_LIT <STR_LITX>"), "a < b <NUM_LIT <STR_LITX>");
  EXPECT_TRUE(exact_match_line("x = <NUM_LIT:1>", "x = 1"));
  EXPECT_EQ(edit_similarity_line(" x = <NUM_LIT:1>\n", "x = 1"), 100);
}

TEST(Metrics, BitsPerByteOfAUniformByteModelIsEight) {
  EXPECT_NEAR(bits_per_byte(1000 * std::log(256.0), 1000), 8.0, 1e-12);
  EXPECT_NEAR(bits_per_byte(1.3, 4.0), 0.47, 0.005);
}

TEST(Completion, IsCutAtTheEarliestRule) {
  GenerateRequest r;
  bool stopped = true;
  EXPECT_EQ(cut_completion("abc", r, &stopped), "abc");
  EXPECT_FALSE(stopped);
  r.stop = {"\nclass", "\ndef"};
  EXPECT_EQ(cut_completion("x\ndef f\nclass", r, &stopped), "x");
  EXPECT_TRUE(stopped);
  r.one_line = true;
  EXPECT_EQ(cut_completion("\n\n    y = 2\n    z", r), "\n\n    y = 2");
  EXPECT_EQ(cut_completion("\n  \n", r), "\n  \n");
}

}  // namespace
}  // namespace ballast
