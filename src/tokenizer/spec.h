// What a tokenizer.json says, as plain data. tokenizer_json.h reads and writes it, trainer.h makes one, Tokenizer runs
// it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace ballast {

// Ids of the roles that the rest of the system asks for; -1 where the tokenizer has none.
struct ControlTokens {
  int32_t bos = -1, eos = -1, pad = -1, fim_begin = -1, fim_hole = -1, fim_end = -1;
};

// A token that is matched as a string before anything is split.
struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool special = false;     // the file's flag; whether a token is a control token does not depend on it alone
  bool normalized = false;  // matched after (true) or before (false) normalization: two passes, in this order
  bool control = false;     // never comes out of plain text
};

struct TokenizerSpec {
  std::vector<std::string> symbols;                 // by id, written in the byte-level alphabet; empty: a hole
  std::vector<std::pair<int32_t, int32_t>> merges;  // by rank; the result is the token of both texts joined
  bool ignore_merges = false;                       // a piece that is a token as a whole is not split first
  std::vector<AddedToken> added;                    // by id
  Json pre_tokenizer, decoder, post_processor;      // as in the file
  ControlTokens control;
  Json config;  // tokenizer_config.json, or null
};

}  // namespace ballast
