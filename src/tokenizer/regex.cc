#include "tokenizer/regex.h"

#include <algorithm>
#include <cstdint>
#include <new>

#include "base/error.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace ballast {
namespace {

constexpr size_t kFirstStack = 64 << 10, kLargestStack = 64 << 20;  // grows on demand; ordinary patterns need none
constexpr uint64_t kLeastSteps = 1 << 16, kStepsPerByte = 16;
constexpr size_t kLongestPattern = 16 << 10;  // the longest of the family has 600 bytes

// Ruby's \p{Han} is the script; PCRE2's would hold characters of several scripts too (Script_Extensions).
constexpr std::string_view kScripts[] = {"Han",    "Hiragana", "Katakana", "Hangul", "Latin", "Greek",     "Cyrillic",
                                         "Arabic", "Hebrew",   "Thai",     "Lao",    "Tamil", "Devanagari"};

std::string message_of(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

// Walks a pattern and rewrites it. One instance per pattern.
class Translator {
  static constexpr std::string_view kLineBegin = "(?:\\A|(?<=\\n)(?!\\z))", kLineEnd = "(?=\\n|\\z)";

 public:
  Translator(std::string_view pattern, const std::string& where) : in_(pattern), where_(where) {}

  std::string run() {
    // Blanks at a line's end (DeepSeek-V2). As written, each blank of a run that ends elsewhere would be tried with all
    // that follow it; if the first fails, so do the others, hence only the first is tried.
    if (in_ == R"(\s+$)") return std::string("(?<!\\p{White_Space})\\p{White_Space}+") + std::string(kLineEnd);
    while (i_ < in_.size()) {
      const char c = in_[i_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        inside_class(c);
      } else {
        outside_class(c);
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorKind::unsupported, where_, "the regular expression {} uses {}, which is not supported", in_, what);
  }

  bool next_is(std::string_view text) const { return in_.substr(i_, text.size()) == text; }

  void outside_class(char c) {
    if (c == '[') {
      in_class_ = true;
      class_begin_ = out_.size();
      out_ += in_[i_++];
      negated_ = next_is("^");
      if (negated_) out_ += in_[i_++];
      if (next_is("]")) refuse("']' as the first character of a class");
      return;
    }
    if (c == '^' || c == '$') {  // Ruby's always mean lines; $ also holds at the end behind a newline, ^ does not
      out_ += c == '^' ? kLineBegin : kLineEnd;
      ++i_;
      return;
    }
    if (c == '}' && i_ + 1 < in_.size() && in_[i_ + 1] == '+') refuse("a possessive {n,m}+");
    if (c == '(' && next_is("(?") && i_ + 2 < in_.size()) {
      const char kind = in_[i_ + 2];
      if (std::string_view(":=!<>i").find(kind) == std::string_view::npos)
        refuse("a group of another kind than (?: (?= (?! (?< (?> (?i");
    }
    out_ += c;
    ++i_;
  }

  void inside_class(char c) {
    if (c == '[') refuse("a class inside a class");
    if (c == '&' && next_is("&&")) return subtract();
    if (c != ']') {
      out_ += c;
      ++i_;
      return;
    }
    in_class_ = false;
    out_ += in_[i_++];
    if (minuend_.empty()) return;
    if (!next_is("]")) refuse("an intersection of classes that goes on behind [^...]");
    ++i_;
    out_ += ")" + minuend_ + "])";
    minuend_.clear();
  }

  // [A&&[^B]], at the &&: what is in A and not in B. PCRE2 has no such classes: (?:(?![B])[A]).
  void subtract() {
    if (negated_ || !minuend_.empty() || !next_is("&&[^")) refuse("an intersection of classes other than [A&&[^B]]");
    minuend_ = out_.substr(class_begin_);
    out_.resize(class_begin_);
    out_ += "(?:(?![";
    i_ += std::string_view("&&[^").size();
  }

  void escape() {
    if (i_ + 1 == in_.size()) fail(ErrorKind::format, where_, "the regular expression {} ends in a backslash", in_);
    const char c = in_[i_ + 1];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    i_ += 2;
    if (c == 's') {
      out_ += "\\p{White_Space}";
    } else if (c == 'S') {
      out_ += "\\P{White_Space}";
    } else if (c == 'w') {
      constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
      out_ += in_class_ ? std::string(kWord) : "[" + std::string(kWord) + "]";
    } else if (c == 'u') {
      unicode_escape();
    } else if (!letter || std::string_view("dDpPrntfx").find(c) != std::string_view::npos) {
      out_ += {'\\', c};
      if (next_is("{") && (c == 'p' || c == 'P' || c == 'x')) {
        const size_t close = in_.find('}', i_);
        if (close == std::string_view::npos)
          fail(ErrorKind::format, where_, "the regular expression {} lacks a }}", in_);
        const std::string_view name = in_.substr(i_ + 1, close - i_ - 1);
        const bool script = c != 'x' && std::find(std::begin(kScripts), std::end(kScripts), name) != std::end(kScripts);
        out_ += (script ? "{sc:" : "{") + std::string(name) + "}";
        i_ = close + 1;
      }
    } else {
      refuse(std::string("the escape \\") + c);
    }
  }

  void unicode_escape() {  // \uHHHH
    const std::string_view digits = in_.substr(i_, 4);
    if (digits.size() < 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
      fail(ErrorKind::format, where_, "the regular expression {} has a \\u without four hexadecimal digits", in_);
    out_ += "\\x{" + std::string(digits) + "}";
    i_ += 4;
  }

  const std::string_view in_;
  const std::string& where_;
  size_t i_ = 0;
  bool in_class_ = false, negated_ = false;
  size_t class_begin_ = 0;  // in out_
  std::string minuend_;     // "[A" while the B of [A&&[^B]] is read
  std::string out_;
};

}  // namespace

RegexScratch::RegexScratch()
    : data_(pcre2_match_data_create(1, nullptr)),
      context_(pcre2_match_context_create(nullptr)),
      stack_(pcre2_jit_stack_create(kFirstStack, kLargestStack, nullptr)) {
  if (!data_ || !context_ || !stack_) {
    release();
    throw std::bad_alloc();
  }
  pcre2_jit_stack_assign(context_, nullptr, stack_);
}

RegexScratch::~RegexScratch() { release(); }

void RegexScratch::release() {
  pcre2_match_data_free(data_);
  pcre2_match_context_free(context_);
  pcre2_jit_stack_free(stack_);
}

std::string to_pcre2(std::string_view onigmo_pattern, const std::string& where) {
  return Translator(onigmo_pattern, where).run();
}

std::string quote_regex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= 0x20 && c < 0x7F && !(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z'))
      out += '\\';
    out += c;
  }
  return out;
}

Regex::Regex(std::string_view onigmo_pattern, const std::string& where) {
  if (onigmo_pattern.size() > kLongestPattern)
    fail(ErrorKind::unsupported, where, "a regular expression of {} bytes (at most {})", onigmo_pattern.size(),
         kLongestPattern);
  const std::string pattern = to_pcre2(onigmo_pattern, where);
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                       PCRE2_UTF | PCRE2_UCP, &code, &offset, nullptr);
  if (!compiled && code == PCRE2_ERROR_HEAP_FAILED) throw std::bad_alloc();
  if (!compiled)
    fail(ErrorKind::format, where, "the regular expression {} does not compile: {} (at byte {} of {})", onigmo_pattern,
         message_of(code), offset, pattern);
  code_ = std::shared_ptr<pcre2_code>(compiled, pcre2_code_free);
  jit_ = pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE) == 0;  // without JIT (no such CPU) matching is only slower
}

bool Regex::find(std::string_view text, size_t from, size_t& begin, size_t& end, RegexScratch& scratch) const {
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  // Backtracking over one run is linear in the text; a pattern that needs far more than that would never end.
  const uint64_t limit = kLeastSteps + kStepsPerByte * uint64_t{text.size()};
  pcre2_set_match_limit(scratch.context_, static_cast<uint32_t>(std::min<uint64_t>(limit, UINT32_MAX)));
  const int code =
      jit_ ? pcre2_jit_match(code_.get(), subject, text.size(), from, 0, scratch.data_, scratch.context_)
           : pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, scratch.data_, scratch.context_);
  if (code == PCRE2_ERROR_NOMATCH) return false;
  if (code < 0) fail(ErrorKind::unsupported, "regular expression", "matching failed: {}", message_of(code));
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(scratch.data_);
  begin = offsets[0];
  end = offsets[1];
  return true;
}

}  // namespace ballast
