// What the data path needs to know of a tokenizer.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace ballast {

struct TextEncoder {
  std::function<std::vector<int32_t>(std::string_view)> encode;  // plain text only: never yields a control token
  ControlTokens control;
  int64_t vocab_size = 0;
  std::string hash;  // sha256 of tokenizer.json
};

inline TextEncoder text_encoder(const Tokenizer& tokenizer, std::string hash) {
  return {[tokenizer](std::string_view text) { return tokenizer.encode(text); }, tokenizer.control(),
          tokenizer.vocab_size(), std::move(hash)};
}

}  // namespace ballast
