#include "tokenizer/jinja.h"

#include <algorithm>

#include "tokenizer/jinja_tree.h"

namespace ballast {
namespace jinja {
namespace {

constexpr int64_t kMostSteps = 1 << 20;

class Renderer {
 public:
  Renderer(const Json& variables, const std::string& where) : where_(where) {
    scopes_.emplace_back();
    for (const auto& [name, value] : variables.as_object(where)) scopes_.back().emplace_back(name, value);
    scopes_.emplace_back();
  }

  std::string run(const Statement& root) {
    body(root.body);
    return std::move(out_);
  }

 private:
  using Scope = std::vector<std::pair<std::string, Value>>;

  void step(const std::string& where) {
    if (++steps_ > kMostSteps) fail(ErrorKind::unsupported, where, "rendering takes more than {} steps", kMostSteps);
  }

  void body(const std::vector<StatementPtr>& statements) {
    for (const StatementPtr& s : statements) statement(*s);
  }

  void statement(const Statement& s) {
    step(where_);
    switch (s.kind) {
      case Statement::Kind::block:
        return body(s.body);
      case Statement::Kind::text:
        return emit(s.text);
      case Statement::Kind::print:
        return emit(to_text(evaluate(*s.value), place(*s.value)));
      case Statement::Kind::choice:
        return body(is_true(evaluate(*s.value)) ? s.body : s.otherwise);
      case Statement::Kind::loop:
        return loop(s);
      case Statement::Kind::set:
        return set(s);
    }
  }

  void emit(const std::string& text) {
    if (out_.size() + text.size() > kMostBytes)
      fail(ErrorKind::unsupported, where_, "a text of more than {} bytes", kMostBytes);
    out_ += text;
  }

  // Names that are set in a loop are gone after each turn; attributes of a namespace stay.
  void loop(const Statement& s) {
    const std::string where = place(*s.value);
    const Value value = evaluate(*s.value);
    Json::Array items;
    if (value && value->is_object()) {
      for (const auto& member : value->as_object()) items.emplace_back(member.first);
    } else if (value) {
      items = value->as_array(where);
    }
    if (s.condition) std::erase_if(items, [&](const Json& item) { return !in_turn(s, item, where); });
    const auto size = static_cast<int64_t>(items.size());
    for (int64_t i = 0; i < size; ++i) {
      enter(s, items[i], where);
      scopes_.back().emplace_back("loop", Json(Json::Object{{"index", i + 1},
                                                            {"index0", i},
                                                            {"revindex", size - i},
                                                            {"revindex0", size - i - 1},
                                                            {"first", i == 0},
                                                            {"last", i + 1 == size},
                                                            {"length", size}}));
      body(s.body);
      scopes_.pop_back();
    }
    if (items.empty()) body(s.otherwise);
  }

  bool in_turn(const Statement& s, const Json& item, const std::string& where) {
    enter(s, item, where);
    const bool keep = is_true(evaluate(*s.condition));
    scopes_.pop_back();
    return keep;
  }

  // A scope with the loop's names.
  void enter(const Statement& s, const Json& item, const std::string& where) {
    scopes_.emplace_back();
    if (s.names.size() == 1) {
      scopes_.back().emplace_back(s.names[0], item);
      return;
    }
    const Json::Array& parts = item.as_array(where);
    if (parts.size() != s.names.size())
      fail(ErrorKind::usage, where, "{} values for {} names", parts.size(), s.names.size());
    for (size_t i = 0; i < parts.size(); ++i) scopes_.back().emplace_back(s.names[i], parts[i]);
  }

  void set(const Statement& s) {
    Value value;
    if (s.value) {
      value = evaluate(*s.value);
    } else {
      std::string outer = std::move(out_);
      out_.clear();
      body(s.body);
      value = Json(std::move(out_));
      out_ = std::move(outer);
    }
    if (s.names.size() == 1) {
      Scope& scope = scopes_.back();
      const auto known = std::find_if(scope.begin(), scope.end(), [&](const auto& v) { return v.first == s.names[0]; });
      if (known == scope.end()) {
        scope.emplace_back(s.names[0], std::move(value));
      } else {
        known->second = std::move(value);
      }
      return;
    }
    Value* space = find(s.names[0]);
    if (!space || !*space || !(*space)->is_object())
      fail(ErrorKind::usage, where_, "'{}' is not a namespace", s.names[0]);
    if (!value) fail(ErrorKind::unsupported, where_, "{}.{} becomes undefined", s.names[0], s.names[1]);
    (**space)[s.names[1]] = *value;
  }

