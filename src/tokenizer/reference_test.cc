// Equality with other implementations on reference data outside the project; skipped where that is absent.
#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "tokenizer/check.h"
#include "tokenizer/shared_test.h"
#include "tokenizer/trainer.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

void expect_okay(const TokenizerCheck& check) {
  EXPECT_TRUE(check.okay()) << check.equal << " of " << check.texts;
  for (const auto& d : check.differences)
    ADD_FAILURE() << d.index << " '" << d.text << "'\n  expected " << testing::PrintToString(d.expected) << "\n  found    "
                  << testing::PrintToString(d.found) << "\n  decodes " << d.decodes;
}

TEST(TokenizerReference, DeepseekCoderVectors) {
  const fs::path dir = shared_dir() / "data/tokenizers/deepseek-coder";
  SKIP_WITHOUT(dir);
  const Tokenizer tokenizer = Tokenizer::load(dir / "tokenizer.json");
  EXPECT_EQ(tokenizer.vocab_size(), 32256);
  EXPECT_EQ(tokenizer.control().bos, 32013);
  EXPECT_EQ(tokenizer.control().fim_hole, 32015);
  EXPECT_EQ(tokenizer.control().fim_begin, 32016);
  EXPECT_EQ(tokenizer.control().fim_end, 32017);
  const TokenizerCheck pair = check_tokenizer(tokenizer, dir / "vectors.inp");
  EXPECT_EQ(pair.texts, 46);
  expect_okay(pair);
  const TokenizerCheck lines = check_tokenizer(tokenizer, dir / "more.jsonl");
  EXPECT_EQ(lines.texts, 900);
  expect_okay(lines);
}

// The documents of the learning reference, in the order of its list; empty where Debian's library is another one.
std::vector<std::string> learning_documents(const fs::path& dir) {
  const fs::path library = "/usr/lib/python3.11";
  std::vector<std::string> documents;
  const Json files = Json::read(dir / "files.json");
  for (const Json& entry : files.at("train").as_array()) {
    const fs::path file = library / entry.as_array()[0].as_string();
    if (!fs::exists(file)) return {};
    documents.push_back(read_file(file));
    if (sha256_hex(documents.back()) != entry.as_array()[1].as_string()) return {};
  }
  return documents;
}

std::vector<std::string> windows_of(const std::string& bytes) {
  constexpr size_t kBytes = 512 * 2;
  std::vector<std::string> windows;
  for (size_t i = 0; i + kBytes <= bytes.size(); i += kBytes) windows.push_back(bytes.substr(i, kBytes));
  std::sort(windows.begin(), windows.end());  // the file's are shuffled
  return windows;
}

// Documents are `0 ... 1`, one after the other, cut into windows of 512; what is left at the end is dropped.
TEST(SlowTokenizerReference, LearningTokens) {
  const fs::path dir = shared_dir() / "data/learning";
  SKIP_WITHOUT(dir);
  const std::vector<std::string> documents = learning_documents(dir);
  if (documents.empty()) GTEST_SKIP() << "/usr/lib/python3.11 is not the library of files.json";
  const Tokenizer tokenizer = Tokenizer::load(dir / "tokenizer.json");
  std::vector<int32_t> ids;
  for (const std::string& document : documents) {
    ids.push_back(tokenizer.control().bos);
    tokenizer.encode(document, ids);
    ids.push_back(tokenizer.control().eos);
  }
  std::string bytes;
  for (const int32_t id : ids) bytes += {static_cast<char>(id & 0xFF), static_cast<char>(id >> 8)};
  EXPECT_TRUE(windows_of(bytes) == windows_of(read_file(dir / "train.u16")));
}

TEST(SlowTokenizerReference, LearningVocabulary) {
  const fs::path dir = shared_dir() / "data/learning";
  SKIP_WITHOUT(dir);
  const std::vector<std::string> documents = learning_documents(dir);
  if (documents.empty()) GTEST_SKIP() << "/usr/lib/python3.11 is not the library of files.json";
  const Tokenizer expected = Tokenizer::load(dir / "tokenizer.json");
  TrainerOptions options;
  options.special_tokens = {"<|begin_of_sentence|>", "<|end_of_sentence|>"};
  options.pre_tokenizer = gpt2_pre_tokenizer();
  BpeTrainer trainer(options);
  for (const std::string& document : documents) trainer.add(document);
  const Tokenizer trained = trainer.train(8192);
  EXPECT_EQ(trained.spec().symbols, expected.spec().symbols);
  EXPECT_EQ(trained.spec().merges, expected.spec().merges);
}

}  // namespace
}  // namespace ballast
