#include <algorithm>
#include <charconv>
#include <cstdint>

#include "tokenizer/jinja_tree.h"

namespace ballast::jinja {
namespace {

constexpr int kMostNesting = 100, kMostDepth = 500;
constexpr std::string_view kBlanks = " \t\n\r\f\v";

struct Token {
  enum class Kind { text, block_begin, block_end, print_begin, print_end, name, string, number, symbol, end };
  Kind kind;
  std::string text;
  Json value;  // of strings and numbers
  int line;
};
using Kind = Token::Kind;

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr uint8_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kLead[more] | c >> (6 * more));
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | (c >> (6 * i) & 0x3F));
}

// Text and tags to tokens. Newlines are \n, and one at the very end is dropped, as Jinja does it.
class Lexer {
 public:
  Lexer(std::string_view source, const std::string& where) : where_(where) {
    for (size_t i = 0; i < source.size(); ++i) {
      if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
      in_ += source[i] == '\r' ? '\n' : source[i];
    }
    if (in_.ends_with('\n')) in_.pop_back();
  }

  std::vector<Token> run() {
    while (i_ < in_.size()) template_text();
    add(Kind::end, "");
    return std::move(out_);
  }

 private:
  std::string place() const { return where_ + ":" + std::to_string(line_); }
  bool next_is(std::string_view text) const { return std::string_view(in_).substr(i_, text.size()) == text; }
  void add(Kind kind, std::string text, Json value = {}) {
    out_.push_back({kind, std::move(text), std::move(value), line_});
  }
  void advance(size_t to) {
    line_ += static_cast<int>(std::count(in_.begin() + static_cast<std::ptrdiff_t>(i_),
                                         in_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    i_ = to;
  }

  void template_text() {
    size_t open = i_;
    do {
      open = in_.find('{', open);
    } while (open != std::string::npos &&
             (open + 1 == in_.size() || std::string_view("%{#").find(in_[open + 1]) == std::string_view::npos) && ++open);
    std::string text = in_.substr(i_, open == std::string::npos ? open : open - i_);
    const bool line_starts = i_ == 0 || in_[i_ - 1] == '\n';
    advance(open == std::string::npos ? in_.size() : open);
    if (open == std::string::npos) return add(Kind::text, std::move(text));
    const char kind = in_[open + 1], sign = open + 2 < in_.size() ? in_[open + 2] : '\0';
    if (sign == '-') {
      text.resize(text.find_last_not_of(kBlanks) + 1);
    } else if (sign != '+' && kind != '{') {  // lstrip_blocks
      const size_t line = text.rfind('\n') + 1;
      if ((line > 0 || line_starts) && text.find_first_not_of(kBlanks, line) == std::string::npos) text.resize(line);
    }
    if (!text.empty()) add(Kind::text, std::move(text));
    i_ += sign == '-' || (sign == '+' && kind != '{') ? 3 : 2;
    if (kind == '#') {
      const size_t close = in_.find("#}", i_);
      if (close == std::string::npos) fail(ErrorKind::format, place(), "a comment {{# without #}}");
      advance(close);
      close_tag(in_[close - 1] == '-', true);
    } else {
      tag(kind == '%');
    }
  }

  // At "%}", "}}" or "#}". Behind a "-" all blanks go, otherwise behind a block or comment one newline (trim_blocks).
  void close_tag(bool strip, bool trim) {
    i_ += 2;
    size_t to = i_;
    if (strip) {
      to = std::min(in_.find_first_not_of(kBlanks, i_), in_.size());
    } else if (trim && next_is("\n")) {
      to = i_ + 1;
    }
    advance(to);
  }

  void tag(bool block) {
    const std::string close = block ? "%}" : "}}";
    add(block ? Kind::block_begin : Kind::print_begin, "");
    int depth = 0;
    while (true) {
      advance(std::min(in_.find_first_not_of(kBlanks, i_), in_.size()));
      if (i_ == in_.size()) fail(ErrorKind::format, place(), "a tag without {}", close);
      const char sign = in_[i_];
      const bool is_signed = (sign == '-' || (sign == '+' && block)) && in_.compare(i_ + 1, 2, close) == 0;
      if (depth == 0 && (is_signed || next_is(close))) {
        add(block ? Kind::block_end : Kind::print_end, "");
        i_ += is_signed;
        return close_tag(is_signed && sign == '-', block && !is_signed);
      }
      token(depth);
    }
  }

  void token(int& depth) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    const char c = in_[i_];
    size_t end = i_;
    if (letter(c)) {
      while (end < in_.size() && (letter(in_[end]) || digit(in_[end]))) ++end;
      add(Kind::name, in_.substr(i_, end - i_));
      i_ = end;
    } else if (digit(c)) {
      number();
    } else if (c == '\'' || c == '"') {
      string(c);
    } else {
      for (const std::string_view symbol : {"==", "!=", "<=", ">=", "//", "**"})
        if (next_is(symbol)) return add(Kind::symbol, std::string(symbol)), void(i_ += 2);
      if (std::string_view("=<>+-*/%~|.,:()[]{}").find(c) == std::string_view::npos)
        fail(ErrorKind::format, place(), "unexpected '{}' in a tag", c);
      depth += c == '(' || c == '[' || c == '{';
      depth -= c == ')' || c == ']' || c == '}';
      add(Kind::symbol, std::string(1, c));
      ++i_;
    }
  }

  void number() {
    size_t end = in_.find_first_not_of("0123456789", i_);
    if (end == std::string::npos) end = in_.size();
    const bool fraction = end + 1 < in_.size() && in_[end] == '.' && in_[end + 1] >= '0' && in_[end + 1] <= '9';
    if (fraction) end = std::min(in_.find_first_not_of("0123456789", end + 1), in_.size());
    int64_t whole = 0;
    double real = 0;
    const char *first = in_.data() + i_, *last = in_.data() + end;
    const auto [stop, error] = fraction ? std::from_chars(first, last, real) : std::from_chars(first, last, whole);
    if (error != std::errc() || stop != last) fail(ErrorKind::format, place(), "a number that is out of range");
    add(Kind::number, "", fraction ? Json(real) : Json(whole));
    i_ = end;
  }

  void string(char quote) {
    std::string text;
    size_t i = i_ + 1;
    for (; i < in_.size() && in_[i] != quote; ++i) {
      if (in_[i] != '\\') {
        text += in_[i];
        continue;
      }
      if (++i == in_.size()) break;
      constexpr std::string_view kLetters = "ntrfvab0", kMeanings("\n\t\r\f\v\a\b\0", 8);
      const size_t known = kLetters.find(in_[i]);
      if (const size_t digits = in_[i] == 'x' ? 2 : in_[i] == 'u' ? 4 : 0; digits > 0) {
        uint32_t c = 0;
        const char *first = in_.data() + i + 1, *last = in_.data() + std::min(i + 1 + digits, in_.size());
        if (std::from_chars(first, last, c, 16).ptr != first + digits || (c >= 0xD800 && c < 0xE000))
          fail(ErrorKind::format, place(), "a \\{} that is no character", in_[i]);
        append_utf8(text, c);
        i += digits;
      } else if (known != std::string_view::npos) {
        text += kMeanings[known];
      } else if (in_[i] != '\n') {
        if (in_[i] != '\\' && in_[i] != '\'' && in_[i] != '"') text += '\\';
        text += in_[i];
      }
    }
    if (i >= in_.size()) fail(ErrorKind::format, place(), "a string without its closing {}", quote);
    add(Kind::string, "", std::move(text));
    advance(i + 1);
  }

  const std::string& where_;
  std::string in_;
  size_t i_ = 0;
  int line_ = 1;
  std::vector<Token> out_;
};

class Parser {
 public:
  Parser(std::vector<Token> tokens, const std::string& where) : tokens_(std::move(tokens)), where_(where) {}