  Value* find(const std::string& name) {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
      for (auto& [known, value] : *scope)
        if (known == name) return &value;
    return nullptr;
  }

  std::string place(const Expression& e) const { return where_ + ":" + std::to_string(e.line); }

  Value evaluate(const ExpressionPtr& e) { return e ? evaluate(*e) : Value(); }

  Value evaluate(const Expression& e) {
    const std::string where = place(e);
    step(where);
    using Kind = Expression::Kind;
    switch (e.kind) {
      case Kind::literal:
        return e.value;
      case Kind::name: {
        const Value* value = find(e.name);
        if (value && *value && (*value)->is_string()) steps_ += static_cast<int64_t>((*value)->as_string().size() >> 8);
        if (value && *value && (*value)->is_array()) steps_ += static_cast<int64_t>((*value)->as_array().size());
        return value ? *value : Value();  // a copy, hence its cost
      }
      case Kind::list: {
        Json::Array items;
        for (const ExpressionPtr& child : e.children) items.push_back(evaluate(*child).value_or(Json()));
        return Json(std::move(items));
      }
      case Kind::dict: {
        Json members = Json::object();
        for (size_t i = 0; i < e.children.size(); i += 2)
          members[to_text(evaluate(*e.children[i]), where)] = evaluate(*e.children[i + 1]).value_or(Json());
        return members;
      }
      case Kind::attribute:
        return item_of(evaluate(*e.children[0]), Json(e.name), where);
      case Kind::item:
        return item_of(evaluate(*e.children[0]), evaluate(*e.children[1]), where);
      case Kind::slice:
        return slice_of(evaluate(*e.children[0]), evaluate(e.children[1]), evaluate(e.children[2]),
                        evaluate(e.children[3]), where);
      case Kind::call:
        return call(e, where);
      case Kind::filter:
        if (!e.keywords.empty()) fail(ErrorKind::unsupported, where, "keywords of the filter '{}'", e.name);
        return filter(e.name, evaluate(*e.children[0]), values(e, 1), where);
      case Kind::test:
        return Json(test(e.name, evaluate(*e.children[0]), where));
      case Kind::unary:
        if (e.name == "not") return Json(!is_true(evaluate(*e.children[0])));
        return binary(e.name, Json(0), evaluate(*e.children[0]), where);
      case Kind::binary:
        return binary_of(e, where);
      case Kind::choice:
        return is_true(evaluate(*e.children[0])) ? evaluate(*e.children[1]) : evaluate(e.children[2]);
    }
    return {};
  }

  Value binary_of(const Expression& e, const std::string& where) {
    Value left = evaluate(*e.children[0]);
    if (e.name == "and") return is_true(left) ? evaluate(*e.children[1]) : left;
    if (e.name == "or") return is_true(left) ? left : evaluate(*e.children[1]);
    return binary(e.name, left, evaluate(*e.children[1]), where);
  }

  std::vector<Value> values(const Expression& e, size_t from) {
    std::vector<Value> out;
    for (size_t i = from; i < e.children.size(); ++i) out.push_back(evaluate(*e.children[i]));
    return out;
  }

  Value call(const Expression& e, const std::string& where) {
    const Expression& callee = *e.children[0];
    if (callee.kind == Expression::Kind::attribute) {
      if (!e.keywords.empty()) fail(ErrorKind::unsupported, where, "keywords of the method '{}'", callee.name);
      return method(evaluate(*callee.children[0]), callee.name, values(e, 1), where);
    }
    if (callee.kind == Expression::Kind::name && callee.name == "namespace" && e.children.size() == 1) {
      Json space = Json::object();
      for (const auto& [name, value] : e.keywords) space[name] = evaluate(*value).value_or(Json());
      return space;
    }
    if (callee.kind == Expression::Kind::name && callee.name == "raise_exception") {
      const std::vector<Value> arguments = values(e, 1);
      fail(ErrorKind::usage, where, "{}", arguments.empty() ? "the template refuses this" : to_text(arguments[0], where));
    }
    fail(ErrorKind::unsupported, where, "the function '{}' is not known", callee.name);
  }

  const std::string& where_;
  std::vector<Scope> scopes_;
  std::string out_;
  int64_t steps_ = 0;
};

}  // namespace
}  // namespace jinja

Jinja::Jinja(std::string_view source, std::string where)
    : where_(std::move(where)), root_(jinja::parse(source, where_)) {}

std::string Jinja::render(const Json& variables) const { return jinja::Renderer(variables, where_).run(*root_); }

}  // namespace ballast
