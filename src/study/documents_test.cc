#include "study/documents.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "base/file.h"
#include "base/testing.h"
#include "data/shards.h"
#include "tokenizer/trainer.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

class DocumentsTest : public FolderTest {
 protected:
  DocumentsTest() {
    fs::create_directories(folder / "src/pkg");
    write_file_atomic(folder / "src/a.py", "def a(x):\n    return x + 1\n");
    write_file_atomic(folder / "src/pkg/b.py", "def b(y):\n    return y * 2\n");
    write_file_atomic(folder / "src/pkg/copy.py", "def b(y):\n    return y * 2\n");
    write_file_atomic(folder / "src/pkg/blank.py", "\n\n");
    write_file_atomic(folder / "src/c.txt", "not a source\n");
  }

  std::vector<std::vector<int32_t>> read(const fs::path& source, std::vector<std::string> extension = {".py"}) const {
    return read_documents({source.string(), std::move(extension)}, model());
  }
  // With a model of the repository for its config; its tokenizer is of bytes alone.
  OpenedModel model() const {
    OpenedModel m = open_model(fs::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny");
    m.config.vocab_size = 300;
    m.optional_tokenizer = tokenizer;
    return m;
  }
  std::optional<Tokenizer> tokenizer = train_bpe(std::array<std::string_view, 1>{"def a(x):"}, 270);
};

TEST_F(DocumentsTest, FileFolderAndShard) {
  const auto one = read(folder / "src/a.py");
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0][0], tokenizer->control().bos);
  EXPECT_EQ(tokenizer->decode(std::span(one[0]).subspan(1)), "def a(x):\n    return x + 1\n");
  EXPECT_EQ(read(folder / "src").size(), 2u) << "a copy and a blank file are left out";
  EXPECT_EQ(read(folder / "src", {".txt"}).size(), 1u);
  {
    ShardWriter writer(folder / "src/held_out.shard", {.vocab_size = 270, .split = "held_out"});
    writer.add(std::vector<int32_t>{1, 2, 3}, 3, false);
    writer.commit();
  }
  EXPECT_EQ(read(folder / "src"), (std::vector<std::vector<int32_t>>{{1, 2, 3}})) << "what `ballast corpus` wrote";
  EXPECT_EQ(read(folder / "src/held_out.shard").size(), 1u);
}

TEST_F(DocumentsTest, SaysWhatIsMissing) {
  const auto error = [&](const fs::path& source, std::vector<std::string> extension = {".py"}) -> std::string {
    try {
      read(source, std::move(extension));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(error(folder / "nothing").find("no such file"), std::string::npos);
  EXPECT_NE(error(folder / "src", {".rs"}).find(".rs"), std::string::npos);
  {
    ShardWriter writer(folder / "large.shard", {.vocab_size = 100'000, .split = "held_out"});
    writer.add(std::vector<int32_t>{1, 2, 3}, 3, false);
    writer.commit();
  }
  EXPECT_NE(error(folder / "large.shard").find("vocabulary of 100000"), std::string::npos);
  tokenizer.reset();
  EXPECT_NE(error(folder / "src").find("tokenizer.json"), std::string::npos);
}

}  // namespace
}  // namespace ballast
