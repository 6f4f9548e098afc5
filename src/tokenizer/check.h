// Compares a tokenizer with ids that another implementation gave.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace ballast {

struct TokenizerCheck {
  struct Difference {
    int64_t index;  // of the text in the file, from 0
    std::string text;
    std::vector<int32_t> expected, found;
    bool decodes;  // decode(encode(text)) == text
  };
  int64_t texts = 0, equal = 0;
  std::vector<Difference> differences;  // the first ten
  bool okay() const { return texts > 0 && equal == texts; }
};

// vectors: a .jsonl file with {"text": "...", "ids": [...]} a line, or llama.cpp's pair of NAME.inp (texts, a line
// __ggml_vocab_test__ after each) and NAME.out (a line of ids each). A text also counts as different where decoding
// does not give it back. Throws Error{file, format}.
TokenizerCheck check_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& vectors);

}  // namespace ballast
