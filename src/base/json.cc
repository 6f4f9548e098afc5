#include "base/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace ballast {
namespace {

constexpr size_t kMaxDepth = 200;  // deeper is an attack or a bug, and destruction recurses

// An iterator over the text that leaves behind how far the parser has read, which its SAX events do not say.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  Cursor(const char* p, const char** reached) : p_(p), reached_(reached) {}
  reference operator*() const { return *p_; }
  Cursor& operator++() {
    *reached_ = ++p_;
    return *this;
  }
  bool operator==(const Cursor& other) const { return p_ == other.p_; }
  bool operator!=(const Cursor& other) const { return p_ != other.p_; }

 private:
  const char* p_;
  const char** reached_;
};

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ..." -> "syntax error ..."
std::string plain_message(const std::string& what) {
  size_t begin = what.find("] ");
  begin = begin == std::string::npos ? 0 : begin + 2;
  if (what.compare(begin, 11, "parse error") == 0) {
    const size_t colon = what.find(": ", begin);
    if (colon != std::string::npos) begin = colon + 2;
  }
  std::string message = what.substr(begin);
  constexpr size_t kLongest = 160;  // the parser quotes the whole token, which may be megabytes
  if (message.size() > kLongest) message = message.substr(0, kLongest) + "...";
  return valid_utf8(message);
}

// Builds the tree from the parser's events. open_ points into vectors that grow only at the innermost open level.
class TreeBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeBuilder(Json& root, std::string_view text, std::string_view where, const char* const& reached)
      : root_(root), text_(text), where_(where), reached_(reached) {}

  bool null() override { return put(Json()), true; }
  bool boolean(bool v) override { return put(Json(v)), true; }
  bool number_integer(int64_t v) override { return put(Json(v)), true; }
  bool number_unsigned(uint64_t v) override {
    put(v <= static_cast<uint64_t>(INT64_MAX) ? Json(static_cast<int64_t>(v)) : Json(static_cast<double>(v)));
    return true;
  }
  bool number_float(double v, const std::string&) override { return put(Json(v)), true; }
  bool string(std::string& v) override { return put(Json(std::move(v))), true; }
  bool binary(nlohmann::json::binary_t&) override { return false; }  // only in binary formats
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool key(std::string& v) override {
    open_.back()->as_object().emplace_back().first = std::move(v);
    return true;
  }
  bool end_object() override {
    reject_duplicates(open_.back()->as_object());
    open_.pop_back();
    return true;
  }
  bool end_array() override {
    open_.pop_back();
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& e) override {
    fail_here(plain_message(e.what()));
  }

 private:
  Json* put(Json v) {
    if (open_.empty()) {
      root_ = std::move(v);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.as_array().push_back(std::move(v));
      return &parent.as_array().back();
    }
    Json& value = parent.as_object().back().second;
    value = std::move(v);
    return &value;
  }

  bool open(Json v) {
    if (open_.size() >= kMaxDepth) fail_here(fmt::format("nested deeper than {} levels", kMaxDepth));
    open_.push_back(put(std::move(v)));
    return true;
  }

  void reject_duplicates(const Json::Object& object) {
    keys_.clear();
    for (const auto& member : object) keys_.push_back(member.first);
    std::sort(keys_.begin(), keys_.end());
    const auto twice = std::adjacent_find(keys_.begin(), keys_.end());
    if (twice != keys_.end()) fail_here(fmt::format("key '{}' appears twice in one object", *twice));
  }

  [[noreturn]] void fail_here(const std::string& message) {
    const char* last = reached_ > text_.data() ? reached_ - 1 : text_.data();  // the last byte the parser has read
    const std::string_view before = text_.substr(0, last - text_.data());
    const size_t newline = before.rfind('\n');
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const size_t column = 1 + (newline == std::string_view::npos ? before.size() : before.size() - newline - 1);
    fail(ErrorKind::format, fmt::format("{}:{}:{}", where_, line, column), "{}", message);
  }

  Json& root_;
  std::string_view text_, where_;
  const char* const& reached_;
  std::vector<Json*> open_;
  std::vector<std::string_view> keys_;
};

