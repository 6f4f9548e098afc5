// Equality with other implementations on reference data outside the project; skipped where that is absent.
#include <sys/wait.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/testing.h"
#include "tokenizer/check.h"
#include "tokenizer/trainer.h"

namespace ballast {
namespace {

namespace fs = std::filesystem;

void expect_okay(const TokenizerCheck& check) {
  EXPECT_TRUE(check.okay()) << check.equal << " of " << check.texts;
  for (const auto& d : check.differences)
    ADD_FAILURE() << d.index << " '" << d.text << "'\n  expected " << testing::PrintToString(d.expected)
                  << "\n  found    " << testing::PrintToString(d.found) << "\n  decodes " << d.decodes;
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

// DeepSeek-V3's chain of expressions (its tokenizer.json), which no other test has.
constexpr const char* kDeepseekV3 = R"js({"type": "Sequence", "pretokenizers": [
  {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false},
  {"type": "Split", "pattern": {"Regex": "[一-龥぀-ゟ゠-ヿ]+"}, "behavior": "Isolated", "invert": false},
  {"type": "Split", "pattern": {"Regex": "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}, "behavior": "Isolated", "invert": false},
  {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})js";

// DeepSeek-V2's and DeepSeek-LLM's, with fewer ranges of letters (letters of other scripts are cut by the last steps).
constexpr const char* kDeepseekV2 = R"js({"type": "Sequence", "pretokenizers": [
  {"type": "Split", "pattern": {"Regex": "[\r\n]"}, "behavior": "Isolated", "invert": false},
  {"type": "Split", "pattern": {"Regex": "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+"}, "behavior": "Isolated", "invert": false},
  {"type": "Split", "pattern": {"Regex": "\\s?[!-/:-~！-／：-～‘-‟　-。]+"}, "behavior": "Isolated", "invert": false},
  {"type": "Split", "pattern": {"Regex": "\\s+$"}, "behavior": "Isolated", "invert": false},
  {"type": "Split", "pattern": {"Regex": "[一-龥ࠀ-一가-퟿]+"}, "behavior": "Isolated", "invert": false},
  {"type": "Digits", "individual_digits": true},
  {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})js";

// Moonlight's expression, as conversions of its tiktoken.model have it.
constexpr const char* kMoonlight = R"js({"type": "Sequence", "pretokenizers": [
  {"type": "Split", "pattern": {"Regex": "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}, "behavior": "Removed", "invert": true},
  {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})js";

// tools/check_tokenizer.py writes what Hugging Face's tokenizers make of Python's standard library and of random text.
// BALLAST_PYTHON names a Python that has it.
class SlowHuggingFace : public testing::TestWithParam<const char*> {};

TEST_P(SlowHuggingFace, SameIds) {
  const TemporaryFolder dir;
  const std::string name = GetParam();
  if (name == "deepseek_coder") {
    const fs::path reference = shared_dir() / "data/tokenizers/deepseek-coder/tokenizer.json";
    SKIP_WITHOUT(reference);
    fs::copy_file(reference, dir / "tokenizer.json");
  } else {
    TrainerOptions options;
    if (name == "gpt2") options.pre_tokenizer = gpt2_pre_tokenizer();
    if (name == "deepseek_v3") options.pre_tokenizer = Json::parse(kDeepseekV3);
    if (name == "deepseek_v2") options.pre_tokenizer = Json::parse(kDeepseekV2);
    if (name == "moonlight") options.pre_tokenizer = Json::parse(kMoonlight);
    BpeTrainer trainer(options);
    const fs::path sources = fs::path(BALLAST_SOURCE_DIR) / "src";
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(sources))
      if (entry.is_regular_file()) files.push_back(entry.path());
    for (const fs::path& file : files) trainer.add(read_file(file));
    trainer.train(4096).save(dir / "tokenizer.json");
  }
  const fs::path vectors = dir / "vectors.jsonl", script = fs::path(BALLAST_SOURCE_DIR) / "tools/check_tokenizer.py";
  const int status = run_python({script.string(), (dir / "tokenizer.json").string(), vectors.string()});
  constexpr int kAbsent = 77, kNoPython = 127;
  if (status == kAbsent || status == kNoPython)
    GTEST_SKIP() << python_program() << " has no `tokenizers`; set BALLAST_PYTHON";
  ASSERT_EQ(status, 0);
  const TokenizerCheck check = check_tokenizer(Tokenizer::load(dir / "tokenizer.json"), vectors);
  EXPECT_GT(check.texts, 2000);
  expect_okay(check);
}

INSTANTIATE_TEST_SUITE_P(, SlowHuggingFace, testing::Values("code", "gpt2", "deepseek_v2", "deepseek_v3", "deepseek_coder", "moonlight"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace ballast