  StatementPtr run() {
    auto root = std::make_unique<Statement>(Statement{.kind = Statement::Kind::block});
    root->body = statements({});
    return root;
  }

 private:
  struct Nesting {
    explicit Nesting(Parser& p) : parser(p) {
      if (++p.nesting_ > kMostNesting) fail(ErrorKind::unsupported, p.place(), "nested deeper than {}", kMostNesting);
    }
    ~Nesting() { --parser.nesting_; }
    Parser& parser;
  };

  const Token& now() const { return tokens_[i_]; }
  std::string place() const { return where_ + ":" + std::to_string(now().line); }
  bool is(Kind kind, std::string_view text) const { return now().kind == kind && now().text == text; }
  bool symbol(std::string_view text) const { return is(Kind::symbol, text); }
  bool word(std::string_view text) const { return is(Kind::name, text); }
  bool take_symbol(std::string_view text) { return symbol(text) && ++i_; }
  bool take_word(std::string_view text) { return word(text) && ++i_; }
  [[noreturn]] void unexpected(std::string_view wanted) const {
    fail(ErrorKind::format, place(), "expected {}, found {}", wanted,
         now().kind == Kind::end ? "the end" : now().text.empty() ? "the end of the tag" : "'" + now().text + "'");
  }
  void need(std::string_view text) {
    if (!take_symbol(text)) unexpected("'" + std::string(text) + "'");
  }
  std::string need_name() {
    if (now().kind != Kind::name) unexpected("a name");
    return tokens_[i_++].text;
  }
  void close_block() {
    if (now().kind != Kind::block_end) unexpected("%}");
    ++i_;
  }

