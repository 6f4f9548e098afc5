#include "data/fim.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/test_shard.h"

namespace ballast {
namespace {

// prefix, suffix, middle of a rearranged document.
struct Spans {
  std::string prefix, suffix, middle;
};

Spans take_apart(const std::vector<int32_t>& ids) {
  const auto at = [&](int32_t id) { return std::find(ids.begin(), ids.end(), id) - ids.begin(); };
  const auto hole = at(4), end = at(5), all = static_cast<ptrdiff_t>(ids.size());
  EXPECT_EQ(ids[0], 0);
  EXPECT_EQ(ids[1], 3);
  EXPECT_EQ(ids.back(), 1);
  EXPECT_TRUE(hole < end && end < all);
  const std::span<const int32_t> s(ids);
  return {decode_bytes(s.subspan(2, hole - 2)), decode_bytes(s.subspan(hole + 1, end - hole - 1)),
          decode_bytes(s.subspan(end + 1))};
}

TEST(Fim, RoundTripsAtTenThousandSplits) {
  const TextEncoder encoder = byte_encoder();
  Rng rng(1);
  int empty_prefix = 0, empty_middle = 0, empty_suffix = 0;
  for (uint64_t d = 0; d < 10000; ++d) {
    const std::string text = random_text(rng, 12);
    const auto cuts = fim_cuts(text, 1.0, 7, 0, d);
    ASSERT_TRUE(cuts);
    const Spans s = take_apart(encode_document(encoder, text, cuts));
    ASSERT_EQ(s.prefix + s.middle + s.suffix, text);
    for (const std::string& span : {s.prefix, s.middle, s.suffix}) {
      ASSERT_TRUE(span.empty() || (static_cast<unsigned char>(span[0]) & 0xC0) != 0x80) << "cut inside a character";
    }
    empty_prefix += s.prefix.empty();
    empty_middle += s.middle.empty();
    empty_suffix += s.suffix.empty();
  }
  EXPECT_GT(empty_prefix, 500);
  EXPECT_GT(empty_middle, 500);
  EXPECT_GT(empty_suffix, 500);
}

TEST(Fim, CutsAreUniformOverCharacters) {
  const std::string text = "aé漢😀";  // borders at 0, 1, 3, 6, 10
  std::vector<int> first(11), second(11);
  const int n = 50000;
  for (int d = 0; d < n; ++d) {
    const auto cuts = fim_cuts(text, 1.0, 3, 0, d);
    ++first[cuts->first];
    ++second[cuts->second];
  }
  const size_t border[] = {0, 1, 3, 6, 10};
  for (int i = 0; i < 5; ++i) {  // the smaller of two uniform draws out of 5
    EXPECT_NEAR(first[border[i]] / double(n), (2 * (4 - i) + 1) / 25.0, 0.01);
    EXPECT_NEAR(second[border[i]] / double(n), (2 * i + 1) / 25.0, 0.01);
  }
}

TEST(Fim, RateIsKept) {
  int chosen = 0;
  for (uint64_t d = 0; d < 100000; ++d) chosen += fim_cuts("some text", 0.1, 11, 0, d).has_value();
  EXPECT_NEAR(chosen / 1e5, 0.10, 0.005);
  EXPECT_FALSE(fim_cuts("some text", 0.0, 11, 0, 5));
}

TEST(Fim, DependsOnSeedEpochAndDocumentOnly) {
  const std::string text(1000, 'x');
  const auto a = fim_cuts(text, 1, 1, 2, 3), b = fim_cuts(text, 1, 1, 2, 3);
  EXPECT_EQ(a->first, b->first);
  EXPECT_EQ(a->second, b->second);
  const auto differs = [&](const std::optional<FimCuts>& c) { return c->first != a->first || c->second != a->second; };
  EXPECT_TRUE(differs(fim_cuts(text, 1, 2, 2, 3)));
  EXPECT_TRUE(differs(fim_cuts(text, 1, 1, 3, 3)));
  EXPECT_TRUE(differs(fim_cuts(text, 1, 1, 2, 4)));
}

TEST(Fim, MissingTokensAreNamed) {
  TextEncoder encoder = byte_encoder();
  EXPECT_NO_THROW(require_fim_tokens(encoder));
  encoder.control.fim_hole = encoder.control.eos = -1;
  const std::string text = error_text(ErrorKind::usage, [&] { require_fim_tokens(encoder); });
  EXPECT_NE(text.find("fim_hole, eos"), std::string::npos) << text;
}

}  // namespace
}  // namespace ballast
