#include "data/prepare.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <map>

#include "base/file.h"
#include "data/test_shard.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

class PrepareTest : public FolderTest {
 protected:
  void put(const std::string& package, int files, int lines) {
    fs::create_directories(folder / "src" / package);
    for (int f = 0; f < files; ++f) {
      std::string text;
      for (int i = 0; i < lines; ++i)
        text += fmt::format("{}_{} = {}\n", package, f * lines + i, (f * lines + i) * 7919 % 10007);
      write_file_atomic(folder / "src" / package / fmt::format("m{}.py", f), text);
    }
  }
  CorpusRecipe recipe() const {
    CorpusRecipe r;
    r.corpus.source = {(folder / "src").string()};
    r.corpus.held_out = {"held"};
    r.corpus.near_duplicate = 1;
    r.tokenizer.vocab_size = 300;
    return r;
  }
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder / "out")) {
      const std::string name = fs::relative(entry.path(), folder / "out").string();
      all[name] = entry.is_regular_file() ? read_file(entry.path()) : "";
    }
    return all;
  }
};

TEST_F(PrepareTest, WritesFiveFilesAndNothingElse) {
  put("alpha", 4, 50);
  put("held", 1, 50);
  const PreparedCorpus made = prepare_corpus(recipe(), folder / "out", 1);
  EXPECT_EQ(made.train_shard, folder / "out/train.shard");
  const ShardReader train(made.train_shard);
  EXPECT_EQ(train.documents(), 4);
  EXPECT_EQ(ShardReader(made.held_out_shard).header().tokenizer_hash, train.header().tokenizer_hash);
  std::vector<std::string> names;
  for (const auto& [name, text] : files()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"held_out.shard", "manifest.jsonl", "tokenizer.json",
                                             "tokenizer_config.json", "train.shard"}));
}

// A second corpus into the same folder has no room for its training shard: all files of the first one stay.
TEST_F(PrepareTest, AFailureLeavesTheFolderAsItWas) {
  put("alpha", 4, 50);
  put("held", 1, 50);
  prepare_corpus(recipe(), folder / "out", 1);
  write_file_atomic(folder / "out/notes.txt", "mine");
  const auto before = files();
  put("beta", 40, 500);
  const auto run_without_room = [&](const fs::path& out) {
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit usual{};
    getrlimit(RLIMIT_FSIZE, &usual);
    const rlimit small{100'000, usual.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const std::string refused = error_text(ErrorKind::device, [&] { prepare_corpus(recipe(), out, 1); });
    setrlimit(RLIMIT_FSIZE, &usual);
    std::signal(SIGXFSZ, handler);
    EXPECT_NE(refused.find("train.shard"), std::string::npos) << refused;
  };
  run_without_room(folder / "out");
  EXPECT_EQ(files(), before);
  run_without_room(folder / "new");
  EXPECT_FALSE(fs::exists(folder / "new"));
  // What a process that was killed left there goes.
  fs::create_directories(folder / "out/.partial-corpus");
  write_file_atomic(folder / "out/.partial-corpus/train.shard", "half");
  const PreparedCorpus made = prepare_corpus(recipe(), folder / "out", 1);
  EXPECT_EQ(ShardReader(made.train_shard).documents(), 44);
  EXPECT_EQ(files().size(), before.size());
  EXPECT_EQ(files().at("notes.txt"), "mine");
}

}  // namespace
}  // namespace ballast