  // Up to a block whose first word is one of `ends`, which is left at that word; to the end where there are none.
  std::vector<StatementPtr> statements(std::initializer_list<std::string_view> ends) {
    const Nesting nesting(*this);
    std::vector<StatementPtr> out;
    while (true) {
      const Token& t = now();
      ++i_;
      if (t.kind == Kind::text) {
        out.push_back(std::make_unique<Statement>(Statement{.kind = Statement::Kind::text, .text = t.text}));
      } else if (t.kind == Kind::print_begin) {
        auto print = std::make_unique<Statement>(Statement{.kind = Statement::Kind::print});
        print->value = expression();
        if (now().kind != Kind::print_end) unexpected("}}");
        ++i_;
        out.push_back(std::move(print));
      } else if (t.kind == Kind::block_begin) {
        if (now().kind == Kind::name && std::find(ends.begin(), ends.end(), now().text) != ends.end()) return out;
        out.push_back(statement());
      } else {
        --i_;
        if (ends.size() > 0) unexpected(fmt::format("{{% {} %}}", *(ends.end() - 1)));
        return out;
      }
    }
  }

  StatementPtr statement() {
    const std::string keyword = need_name();
    if (keyword == "if") return choice();
    if (keyword == "for") return loop();
    if (keyword == "set") return set();
    --i_;
    fail(ErrorKind::unsupported, place(), "the statement '{}' is not known (if, for and set are)", keyword);
  }

  StatementPtr choice() {  // behind "if" or "elif"
    const Nesting nesting(*this);
    auto s = std::make_unique<Statement>(Statement{.kind = Statement::Kind::choice});
    s->value = expression();
    close_block();
    s->body = statements({"elif", "else", "endif"});
    if (take_word("elif")) {
      s->otherwise.push_back(choice());
      return s;  // the innermost took the endif
    }
    if (take_word("else")) {
      close_block();
      s->otherwise = statements({"endif"});
    }
    ++i_;
    close_block();
    return s;
  }

  StatementPtr loop() {
    auto s = std::make_unique<Statement>(Statement{.kind = Statement::Kind::loop});
    do s->names.push_back(need_name());
    while (take_symbol(","));
    if (!take_word("in")) unexpected("'in'");
    s->value = logical_or();
    if (take_word("if")) s->condition = expression();
    close_block();
    s->body = statements({"else", "endfor"});
    if (take_word("else")) {
      close_block();
      s->otherwise = statements({"endfor"});
    }
    ++i_;
    close_block();
    return s;
  }

