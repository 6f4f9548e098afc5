// Trains byte-level BPE. Given the same pieces, the result is that of Hugging Face's tokenizers (0.13 to 0.23): the
// most frequent pair first, among equals the one with the smallest ids.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/control.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/tokenizer.h"

namespace ballast {

struct TrainerOptions {
  std::vector<std::string> special_tokens = deepseek_control_strings();  // ids 0, 1, ...
  Json pre_tokenizer = code_pre_tokenizer();
  std::function<void(int64_t done, int64_t total)> progress;  // merges; called now and then
};

class BpeTrainer {
 public:
  explicit BpeTrainer(TrainerOptions options = {});

  // Counts the pieces of one document. What is not UTF-8 in it counts as U+FFFD.
  void add(std::string_view text);

  // Learns merges until there are vocab_size tokens, or no pair is left. Throws Error{usage} where vocab_size cannot
  // hold 256 bytes and the special tokens, or where no text was added.
  Tokenizer train(int32_t vocab_size) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  TrainerOptions options_;
  PreTokenizer split_;
  PreTokenizer::Scratch scratch_;
  std::vector<uint32_t> ends_;
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> pieces_;  // piece: how often
};

Tokenizer train_bpe(std::span<const std::string_view> texts, int32_t vocab_size, const TrainerOptions& options = {});

}  // namespace ballast
