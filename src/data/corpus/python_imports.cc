#include "data/corpus/python_imports.h"

#include <algorithm>
#include <utility>

namespace ballast {
namespace {

enum class Kind : uint8_t { name, dot, comma, star, open, line_end, separator, other, end };

struct Token {
  Kind kind = Kind::end;
  std::string_view text;  // of a name
};

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Line ends inside of brackets, and colons and semicolons there, part no statements.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text), at_(text.starts_with("\xEF\xBB\xBF") ? 3 : 0) {}

  Token next() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (is_name(c)) {
        const size_t begin = at_;
        while (at_ < text_.size() && is_name(text_[at_])) ++at_;
        return {Kind::name, text_.substr(begin, at_ - begin)};
      }
      if (c == '#') {
        at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
      } else if (c == '\\') {
        skip_escaped();
      } else if (c == '"' || c == '\'') {
        skip_string(c);
        return {Kind::other, {}};
      } else {
        ++at_;
        if (const Kind kind = kind_of(c); kind != Kind::end) return {kind, {}};
      }
    }
    return {};
  }

 private:
  // Kind::end: a blank.
  Kind kind_of(char c) {
    switch (c) {
      case '(':
      case '[':
      case '{':
        ++depth_;
        return Kind::open;
      case ')':
      case ']':
      case '}':
        depth_ = std::max<int64_t>(0, depth_ - 1);
        return Kind::other;
      case '\n':
      case '\r':
        return depth_ == 0 ? Kind::line_end : Kind::end;
      case ':':
      case ';':
        return depth_ == 0 ? Kind::separator : Kind::other;
      case '.':
        return Kind::dot;
      case ',':
        return Kind::comma;
      case '*':
        return Kind::star;
      case ' ':
      case '\t':
      case '\f':
        return Kind::end;
      default:
        return Kind::other;
    }
  }

  // A backslash and what it escapes; a line end may be two characters.
  void skip_escaped() {
    const bool two = text_.substr(at_ + 1).starts_with("\r\n");
    at_ = std::min(at_ + (two ? 3 : 2), text_.size());
  }

  // Prefixes do not matter: also in r"\"" the quote after a backslash does not end the string. One in single quotes
  // ends with its line, so that a stray quote does no harm to the next.
  void skip_string(char quote) {
    const char three[] = {quote, quote, quote};
    const std::string_view end = text_.substr(at_).starts_with(std::string_view(three, 3)) ? std::string_view(three, 3)
                                                                                           : std::string_view(three, 1);
    at_ += end.size();
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (end.size() == 1 && (c == '\n' || c == '\r')) return;
      if (c == '\\') {
        skip_escaped();
      } else if (text_.substr(at_).starts_with(end)) {
        at_ += end.size();
        return;
      } else {
        ++at_;
      }
    }
  }

  std::string_view text_;
  size_t at_;
  int64_t depth_ = 0;  // of brackets
};

// Reads statements from their second token on. What each leaves in `token` is not its own.
class ImportReader {
 public:
  explicit ImportReader(std::string_view text) : tokens_(text) {}

  std::vector<PythonImport> read() {
    bool begins = true;  // a statement
    for (step(); token_.kind != Kind::end;) {
      if (begins && token_.text == "import") {
        read_modules();
      } else if (begins && token_.text == "from") {
        read_from();
      } else {
        begins = token_.kind == Kind::line_end || token_.kind == Kind::separator;
        step();
        continue;
      }
      begins = false;
    }
    return std::move(imports_);
  }

 private:
  void step() { token_ = tokens_.next(); }

  // a.b.c
  std::vector<std::string_view> dotted_name() {
    std::vector<std::string_view> parts;
    while (token_.kind == Kind::name) {
      parts.push_back(token_.text);
      step();
      if (token_.kind != Kind::dot) break;
      step();
    }
    return parts;
  }

  void skip_alias() {
    if (token_.text != "as") return;
    step();
    step();
  }

  void read_modules() {
    do {
      step();
      if (std::vector<std::string_view> module = dotted_name(); !module.empty())
        imports_.push_back({0, std::move(module), {}});
      skip_alias();
    } while (token_.kind == Kind::comma);
  }

  void read_from() {
    PythonImport import;
    for (step(); token_.kind == Kind::dot; step()) ++import.dots;
    if (token_.text != "import") import.module = dotted_name();
    if (token_.text != "import" || (import.dots == 0 && import.module.empty())) return;
    step();
    if (token_.kind == Kind::open) step();
    const bool all = token_.kind == Kind::star;
    while (token_.kind == Kind::name) {
      import.names.push_back(token_.text);
      step();
      skip_alias();
      if (token_.kind != Kind::comma) break;
      step();
    }
    if (all || !import.names.empty()) imports_.push_back(std::move(import));
  }

  Tokens tokens_;
  Token token_;
  std::vector<PythonImport> imports_;
};

}  // namespace

std::vector<PythonImport> python_imports(std::string_view text) { return ImportReader(text).read(); }

}  // namespace ballast
