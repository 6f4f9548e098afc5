// What a template is once parsed, and what its values are. For jinja*.cc alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace ballast::jinja {

using Value = std::optional<Json>;  // nothing: undefined

// `name` and `children` by kind:
//   literal: value          name: name            list: items               dict: key, value, key, value, ...
//   attribute: object, .name    item: object, key     slice: object, begin, end, step (each may be null)
//   call: callee (a name or an attribute), arguments; keywords    filter: name, input, arguments; keywords
//   test: name, input       unary: "not" "-" "+"     binary: the operator's text    choice: condition, then, else or null
struct Expression {
  enum class Kind { literal, name, list, dict, attribute, item, slice, call, filter, test, unary, binary, choice };
  Kind kind;
  std::string name;
  Json value;
  std::vector<std::unique_ptr<Expression>> children;
  std::vector<std::pair<std::string, std::unique_ptr<Expression>>> keywords;
  int line = 0, depth = 1;  // depth: of the tree from here down
};
using ExpressionPtr = std::unique_ptr<Expression>;

//   block: body     text: text     print: value     choice: value, body, otherwise
//   loop: names, value, condition or null, body, otherwise (of an empty list)
//   set: names[0] [. names[1]] = value, or the rendered body where value is null
struct Statement {
  enum class Kind { block, text, print, choice, loop, set };
  Kind kind;
  std::string text;
  std::vector<std::string> names;
  ExpressionPtr value, condition;
  std::vector<std::unique_ptr<Statement>> body, otherwise;
};
using StatementPtr = std::unique_ptr<Statement>;

StatementPtr parse(std::string_view source, const std::string& where);

constexpr size_t kMostBytes = 16 << 20;  // of any text that a template makes

// What operators, filters, tests and methods do with values. `where` is the template's name and line.
bool is_true(const Value& v);
std::string to_text(const Value& v, const std::string& where);  // as Python prints it
Value binary(const std::string& op, const Value& a, const Value& b, const std::string& where);
Value item_of(const Value& object, const Value& key, const std::string& where);
Value slice_of(const Value& object, const Value& begin, const Value& end, const Value& step, const std::string& where);
Value filter(const std::string& name, const Value& input, const std::vector<Value>& arguments, const std::string& where);
bool test(const std::string& name, const Value& input, const std::string& where);
Value method(const Value& object, const std::string& name, const std::vector<Value>& arguments,
             const std::string& where);

}  // namespace ballast::jinja