  StatementPtr set() {
    auto s = std::make_unique<Statement>(Statement{.kind = Statement::Kind::set});
    s->names.push_back(need_name());
    if (take_symbol(".")) s->names.push_back(need_name());
    if (take_symbol("=")) {
      s->value = expression();
      close_block();
      return s;
    }
    close_block();
    s->body = statements({"endset"});
    ++i_;
    close_block();
    return s;
  }

  template <class... Children>
  ExpressionPtr make(Expression::Kind kind, std::string name, Children... children) const {
    auto e = std::make_unique<Expression>(Expression{.kind = kind, .name = std::move(name), .line = now().line});
    (adopt(*e, std::move(children)), ...);
    return e;
  }

  // Long chains of operators are deep trees, too.
  void adopt(Expression& e, ExpressionPtr child) const {
    if (child) e.depth = std::max(e.depth, child->depth + 1);
    if (e.depth > kMostDepth) fail(ErrorKind::unsupported, place(), "an expression deeper than {}", kMostDepth);
    e.children.push_back(std::move(child));
  }

  ExpressionPtr expression() {
    const Nesting nesting(*this);
    ExpressionPtr e = logical_or();
    while (take_word("if")) {
      ExpressionPtr condition = logical_or();
      ExpressionPtr otherwise = take_word("else") ? expression() : nullptr;
      e = make(Expression::Kind::choice, "", std::move(condition), std::move(e), std::move(otherwise));
    }
    return e;
  }

  ExpressionPtr logical_or() {
    ExpressionPtr e = logical_and();
    while (take_word("or")) e = make(Expression::Kind::binary, "or", std::move(e), logical_and());
    return e;
  }

  ExpressionPtr logical_and() {
    ExpressionPtr e = negation();
    while (take_word("and")) e = make(Expression::Kind::binary, "and", std::move(e), negation());
    return e;
  }

  ExpressionPtr negation() {
    const Nesting nesting(*this);
    if (take_word("not")) return make(Expression::Kind::unary, "not", negation());
    return comparison();
  }

  ExpressionPtr comparison() {
    ExpressionPtr e = sum();
    for (bool first = true;; first = false) {
      std::string op;
      for (const std::string_view known : {"==", "!=", "<", "<=", ">", ">="})
        if (symbol(known)) op = known;
      if (word("in")) op = "in";
      if (word("not") && tokens_[i_ + 1].kind == Kind::name && tokens_[i_ + 1].text == "in") op = "not in";
      if (op.empty()) return e;
      if (!first) fail(ErrorKind::unsupported, place(), "a chain of comparisons");
      i_ += op == "not in" ? 2 : 1;
      e = make(Expression::Kind::binary, op, std::move(e), sum());
    }
  }

  ExpressionPtr sum() {
    ExpressionPtr e = concatenation();
    while (symbol("+") || symbol("-")) {
      const std::string op = tokens_[i_++].text;
      e = make(Expression::Kind::binary, op, std::move(e), concatenation());
    }
    return e;
  }

  ExpressionPtr concatenation() {
    ExpressionPtr e = product();
    while (take_symbol("~")) e = make(Expression::Kind::binary, "~", std::move(e), product());
    return e;
  }

  ExpressionPtr product() {
    ExpressionPtr e = unary(true);
    while (symbol("*") || symbol("/") || symbol("//") || symbol("%")) {
      const std::string op = tokens_[i_++].text;
      e = make(Expression::Kind::binary, op, std::move(e), unary(true));
    }
    return e;
  }

  ExpressionPtr unary(bool filters) {
    const Nesting nesting(*this);
    ExpressionPtr e;
    if (symbol("-") || symbol("+")) {
      const std::string op = tokens_[i_++].text;
      e = make(Expression::Kind::unary, op, unary(false));
    } else {
      e = postfix(primary());
    }
    return filters ? filtered(std::move(e)) : std::move(e);
  }

