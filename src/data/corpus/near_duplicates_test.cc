#include "data/corpus/near_duplicates.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <string>

#include "base/rng.h"

namespace ballast {
namespace {

std::string lines(int first, int count) {
  std::string text;
  for (int i = first; i < first + count; ++i)
    text += "value_" + std::to_string(i) + " = " + std::to_string(int64_t{i} * i) + "\n";
  return text;
}

double exact(const std::string& a, const std::string& b) { return jaccard(line_set(a), line_set(b)); }

TEST(NearDuplicates, LinesAreASetWithoutBlanks) {
  EXPECT_EQ(line_set("a = 1\n\n  b\n"), line_set("b\r\n\ta=1\n a = 1"));
  EXPECT_NE(line_set("a\nb\n"), line_set("ab\n"));
  EXPECT_TRUE(line_set(" \n\t\n").empty());
  EXPECT_EQ(jaccard({}, {}), 0);
}

TEST(NearDuplicates, JaccardIsThatOfSets) {
  Rng rng(3);
  for (int trial = 0; trial < 200; ++trial) {
    std::set<uint64_t> a, b, all;
    for (uint64_t n = rng.below(40); n > 0; --n) a.insert(rng.below(50));
    for (uint64_t n = rng.below(40); n > 0; --n) b.insert(rng.below(50));
    size_t both = 0;
    for (const uint64_t v : a) both += b.count(v);
    all.insert(a.begin(), a.end());
    all.insert(b.begin(), b.end());
    const std::vector<uint64_t> va(a.begin(), a.end()), vb(b.begin(), b.end());
    EXPECT_DOUBLE_EQ(jaccard(va, vb), all.empty() ? 0 : static_cast<double>(both) / static_cast<double>(all.size()));
  }
}

// The estimate against the exact figure, over the whole range: unbiased, with the error that 100 rows have.
TEST(NearDuplicates, TheEstimateHasTheErrorThatIsClaimed) {
  double error = 0, square = 0;
  const int trials = 300;
  for (int i = 0; i < trials; ++i) {
    const std::string a = lines(i * 1000, 200), b = lines(i * 1000 + i % 100, 200);
    const double e = estimated_jaccard(min_hash(line_set(a)), min_hash(line_set(b))) - exact(a, b);
    error += e / trials;
    square += e * e / trials;
  }
  EXPECT_NEAR(error, 0, 0.01);
  EXPECT_LT(std::sqrt(square), 0.06);
  EXPECT_GT(std::sqrt(square), 0.01);
}

TEST(NearDuplicates, TheIndexFindsWhatIsAlikeAndLittleElse) {
  const int files = 400;
  std::vector<MinHash> hashes;
  for (int i = 0; i < files; ++i) hashes.push_back(min_hash(line_set(lines(i * 1000, 300))));
  for (int i = 0; i < files; ++i) hashes.push_back(min_hash(line_set(lines(i * 1000 + 30, 300))));  // 270 of 330: 0.82
  NearDuplicateIndex index(hashes);
  for (int i = 0; i < files; ++i) index.add(static_cast<uint32_t>(i));
  int found = 0, others = 0;
  for (int i = 0; i < files; ++i) {
    for (const uint32_t other : index.candidates(hashes[static_cast<size_t>(files + i)], 0.6, 16)) {
      (other == static_cast<uint32_t>(i) ? found : others) += 1;
    }
  }
  EXPECT_GE(found, files - 2);
  EXPECT_EQ(others, 0);
  EXPECT_EQ(index.candidates(hashes[0], 0.6, 0).size(), 0u);
  EXPECT_EQ(index.candidates(hashes[0], 0.99, 16), std::vector<uint32_t>{0});
}

}  // namespace
}  // namespace ballast
