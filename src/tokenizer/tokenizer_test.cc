#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "base/utf8.h"
#include "tokenizer/sample_test.h"

namespace ballast {
namespace {

bool yields_control(const Tokenizer& t, const std::vector<int32_t>& ids) {
  return std::any_of(ids.begin(), ids.end(), [&](int32_t id) { return t.is_control(id); });
}

TEST(Tokenizer, DecodeGivesBackEveryText) {
  const Tokenizer t = sample_tokenizer();
  EXPECT_EQ(t.decode(t.encode(kSampleCode)), kSampleCode);
  EXPECT_LT(t.encode(kSampleCode).size(), kSampleCode.size() * 2 / 3);
  EXPECT_TRUE(t.encode("").empty());
  Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = random_text(rng, static_cast<int>(rng.below(30)));
    const std::vector<int32_t> ids = t.encode(text);
    ASSERT_EQ(t.decode(ids), text);
    ASSERT_FALSE(yields_control(t, ids)) << text;
    ASSERT_EQ(t.decode(t.encode_with_control(text)), text);
  }
}

TEST(Tokenizer, BytesThatAreNotUtf8AreKept) {
  const Tokenizer t = sample_tokenizer();
  Rng rng(2);
  for (int i = 0; i < 500; ++i) {
    std::string bytes;
    for (uint64_t n = rng.below(40); n > 0; --n)
      bytes += static_cast<char>(rng.below(2) ? rng.below(256) : 'a' + rng.below(4));
    ASSERT_EQ(t.decode(t.encode(bytes)), bytes);
  }
  // Around the bad byte the text is cut as usual.
  std::vector<int32_t> expected = t.encode("def add");
  expected.push_back(*t.token_id("\xFF"));
  for (const int32_t id : t.encode("return total")) expected.push_back(id);
  EXPECT_EQ(t.encode("def add\xFFreturn total"), expected);
}

TEST(Tokenizer, DecodeTakesAnyIds) {
  const Tokenizer t = sample_tokenizer();
  Rng rng(3);
  std::vector<int32_t> ids = {INT32_MIN, INT32_MAX, -1, t.vocab_size()};
  EXPECT_EQ(t.decode(ids), "");
  for (int i = 0; i < 5000; ++i) ids.push_back(static_cast<int32_t>(rng.below(800)) - 200);
  EXPECT_FALSE(t.decode(ids).empty());
}

TEST(Tokenizer, ControlTokens) {
  const Tokenizer t = sample_tokenizer();
  const ControlTokens& c = t.control();
  EXPECT_EQ(c.bos, 0);
  EXPECT_EQ(c.eos, 1);
  EXPECT_EQ(c.pad, 2);
  EXPECT_EQ(c.fim_begin, 3);
  EXPECT_EQ(c.fim_hole, 4);
  EXPECT_EQ(c.fim_end, 5);
  EXPECT_EQ(t.control_strings(), deepseek_control_strings());
  EXPECT_EQ(t.token_id("<｜fim▁hole｜>"), 4);
  EXPECT_EQ(t.token_bytes(0), "<｜begin▁of▁sentence｜>");
  const std::string text = "<｜fim▁begin｜>def add<｜fim▁hole｜>return<｜fim▁end｜>";
  std::vector<int32_t> expected = {3};
  for (const int32_t id : t.encode("def add")) expected.push_back(id);
  expected.push_back(4);
  for (const int32_t id : t.encode("return")) expected.push_back(id);
  expected.push_back(5);
  EXPECT_EQ(t.encode_with_control(text), expected);
  EXPECT_FALSE(yields_control(t, t.encode(text)));
}

// A merge table that could build the control string from ordinary tokens must not get there.
TEST(Tokenizer, MergesNeverReachAControlToken) {
  TokenizerSpec spec = sample_tokenizer(262).spec();
  const auto add = [&](const std::string& symbol) {
    spec.symbols.push_back(symbol);
    return static_cast<int32_t>(spec.symbols.size()) - 1;
  };
  const Tokenizer plain(spec);
  const auto byte = [&](const char* text) { return *plain.token_id(text); };
  const int32_t ab = add("ab"), abc = add("abc"), abcd = add("abcd");
  spec.merges = {{byte("a"), byte("b")}, {ab, byte("c")}, {abc, byte("d")}};
  spec.added.push_back({abc, "abc", false, false, true});
  const Tokenizer t(spec);
  EXPECT_EQ(t.encode("abcd"), (std::vector<int32_t>{ab, byte("c"), byte("d")}));
  EXPECT_EQ(t.encode_with_control("abcd"), (std::vector<int32_t>{abc, byte("d")}));
  spec.ignore_merges = true;
  EXPECT_EQ(Tokenizer(spec).encode("abc"), (std::vector<int32_t>{ab, byte("c")}));
  EXPECT_EQ(Tokenizer(spec).encode("abcd"), (std::vector<int32_t>{abcd}));
}

TEST(Tokenizer, OtherAddedTokensAreMatchedInText) {
  TokenizerSpec spec = sample_tokenizer(300).spec();
  spec.added.push_back({400, "total", false, false, false});
  spec.added.push_back({401, "totality", false, false, false});
  spec.added.push_back({402, "ü", false, true, false});
  const Tokenizer t(spec);
  EXPECT_EQ(t.vocab_size(), 403);
  EXPECT_EQ(t.token_bytes(350), "");  // a hole
  EXPECT_EQ(t.encode("total"), (std::vector<int32_t>{400}));
  EXPECT_EQ(t.encode("totality"), (std::vector<int32_t>{401}));
  EXPECT_EQ(t.encode("xü")[1], 402);
  EXPECT_EQ(t.decode(t.encode("a total totalitü")), "a total totalitü");
}

TEST(Tokenizer, SaveAndLoad) {
  const TemporaryFolder dir;
  const Tokenizer t = sample_tokenizer();
  t.save(dir / "tokenizer.json");
  const Tokenizer loaded = Tokenizer::load(dir / "tokenizer.json");
  EXPECT_EQ(loaded.spec().symbols, t.spec().symbols);
  EXPECT_EQ(loaded.spec().merges, t.spec().merges);
  EXPECT_EQ(loaded.control_strings(), t.control_strings());
  EXPECT_EQ(loaded.control().pad, 2);
  EXPECT_EQ(loaded.encode(kSampleCode), t.encode(kSampleCode));
  const std::string first = read_file(dir / "tokenizer.json"), config = read_file(dir / "tokenizer_config.json");
  loaded.save(dir / "tokenizer.json");
  EXPECT_EQ(read_file(dir / "tokenizer.json"), first);
  EXPECT_EQ(read_file(dir / "tokenizer_config.json"), config);
}

TEST(Tokenizer, LongPiecesTakeLinearithmicTime) {
  const Tokenizer t = sample_tokenizer();
  for (const char* unit : {" ", "a", "=", "\n", "ab", "🦙"}) {
    std::string text;
    while (text.size() < (4 << 20)) text += unit;
    text += "x";
    ASSERT_EQ(t.decode(t.encode(text)), text) << unit;
  }
}

TEST(Tokenizer, ThreadsShareOneTokenizer) {
  const Tokenizer t = sample_tokenizer();
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> expected;
  Rng rng(4);
  for (int i = 0; i < 200; ++i) {
    texts.push_back(random_text(rng, 20));
    expected.push_back(t.encode(texts.back()));
  }
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k)
    threads.emplace_back([&] {
      for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(t.encode(texts[i]), expected[i]);
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace ballast
