#include "tokenizer/trainer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/sample_test.h"

namespace ballast {
namespace {

std::vector<std::string> learned(const Tokenizer& t) {
  std::vector<std::string> out;
  for (const auto& [a, b] : t.spec().merges) out.push_back(t.spec().symbols[a] + " " + t.spec().symbols[b]);
  return out;
}

Tokenizer train(std::vector<std::string_view> texts, int32_t vocab_size, std::vector<std::string> special = {}) {
  TrainerOptions options;
  options.special_tokens = std::move(special);
  options.pre_tokenizer = gpt2_pre_tokenizer();
  return train_bpe(texts, vocab_size, options);
}

// Merges and ids below are those that Hugging Face's tokenizers 0.23 learns from the same texts.
TEST(BpeTrainer, MostFrequentPairFirstThenSmallestIds) {
  EXPECT_EQ(learned(train({"ab ab ab cd cd cd xy"}, 260)), (std::vector<std::string>{"a b", "c d", "Ġ cd", "Ġ ab"}));
  EXPECT_EQ(learned(train({"aaaa aaaa"}, 260)), (std::vector<std::string>{"a a", "aa aa", "Ġ aaaa"}));
}

TEST(BpeTrainer, SpecialTokensThenBytesThenMerges) {
  const Tokenizer t = train({"hello hello"}, 262, {"<|begin_of_sentence|>", "<|end_of_sentence|>"});
  EXPECT_EQ(t.vocab_size(), 262);
  EXPECT_EQ(t.control().bos, 0);
  EXPECT_EQ(t.control().eos, 1);
  EXPECT_EQ(t.control().fim_end, -1);
  EXPECT_EQ(t.token_id("!"), 2);
  EXPECT_EQ(t.spec().symbols[257], to_symbols("\xAD"));
  EXPECT_EQ(learned(t)[0], "e l");
}

TEST(BpeTrainer, StopsWhereNoPairIsLeft) { EXPECT_EQ(train({"ab"}, 1000).vocab_size(), 257); }

TEST(BpeTrainer, UnusableRequests) {
  EXPECT_THROW(train({"text"}, 255), Error);
  EXPECT_THROW(train({}, 300), Error);
  EXPECT_THROW(train({"", ""}, 300), Error);
  try {
    sample_tokenizer(261);
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::usage);
    EXPECT_STREQ(e.what(), "vocab_size: 261 is too small: 256 bytes and 6 special tokens need 262");
  }
}

TEST(BpeTrainer, TheOrderOfTheTextsDoesNotMatter) {
  const std::string_view a = kSampleCode.substr(0, 300), b = kSampleCode.substr(300);
  EXPECT_EQ(learned(train({a, b, a}, 400)), learned(train({b, a, a}, 400)));
}

TEST(ByteLevel, AlphabetIsABijection) {
  std::string all;
  for (int b = 0; b < 256; ++b) all += static_cast<char>(b);
  EXPECT_EQ(from_symbols(to_symbols(all)), all);
  EXPECT_EQ(to_symbols(" \n\x7F\xAD"), "ĠĊġŃ");
  EXPECT_FALSE(from_symbols("▁").has_value());
  EXPECT_FALSE(from_symbols(" ").has_value());
  EXPECT_FALSE(from_symbols("\xC4").has_value());
}

}  // namespace
}  // namespace ballast
