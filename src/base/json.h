// A JSON value, its parser and its writer; also the tree that a TOML file becomes (base/toml.h). The parser is
// nlohmann-json's, behind this header because including it costs seconds per file. Objects keep the order of their
// keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ballast {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool v) : v_(v) {}
  Json(int v) : v_(int64_t{v}) {}
  Json(int64_t v) : v_(v) {}
  Json(uint64_t v) : v_(static_cast<int64_t>(v)) {}
  Json(double v) : v_(v) {}
  Json(const char* v) : v_(std::string(v)) {}
  Json(std::string v) : v_(std::move(v)) {}
  Json(std::string_view v) : v_(std::string(v)) {}
  Json(Array v) : v_(std::move(v)) {}
  Json(Object v) : v_(std::move(v)) {}
  static Json array() { return Json(Array{}); }
  static Json object() { return Json(Object{}); }

  bool is_null() const { return std::holds_alternative<std::monostate>(v_); }
  bool is_bool() const { return std::holds_alternative<bool>(v_); }
  bool is_int() const { return std::holds_alternative<int64_t>(v_); }
  bool is_number() const { return is_int() || std::holds_alternative<double>(v_); }
  bool is_string() const { return std::holds_alternative<std::string>(v_); }
  bool is_array() const { return std::holds_alternative<Array>(v_); }
  bool is_object() const { return std::holds_alternative<Object>(v_); }
  const char* type_name() const;

  // Typed access. A value of another type throws Error{format} naming `where` (a file and key) and the type found.
  bool as_bool(std::string_view where = {}) const;
  int64_t as_int(std::string_view where = {}) const;  // also a double without a fraction
  double as_double(std::string_view where = {}) const;
  const std::string& as_string(std::string_view where = {}) const;
  const Array& as_array(std::string_view where = {}) const;
  const Object& as_object(std::string_view where = {}) const;
  Array& as_array(std::string_view where = {});
  Object& as_object(std::string_view where = {});

  // Objects: find() is null when the key is absent; at() throws Error{format} naming the key; operator[] inserts.
  const Json* find(std::string_view key) const;
  Json* find(std::string_view key);
  const Json& at(std::string_view key, std::string_view where = {}) const;
  Json& operator[](std::string_view key);  // turns null into an object
  void push_back(Json v);                  // turns null into an array

  // Doubles are written with the shortest text that reads back equal; a non-finite one as null.
  // indent < 0: one line. Text that is not UTF-8 is written with U+FFFD in its place.
  std::string dump(int indent = -1) const;

  // Throws Error{format} with `where`, line and column.
  static Json parse(std::string_view text, std::string_view where = "JSON");
  static Json read(const std::filesystem::path& file);

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> v_;
};

}  // namespace ballast