void write_string(std::string& out, std::string_view raw) {
  constexpr char kHex[] = "0123456789abcdef";
  const std::string text = valid_utf8(raw);
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kHex[c >> 4];
          out += kHex[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void write_double(std::string& out, double v) {
  if (!std::isfinite(v)) {
    out += "null";
    return;
  }
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, v).ptr;
  const std::string_view text(buffer, end - buffer);
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";  // so that it reads back as a double
}

void write_break(std::string& out, int indent, int depth) {
  if (indent < 0) return;
  out += '\n';
  out.append(static_cast<size_t>(indent) * depth, ' ');
}

void write_value(std::string& out, const Json& v, int indent, int depth) {
  if (v.is_null()) {
    out += "null";
  } else if (v.is_bool()) {
    out += v.as_bool() ? "true" : "false";
  } else if (v.is_int()) {
    out += std::to_string(v.as_int());
  } else if (v.is_number()) {
    write_double(out, v.as_double());
  } else if (v.is_string()) {
    write_string(out, v.as_string());
  } else if (v.is_array()) {
    out += '[';
    bool first = true;
    for (const Json& item : v.as_array()) {
      if (!first) out += indent < 0 ? ", " : ",";
      first = false;
      write_break(out, indent, depth + 1);
      write_value(out, item, indent, depth + 1);
    }
    if (!first) write_break(out, indent, depth);
    out += ']';
  } else {
    out += '{';
    bool first = true;
    for (const auto& [key, value] : v.as_object()) {
      if (!first) out += indent < 0 ? ", " : ",";
      first = false;
      write_break(out, indent, depth + 1);
      write_string(out, key);
      out += ": ";
      write_value(out, value, indent, depth + 1);
    }
    if (!first) write_break(out, indent, depth);
    out += '}';
  }
}

}  // namespace

const char* Json::type_name() const {
  constexpr const char* kNames[] = {"null", "a boolean", "an integer", "a number", "a string", "an array", "an object"};
  return kNames[v_.index()];
}

bool Json::as_bool(std::string_view where) const {
  if (const auto* v = std::get_if<bool>(&v_)) return *v;
  fail(ErrorKind::format, std::string(where), "expected true or false, found {}", type_name());
}

int64_t Json::as_int(std::string_view where) const {
  if (const auto* v = std::get_if<int64_t>(&v_)) return *v;
  if (const auto* v = std::get_if<double>(&v_)) {
    if (*v >= -0x1p63 && *v < 0x1p63 && *v == std::trunc(*v)) return static_cast<int64_t>(*v);
    fail(ErrorKind::format, std::string(where), "expected a 64-bit integer, found {}", *v);
  }
  fail(ErrorKind::format, std::string(where), "expected an integer, found {}", type_name());
}

double Json::as_double(std::string_view where) const {
  if (const auto* v = std::get_if<double>(&v_)) return *v;
  if (const auto* v = std::get_if<int64_t>(&v_)) return static_cast<double>(*v);
  fail(ErrorKind::format, std::string(where), "expected a number, found {}", type_name());
}

const std::string& Json::as_string(std::string_view where) const {
  if (const auto* v = std::get_if<std::string>(&v_)) return *v;
  fail(ErrorKind::format, std::string(where), "expected a string, found {}", type_name());
}

const Json::Array& Json::as_array(std::string_view where) const {
  if (const auto* v = std::get_if<Array>(&v_)) return *v;
  fail(ErrorKind::format, std::string(where), "expected an array, found {}", type_name());
}

const Json::Object& Json::as_object(std::string_view where) const {
  if (const auto* v = std::get_if<Object>(&v_)) return *v;
  fail(ErrorKind::format, std::string(where), "expected an object, found {}", type_name());
}

Json::Array& Json::as_array(std::string_view where) {
  return const_cast<Array&>(static_cast<const Json&>(*this).as_array(where));
}

Json::Object& Json::as_object(std::string_view where) {
  return const_cast<Object&>(static_cast<const Json&>(*this).as_object(where));
}

const Json* Json::find(std::string_view key) const {
  const auto* object = std::get_if<Object>(&v_);
  if (!object) return nullptr;
  for (const auto& member : *object)
    if (member.first == key) return &member.second;
  return nullptr;
}

Json* Json::find(std::string_view key) { return const_cast<Json*>(static_cast<const Json&>(*this).find(key)); }

const Json& Json::at(std::string_view key, std::string_view where) const {
  as_object(where);
  if (const Json* v = find(key)) return *v;
  fail(ErrorKind::format, std::string(where), "key '{}' is missing", key);
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) v_ = Object{};
  if (Json* v = find(key)) return *v;
  Member& member = as_object().emplace_back();
  member.first = key;
  return member.second;
}

void Json::push_back(Json v) {
  if (is_null()) v_ = Array{};
  as_array().push_back(std::move(v));
}

std::string Json::dump(int indent) const {
  std::string out;
  write_value(out, *this, indent, 0);
  return out;
}

Json Json::parse(std::string_view text, std::string_view where) {
  Json root;
  const char* reached = text.data();
  TreeBuilder builder(root, text, where, reached);
  const char* end = text.data() + text.size();
  nlohmann::json::sax_parse(Cursor(text.data(), &reached), Cursor(end, &reached), &builder);
  return root;
}

Json Json::read(const std::filesystem::path& file) { return parse(read_file(file), file.string()); }

}  // namespace ballast