  ExpressionPtr primary() {
    const Token& t = now();
    if (t.kind == Kind::number || t.kind == Kind::string) {
      ++i_;
      ExpressionPtr e = make(Expression::Kind::literal, "");
      e->value = t.value;
      while (t.kind == Kind::string && now().kind == Kind::string)  // neighbors are one
        e->value = e->value.as_string() + tokens_[i_++].value.as_string();
      return e;
    }
    if (t.kind == Kind::name) {
      ++i_;
      ExpressionPtr e = make(Expression::Kind::literal, t.text);
      if (t.text == "true" || t.text == "True" || t.text == "false" || t.text == "False") {
        e->value = t.text == "true" || t.text == "True";
      } else if (t.text != "none" && t.text != "None") {
        e->kind = Expression::Kind::name;
      }
      return e;
    }
    if (take_symbol("(")) {
      ExpressionPtr e = expression();
      if (symbol(",")) fail(ErrorKind::unsupported, place(), "a tuple");
      need(")");
      return e;
    }
    if (take_symbol("[")) return items(make(Expression::Kind::list, ""), "]", false);
    if (take_symbol("{")) return items(make(Expression::Kind::dict, ""), "}", true);
    unexpected("a value");
  }

  ExpressionPtr items(ExpressionPtr e, std::string_view close, bool pairs) {
    while (!take_symbol(close)) {
      if (!e->children.empty()) need(",");
      if (take_symbol(close)) break;
      adopt(*e, expression());
      if (!pairs) continue;
      need(":");
      adopt(*e, expression());
    }
    return e;
  }

  ExpressionPtr postfix(ExpressionPtr e) {
    while (true) {
      if (take_symbol(".")) {
        e = make(Expression::Kind::attribute, need_name(), std::move(e));
      } else if (take_symbol("[")) {
        e = subscript(std::move(e));
      } else if (take_symbol("(")) {
        e = make(Expression::Kind::call, "", std::move(e));
        arguments(*e);
      } else {
        return e;
      }
    }
  }

  ExpressionPtr subscript(ExpressionPtr object) {
    ExpressionPtr parts[3];
    int colons = 0;
    while (!take_symbol("]")) {
      if (take_symbol(":")) {
        if (++colons > 2) unexpected("']'");
      } else if (parts[colons]) {
        unexpected("']'");
      } else {
        parts[colons] = expression();
      }
    }
    if (colons > 0)
      return make(Expression::Kind::slice, "", std::move(object), std::move(parts[0]), std::move(parts[1]),
                  std::move(parts[2]));
    if (!parts[0]) unexpected("an index");
    return make(Expression::Kind::item, "", std::move(object), std::move(parts[0]));
  }

  void arguments(Expression& e) {  // behind "("
    for (bool first = true; !take_symbol(")"); first = false) {
      if (!first) need(",");
      if (take_symbol(")")) break;
      const bool keyword = now().kind == Kind::name && tokens_[i_ + 1].kind == Kind::symbol && tokens_[i_ + 1].text == "=";
      if (!keyword) {
        adopt(e, expression());
        continue;
      }
      const std::string name = need_name();
      ++i_;
      e.keywords.emplace_back(name, expression());
      e.depth = std::max(e.depth, e.keywords.back().second->depth + 1);
    }
  }

  ExpressionPtr filtered(ExpressionPtr e) {
    while (true) {
      if (take_symbol("|")) {
        e = make(Expression::Kind::filter, need_name(), std::move(e));
        if (take_symbol("(")) arguments(*e);
      } else if (take_word("is")) {
        const bool negated = take_word("not");
        e = make(Expression::Kind::test, need_name(), std::move(e));
        if (negated) e = make(Expression::Kind::unary, "not", std::move(e));
      } else {
        return e;
      }
    }
  }

  std::vector<Token> tokens_;
  const std::string& where_;
  size_t i_ = 0;
  int nesting_ = 0;
};

}  // namespace

StatementPtr parse(std::string_view source, const std::string& where) {
  return Parser(Lexer(source, where).run(), where).run();
}

}  // namespace ballast::jinja
