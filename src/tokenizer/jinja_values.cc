// What operators, filters, tests and methods do, as in Python and Jinja 3.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/utf8.h"
#include "tokenizer/jinja_tree.h"

namespace ballast::jinja {
namespace {

constexpr std::string_view kBlanks = " \t\n\r\f\v";

const char* type_of(const Value& v) { return v ? v->type_name() : "undefined"; }

[[noreturn]] void misfit(const std::string& what, const Value& v, const std::string& where) {
  fail(ErrorKind::usage, where, "{} of {}", what, type_of(v));
}

const std::string& text_of(const Value& v, const std::string& what, const std::string& where) {
  if (!v || !v->is_string()) misfit(what, v, where);
  return v->as_string();
}

std::string limited(std::string text, const std::string& where) {
  if (text.size() > kMostBytes) fail(ErrorKind::unsupported, where, "a text of more than {} bytes", kMostBytes);
  return text;
}

std::string strip(std::string_view text, std::string_view what, bool left, bool right) {
  size_t begin = left ? text.find_first_not_of(what) : 0;
  if (begin == std::string_view::npos) return "";
  const size_t end = right ? text.find_last_not_of(what) + 1 : text.size();
  return std::string(text.substr(begin, std::max(begin, end) - begin));
}

std::string ascii_case(std::string text, bool upper, const std::string& where) {
  for (char& c : text) {
    if (static_cast<uint8_t>(c) >= 0x80) fail(ErrorKind::unsupported, where, "upper and lower of non-ASCII text");
    if (upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z') c = static_cast<char>(c ^ 0x20);
  }
  return text;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to, const std::string& where) {
  if (from.empty()) fail(ErrorKind::unsupported, where, "replace of the empty string");
  std::string out;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
    out += text.substr(0, at);
    out += to;
    text.remove_prefix(at + from.size());
    limited(out, where);
  }
  return out + std::string(text);
}

Json::Array characters(std::string_view text) {
  Json::Array out;
  while (!text.empty()) {
    const int length = std::max(1, utf8_length(text));
    out.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return out;
}

Json::Array split(const std::string& text, const std::vector<Value>& arguments, const std::string& where) {
  if (arguments.empty()) fail(ErrorKind::unsupported, where, "split without a separator");
  const std::string& separator = text_of(arguments[0], "split by", where);
  if (separator.empty()) fail(ErrorKind::usage, where, "split by the empty string");
  int64_t most = arguments.size() > 1 && arguments[1] ? arguments[1]->as_int(where) : -1;
  Json::Array out;
  std::string_view rest = text;
  for (size_t at = rest.find(separator); at != std::string_view::npos && most-- != 0; at = rest.find(separator)) {
    out.emplace_back(rest.substr(0, at));
    rest.remove_prefix(at + separator.size());
  }
  out.emplace_back(rest);
  return out;
}

size_t length_of(const Value& v, const std::string& where) {
  if (!v) return 0;
  if (v->is_array()) return v->as_array().size();
  if (v->is_object()) return v->as_object().size();
  return characters(text_of(v, "the length", where)).size();
}

bool equal(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) return a.as_double() == b.as_double();
  if (a.is_array() && b.is_array())
    return std::equal(a.as_array().begin(), a.as_array().end(), b.as_array().begin(), b.as_array().end(), equal);
  return std::string_view(a.type_name()) == b.type_name() && a.dump() == b.dump();
}

bool contains(const Value& list, const Value& item, const std::string& where) {
  if (list && list->is_string()) return list->as_string().find(text_of(item, "'in'", where)) != std::string::npos;
  if (list && list->is_object()) return item && item->is_string() && list->find(item->as_string());
  if (list && list->is_array()) {
    const Json::Array& items = list->as_array();
    return item && std::any_of(items.begin(), items.end(), [&](const Json& other) { return equal(other, *item); });
  }
  misfit("'in'", list, where);
}

Value arithmetic(const std::string& op, const Json& a, const Json& b, const std::string& where) {
  const double x = a.as_double(where), y = b.as_double(where);
  if ((op == "/" || op == "//" || op == "%") && y == 0) fail(ErrorKind::usage, where, "a division by zero");
  double result = 0;
  if (op == "+") result = x + y;
  if (op == "-") result = x - y;
  if (op == "*") result = x * y;
  if (op == "/") return Json(x / y);
  if (op == "//") result = std::floor(x / y);
  if (op == "%") result = x - y * std::floor(x / y);
  if (!a.is_int() || !b.is_int()) return Json(result);
  constexpr double kExact = 9007199254740992.0;  // beyond 2^53 the double is not the integer
  if (std::abs(result) > kExact) fail(ErrorKind::unsupported, where, "integers beyond 2^53");
  return Json(static_cast<int64_t>(result));
}

}  // namespace

bool is_true(const Value& v) {
  if (!v || v->is_null()) return false;
  if (v->is_bool()) return v->as_bool();
  if (v->is_number()) return v->as_double() != 0;
  if (v->is_string()) return !v->as_string().empty();
  return v->is_array() ? !v->as_array().empty() : !v->as_object().empty();
}

std::string to_text(const Value& v, const std::string& where) {
  if (!v) return "";
  if (v->is_string()) return v->as_string();
  if (v->is_null()) return "None";
  if (v->is_bool()) return v->as_bool() ? "True" : "False";
  if (v->is_number()) return v->dump();
  fail(ErrorKind::unsupported, where, "printing {}", v->type_name());
}

Value binary(const std::string& op, const Value& a, const Value& b, const std::string& where) {
  if (op == "~") return Json(limited(to_text(a, where) + to_text(b, where), where));
  if (op == "in") return Json(contains(b, a, where));
  if (op == "not in") return Json(!contains(b, a, where));
  if (op == "==" || op == "!=") return Json((a && b ? equal(*a, *b) : !a && !b) == (op == "=="));
  if (!a || !b) fail(ErrorKind::usage, where, "'{}' with an undefined value", op);
  if (op == "+" && a->is_string() && b->is_string()) return Json(limited(a->as_string() + b->as_string(), where));
  if (op == "+" && a->is_array() && b->is_array()) {
    Json::Array both = a->as_array();
    both.insert(both.end(), b->as_array().begin(), b->as_array().end());
    if (both.size() > kMostBytes / sizeof(Json)) fail(ErrorKind::unsupported, where, "a list of {}", both.size());
    return Json(std::move(both));
  }
  const bool comparison = op[0] == '<' || op[0] == '>';
  if (a->is_number() && b->is_number()) {
    if (!comparison) return arithmetic(op, *a, *b, where);
    const double x = a->as_double(), y = b->as_double();
    return Json(op == "<" ? x < y : op == "<=" ? x <= y : op == ">" ? x > y : x >= y);
  }
  if (comparison && a->is_string() && b->is_string()) {
    const int order = a->as_string().compare(b->as_string());
    return Json(op == "<" ? order < 0 : op == "<=" ? order <= 0 : op == ">" ? order > 0 : order >= 0);
  }
  fail(ErrorKind::usage, where, "'{}' of {} and {}", op, a->type_name(), b->type_name());
}

Value item_of(const Value& object, const Value& key, const std::string& where) {
  if (!object) fail(ErrorKind::usage, where, "{} of an undefined value", key ? key->dump() : "an item");
  if (!key) return {};
  if (object->is_object() && key->is_string()) {
    const Json* value = object->find(key->as_string());
    return value ? Value(*value) : Value();
  }
  if (!key->is_int() || !(object->is_array() || object->is_string())) return {};
  const Json::Array list = object->is_array() ? object->as_array() : characters(object->as_string());
  const auto size = static_cast<int64_t>(list.size());
  const int64_t at = key->as_int() < 0 ? size + key->as_int() : key->as_int();
  return at >= 0 && at < size ? Value(list[at]) : Value();
}

Value slice_of(const Value& object, const Value& begin, const Value& end, const Value& step, const std::string& where) {
  if (!object || !(object->is_array() || object->is_string())) misfit("a slice", object, where);
  const Json::Array list = object->is_array() ? object->as_array() : characters(object->as_string());
  const auto size = static_cast<int64_t>(list.size());
  const auto number = [&](const Value& v, int64_t otherwise) {
    return v && !v->is_null() ? v->as_int(where) : otherwise;
  };
  const int64_t by = number(step, 1);
  if (by != 1 && by != -1) fail(ErrorKind::unsupported, where, "a slice with the step {}", by);
  const auto bound = [&](const Value& v, int64_t otherwise) {
    if (!v || v->is_null()) return otherwise;
    const int64_t given = std::clamp(v->as_int(where), -size - 1, size);
    const int64_t at = given < 0 ? given + size : given;
    return by > 0 ? std::clamp<int64_t>(at, 0, size) : std::clamp<int64_t>(at, -1, size - 1);
  };
  const int64_t from = bound(begin, by > 0 ? 0 : size - 1), to = bound(end, by > 0 ? size : -1);
  Json::Array out;
  for (int64_t i = from; by > 0 ? i < to : i > to; i += by) out.push_back(list[i]);
  if (object->is_array()) return Json(std::move(out));
  std::string text;
  for (const Json& c : out) text += c.as_string();
  return Json(std::move(text));
}

Value filter(const std::string& name, const Value& input, const std::vector<Value>& arguments,
             const std::string& where) {
  if (name == "default" || name == "d") {
    const bool missing = arguments.size() > 1 && is_true(arguments[1]) ? !is_true(input) : !input;
    if (!missing) return input;
    return arguments.empty() ? Value(Json("")) : arguments[0];
  }
  if (name == "length" || name == "count") return Json(static_cast<int64_t>(length_of(input, where)));
  if (name == "string") return Json(to_text(input, where));
  if (name == "trim" && arguments.empty()) return Json(strip(to_text(input, where), kBlanks, true, true));
  if (name == "upper" || name == "lower") return Json(ascii_case(to_text(input, where), name == "upper", where));
  if (name == "safe") return input;
  if (name == "replace" && arguments.size() == 2) return method(input, name, arguments, where);
  if ((name == "first" || name == "last") && input)
    return length_of(input, where) == 0 ? Value() : item_of(input, Json(name == "first" ? 0 : -1), where);
  if (name == "list" && input && input->is_array()) return input;
  if (name == "join" && input && input->is_array()) {
    std::string out;
    for (const Json& item : input->as_array()) {
      if (!out.empty() || &item != input->as_array().data())
        out += arguments.empty() ? "" : text_of(arguments[0], "join", where);
      out = limited(out + to_text(item, where), where);
    }
    return Json(std::move(out));
  }
  fail(ErrorKind::unsupported, where, "the filter '{}' is not known (of {}, with {} arguments)", name, type_of(input),
       arguments.size());
}

bool test(const std::string& name, const Value& input, const std::string& where) {
  if (name == "defined") return input.has_value();
  if (name == "undefined") return !input;
  if (name == "none") return input && input->is_null();
  if (name == "string") return input && input->is_string();
  if (name == "number") return input && (input->is_number() || input->is_bool());
  if (name == "boolean") return input && input->is_bool();
  if (name == "true" || name == "false") return input && input->is_bool() && input->as_bool() == (name == "true");
  if (name == "mapping") return input && input->is_object();
  if (name == "iterable" || name == "sequence")
    return !input || input->is_string() || input->is_array() || input->is_object();
  fail(ErrorKind::unsupported, where, "the test '{}' is not known", name);
}

Value method(const Value& object, const std::string& name, const std::vector<Value>& arguments,
             const std::string& where) {
  if (!object) fail(ErrorKind::usage, where, "{}() of an undefined value", name);
  if (object->is_object()) {
    const Json::Object& members = object->as_object();
    Json::Array out;
    if (name == "get" && !arguments.empty()) {
      const Value found = item_of(object, arguments[0], where);
      return found ? found : arguments.size() > 1 ? arguments[1] : Value(Json());
    }
    if (name != "items" && name != "keys" && name != "values")
      fail(ErrorKind::unsupported, where, "the method '{}' is not known", name);
    for (const auto& [key, value] : members)
      out.push_back(name == "items" ? Json(Json::Array{key, value}) : name == "keys" ? Json(key) : value);
    return Json(std::move(out));
  }
  const std::string& text = text_of(object, name + "()", where);
  const auto argument = [&](size_t i) -> const std::string& {
    if (i >= arguments.size()) fail(ErrorKind::usage, where, "{}() lacks an argument", name);
    return text_of(arguments[i], "the argument of " + name + "()", where);
  };
  if (name == "strip" || name == "lstrip" || name == "rstrip")
    return Json(strip(text, arguments.empty() ? kBlanks : argument(0), name != "rstrip", name != "lstrip"));
  if (name == "split") return Json(split(text, arguments, where));
  if (name == "startswith") return Json(text.starts_with(argument(0)));
  if (name == "endswith") return Json(text.ends_with(argument(0)));
  if (name == "replace") return Json(limited(replaced(text, argument(0), argument(1), where), where));
  if (name == "upper" || name == "lower") return Json(ascii_case(text, name == "upper", where));
  fail(ErrorKind::unsupported, where, "the method '{}' is not known", name);
}

}  // namespace ballast::jinja
