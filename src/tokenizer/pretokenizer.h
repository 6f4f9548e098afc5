// Pre-tokenizers: what cuts a text into the pieces that byte-pair encoding never crosses. A chain of steps, each of
// which cuts the pieces of the one before: Split (string or regular expression, every behavior), Digits, ByteLevel with
// GPT-2's expression.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tokenizer/regex.h"

namespace ballast {

// GPT-2's expression, the one of ByteLevel with use_regex.
extern const std::string_view kGpt2Pattern;
// That of this project's own tokenizers: letters with at most one leading character of another kind, single digits,
// runs of punctuation with the newlines behind them, runs of newlines, indentation less its last space.
extern const std::string_view kCodePattern;

// The "pre_tokenizer" sections they stand in.
Json gpt2_pre_tokenizer();
Json code_pre_tokenizer();

class PreTokenizer {
 public:
  struct Scratch {
    RegexScratch regex;
    std::vector<uint32_t> swap;
  };

  // `section` is a tokenizer.json's "pre_tokenizer". Component types and settings that are not known are refused by
  // name: Error{unsupported} with `where`.
  PreTokenizer(const Json& section, const std::string& where);

  // The end offsets of the pieces of `text`, ascending, the last one text.size(). The text must be valid UTF-8;
  // 4 GiB or more of it throw Error{unsupported}, as does a text of which Split would remove a part (Removed with
  // invert: all that the pattern does not match).
  void split(std::string_view text, std::vector<uint32_t>& ends, Scratch& scratch) const;

 private:
  enum class Behavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };
  struct Step {
    Regex regex;
    Behavior behavior = Behavior::isolated;
    bool invert = false;  // the pieces between the matches count as matches, and the matches as what is between
    std::string where;
  };

  void add_section(const Json& section, const std::string& where);
  void add_split(const Json& section, const std::string& where);
  static void run(const Step& step, std::string_view text, const std::vector<uint32_t>& in, std::vector<uint32_t>& out,
                  RegexScratch& scratch);

  std::vector<Step> steps_;
  bool ended_ = false;  // ByteLevel has come
};

}  // namespace ballast
