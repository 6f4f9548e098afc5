// Byte-level BPE as Hugging Face's tokenizer.json describes it: text to ids and back. Plain text never becomes a
// control token (BOS, EOS, padding, FIM, chat), whatever it spells.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/spec.h"

namespace ballast {

// Immutable; copies share their tables. All const functions may run in several threads at once.
class Tokenizer {
 public:
  // Reads tokenizer.json, named or in the folder named, and what is beside it: tokenizer_config.json and
  // chat_template.jinja. Throws Error{file, format, unsupported} naming file and key.
  static Tokenizer load(const std::filesystem::path& file_or_folder);
  explicit Tokenizer(TokenizerSpec spec, const std::string& where = "tokenizer");

  // Writes tokenizer.json and the tokenizer_config.json beside it.
  void save(const std::filesystem::path& tokenizer_json) const;

  // Text to ids; never the id of a control token. Bytes that are not UTF-8 are pieces of their own.
  std::vector<int32_t> encode(std::string_view utf8) const;
  // The same, but control strings (leftmost first, the longest where several begin) become their tokens.
  std::vector<int32_t> encode_with_control(std::string_view utf8) const;
  // encode() that appends to `out`.
  void encode(std::string_view utf8, std::vector<int32_t>& out) const;

  // Ids to bytes: decode(encode(s)) == s for valid UTF-8. Control tokens give their strings; ids that do not exist give
  // nothing. A part of a text may end inside a character.
  std::string decode(std::span<const int32_t> ids) const;
  // The bytes of one token, empty for an id that does not exist. Lives as long as the tokenizer.
  std::string_view token_bytes(int32_t id) const;

  int32_t vocab_size() const;  // the largest id + 1; with holes it is more than the number of tokens
  // The token whose bytes are `text`; an added token before one of the vocabulary.
  std::optional<int32_t> token_id(std::string_view text) const;

  const ControlTokens& control() const;
  std::vector<std::string> control_strings() const;  // all of them, by id
  bool is_control(int32_t id) const;
  const TokenizerSpec& spec() const;

 private:
  struct Tables;
  std::shared_ptr<const Tables> tables_;
};

}  // namespace ballast
