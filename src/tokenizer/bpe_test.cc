#include "tokenizer/bpe.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace ballast {
namespace {

struct Table {
  std::array<int32_t, 256> byte_ids;
  std::vector<std::pair<int32_t, int32_t>> merges;
  std::vector<int32_t> results;
};

// Merges of three letters and of what they give, in an order that is not that of the ids.
Table random_table(uint64_t seed) {
  Table t;
  for (int b = 0; b < 256; ++b) t.byte_ids[b] = b;
  Rng rng(seed);
  std::vector<int32_t> ids = {'a', 'b', 'c'};
  for (int i = 0; i < 60; ++i) {
    t.merges.emplace_back(ids[rng.below(ids.size())], ids[rng.below(ids.size())]);
    t.results.push_back(256 + i);
    ids.push_back(256 + i);
  }
  return t;
}

// The definition: join the leftmost pair of the lowest rank until there is none. A pair's last listing counts.
std::vector<int32_t> slow_encode(const Table& t, const std::string& piece) {
  std::vector<int32_t> ids;
  for (const char c : piece) ids.push_back(t.byte_ids[static_cast<uint8_t>(c)]);
  const auto rank = [&](size_t i) {
    for (size_t r = t.merges.size(); r-- > 0;)
      if (t.merges[r] == std::pair(ids[i], ids[i + 1])) return r;
    return t.merges.size();
  };
  for (;;) {
    size_t best = t.merges.size(), at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i)
      if (const size_t r = rank(i); r < best) {
        best = r;
        at = i;
      }
    if (best == t.merges.size()) return ids;
    ids[at] = t.results[best];
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(Bpe, EqualsTheDefinition) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Table t = random_table(seed);
    const Bpe bpe(t.byte_ids, t.merges, t.results, {});
    Bpe::Scratch scratch;
    PieceCache cache;
    Rng rng(seed, 1);
    for (int i = 0; i < 100; ++i) {
      std::string piece;
      for (uint64_t n = 1 + rng.below(i % 2 ? 12 : 100); n > 0; --n) piece += static_cast<char>('a' + rng.below(3));
      const std::vector<int32_t> expected = slow_encode(t, piece);
      for (int again = 0; again < 2; ++again) {
        std::vector<int32_t> ids = {-7};
        cache.encode(piece, bpe, ids, scratch);
        ids.erase(ids.begin());
        ASSERT_EQ(ids, expected) << piece;
      }
    }
  }
}

TEST(Bpe, AByteWithoutATokenBecomesTheReplacementCharacter) {
  Table t = random_table(0);
  t.byte_ids[0xFF] = -1;
  const Bpe bpe(t.byte_ids, t.merges, t.results, {});
  Bpe::Scratch scratch;
  std::vector<int32_t> ids;
  bpe.encode("\xFF", ids, scratch);
  EXPECT_EQ(ids, (std::vector<int32_t>{0xEF, 0xBF, 0xBD}));
}

}  // namespace
}  // namespace ballast
