// Regular expressions of tokenizer.json files. Those are written for Oniguruma (Ruby syntax); this compiles them with
// PCRE2 (UTF, UCP, JIT) after rewriting what the two read differently, and refuses what it cannot rewrite.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_real_jit_stack_8;

namespace ballast {

// What one thread needs while matching; usable with any Regex.
class RegexScratch {
 public:
  RegexScratch();
  ~RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;

 private:
  friend class Regex;
  void release();
  pcre2_real_match_data_8* data_;
  pcre2_real_match_context_8* context_;
  pcre2_real_jit_stack_8* stack_;
};

class Regex {
 public:
  // Throws Error{unsupported} or Error{format} naming `where`.
  Regex(std::string_view onigmo_pattern, const std::string& where);

  // The first match at or after `from`, as offsets. `text` must be valid UTF-8 and `from` at a character's start.
  bool find(std::string_view text, size_t from, size_t& begin, size_t& end, RegexScratch& scratch) const;

 private:
  std::shared_ptr<pcre2_real_code_8> code_;
  bool jit_ = false;
};

// The rewriting alone: \s, \S, \w by their Unicode properties (PCRE2's \s holds U+180E, its \w no marks), ^ and $ as
// the ends of lines, [A&&[^B]], scripts. What Ruby's syntax reads otherwise is refused: other letter escapes, other
// classes inside classes, {n,m}+.
std::string to_pcre2(std::string_view onigmo_pattern, const std::string& where);

// A pattern that matches `text` itself.
std::string quote_regex(std::string_view text);

}  // namespace ballast
