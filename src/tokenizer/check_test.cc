#include "tokenizer/check.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "tokenizer/sample_test.h"

namespace ballast {
namespace {

class TokenizerCheckTest : public FolderTest {
 protected:
  std::filesystem::path write(const char* name, const std::string& text) {
    write_file_atomic(folder / name, text);
    return folder / name;
  }
  std::string ids(std::string_view text, std::string_view separator) {
    std::string out;
    for (const int32_t id : tokenizer_.encode(text))
      out += (out.empty() ? "" : std::string(separator)) + std::to_string(id);
    return out;
  }
  const Tokenizer tokenizer_ = sample_tokenizer();
};

TEST_F(TokenizerCheckTest, Lines) {
  const std::string good = R"({"text": "def add", "ids": [)" + ids("def add", ", ") + "]}\n";
  EXPECT_TRUE(check_tokenizer(tokenizer_, write("a.jsonl", good)).okay());
  const TokenizerCheck check = check_tokenizer(tokenizer_, write("b.jsonl", good + R"({"text": "x", "ids": [1, 2]})"));
  EXPECT_FALSE(check.okay());
  EXPECT_EQ(check.texts, 2);
  EXPECT_EQ(check.equal, 1);
  ASSERT_EQ(check.differences.size(), 1u);
  EXPECT_EQ(check.differences[0].index, 1);
  EXPECT_EQ(check.differences[0].expected, (std::vector<int32_t>{1, 2}));
  EXPECT_THROW(check_tokenizer(tokenizer_, write("c.jsonl", "{\"text\": 3, \"ids\": []}")), Error);
  EXPECT_FALSE(check_tokenizer(tokenizer_, write("d.jsonl", "")).okay());
}

TEST_F(TokenizerCheckTest, Pairs) {
  const std::filesystem::path inputs =
      write("v.inp", "def add\n__ggml_vocab_test__\n\n__ggml_vocab_test__\n\n\n__ggml_vocab_test__\n");
  const std::string first = " " + ids("def add", " ") + "\n\n";
  write("v.out", first + ids("\n", " ") + "\n");
  const TokenizerCheck check = check_tokenizer(tokenizer_, inputs);
  EXPECT_EQ(check.texts, 3);
  EXPECT_TRUE(check.okay());
  write("v.out", first);
  EXPECT_THROW(check_tokenizer(tokenizer_, inputs), Error);
  write("v.out", first + "5x\n");
  EXPECT_THROW(check_tokenizer(tokenizer_, inputs), Error);
  EXPECT_THROW(check_tokenizer(tokenizer_, write("v.txt", "")), Error);
}

}  // namespace
}  // namespace ballast
