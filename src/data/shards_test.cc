#include "data/shards.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "data/test_shard.h"

namespace ballast {
namespace {

class ShardTest : public FolderTest {
 protected:
  std::filesystem::path path() const { return folder / "train.shard"; }
  // Not atomic: thousands of times fsync would take minutes on a busy disk.
  void overwrite(const std::string& bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }
};

TEST_F(ShardTest, GivesBackWhatWasWritten) {
  for (const int64_t vocab : {300, 65536, 65537, 200000}) {
    const ShardHeader header{vocab, "tok", "cor", "held_out", 0.1, ~uint64_t{0}};
    ShardWriter writer(path(), header);
    std::vector<std::vector<int32_t>> documents;
    Rng rng(vocab);
    for (int d = 0; d < 40; ++d) {
      std::vector<int32_t> tokens(1 + rng.below(50));
      for (int32_t& t : tokens) t = static_cast<int32_t>(rng.below(vocab));
      tokens[0] = static_cast<int32_t>(vocab - 1);
      writer.add(tokens, 10 * d, d % 3 == 0);
      documents.push_back(tokens);
    }
    writer.commit();
    const ShardReader reader(path());
    EXPECT_EQ(reader.header().vocab_size, vocab);
    EXPECT_EQ(reader.header().tokenizer_hash, "tok");
    EXPECT_EQ(reader.header().corpus_hash, "cor");
    EXPECT_EQ(reader.header().split, "held_out");
    EXPECT_EQ(reader.header().fim_rate, 0.1);
    EXPECT_EQ(reader.header().fim_seed, ~uint64_t{0});
    ASSERT_EQ(reader.documents(), 40);
    EXPECT_EQ(reader.text_bytes(), 10u * (39 * 40 / 2));
    int64_t total = 0;
    for (int d = 0; d < 40; ++d) {
      EXPECT_EQ(reader.document(d), documents[d]);
      EXPECT_EQ(reader.text_bytes(d), 10u * d);
      EXPECT_EQ(reader.is_fim(d), d % 3 == 0);
      total += reader.length(d);
    }
    EXPECT_EQ(reader.tokens(), total);
  }
}

TEST_F(ShardTest, EmptyShardOpens) {
  EXPECT_EQ(write_shard(path(), {}).documents(), 0);
  EXPECT_EQ(ShardReader(path()).tokens(), 0);
}

TEST_F(ShardTest, CutOffAnywhereIsRefused) {
  write_shard(path(), {"hello", "", "a longer one\n"});
  const std::string whole = read_file(path());
  for (size_t n = 0; n < whole.size(); ++n) {
    overwrite(whole.substr(0, n));
    const std::string text = error_text(ErrorKind::format, [&] { ShardReader{path()}; });
    EXPECT_NE(text.find("train.shard"), std::string::npos) << n;
  }
}

TEST_F(ShardTest, EveryDamagedByteIsNoticed) {
  write_shard(path(), {"hello", "", "a longer one\n"});
  const std::string whole = read_file(path());
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const char flip : {1, -128}) {
      std::string bad = whole;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      overwrite(bad);
      EXPECT_THROW(ShardReader{path()}, Error) << "byte " << i << " of " << whole.size();
    }
  }
}

TEST_F(ShardTest, NewerFormatIsRefusedByName) {
  write_shard(path(), {"hello"});
  std::string whole = read_file(path());
  whole[8] = 2;
  overwrite(whole);
  const std::string text = error_text(ErrorKind::format, [&] { ShardReader{path()}; });
  EXPECT_NE(text.find("format 2 is newer"), std::string::npos) << text;
}

TEST_F(ShardTest, NothingAppearsWithoutCommit) {
  {
    ShardWriter writer(path(), {.vocab_size = 10});
    writer.add(std::vector<int32_t>{1, 2, 3}, 3, false);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

// A folder in which one shard was replaced and the other was not.
TEST_F(ShardTest, OfTwoCorporaAreNotUsedTogether) {
  const ShardHeader train{300, "tokenizer", "corpus", "train", 0.1, 0};
  ShardHeader held_out{300, "tokenizer", "corpus", "held_out", 0, 0};
  require_one_corpus("a/train.shard", train, "a/held_out.shard", held_out);
  held_out.corpus_hash = "another";
  EXPECT_NE(error_text(ErrorKind::usage, [&] { require_one_corpus("a/t", train, "./a/h", held_out); }).find("a/h"),
            std::string::npos);
  require_one_corpus("a/train.shard", train, "b/held_out.shard", held_out);  // as somebody chose
  held_out.tokenizer_hash = "another";
  error_text(ErrorKind::usage, [&] { require_one_corpus("a/train.shard", train, "b/held_out.shard", held_out); });
}

}  // namespace
}  // namespace ballast
