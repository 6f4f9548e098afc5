#include "base/config.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <type_traits>

#include "base/error.h"
#include "base/nearest_name.h"

namespace ballast {
namespace {

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

// The key's last part: "num_experts" of "model.num_experts".
std::string_view last_part(std::string_view key) {
  const size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? key : key.substr(dot + 1);
}

template <class T>
std::string type_text() {
  if constexpr (IsOptional<T>::value) {
    return type_text<typename T::value_type>() + " or none";
  } else if constexpr (IsVector<T>::value) {
    return "list of " + type_text<typename T::value_type>() + "s";
  } else if constexpr (std::is_same_v<T, bool>) {
    return "bool";
  } else if constexpr (std::is_integral_v<T>) {
    return "int";
  } else if constexpr (std::is_same_v<T, double>) {
    return "float";
  } else {
    return "string";
  }
}

template <class T>
constexpr const char* expected_text() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, int>) return "a 32-bit integer";
  if constexpr (std::is_same_v<T, int64_t>) return "an integer";
  if constexpr (std::is_same_v<T, double>) return "a number";
  if constexpr (std::is_same_v<T, std::string>) return "a string";
  if constexpr (IsVector<T>::value) return "a list";
}

std::string found_text(const Json& v) {
  if (v.is_array() || v.is_object() || v.is_null()) return v.type_name();
  std::string text = v.dump();
  if (text.size() > 60) text.replace(57, std::string::npos, "...");
  return text;
}

// Reads a value into a field. Errors name `where` and `key`.
class FieldReader {
 public:
  FieldReader(std::string_view where, std::string_view key) : where_(where), key_(key) {}

  template <class T>
  void read(T& out, const Json& v) const {
    if constexpr (IsOptional<T>::value) {
      if (v.is_null() || (v.is_string() && v.as_string() == "none")) {
        out.reset();
      } else {
        read(out.emplace(), v);
      }
    } else if constexpr (IsVector<T>::value) {
      if (!v.is_array()) wrong<T>(v);
      out.clear();
      for (const Json& item : v.as_array()) read(out.emplace_back(), item);
    } else {
      read_scalar(out, v);
    }
  }

 private:
  void read_scalar(bool& out, const Json& v) const {
    if (!v.is_bool()) wrong<bool>(v);
    out = v.as_bool();
  }
  void read_scalar(int& out, const Json& v) const {
    int64_t wide = 0;
    if (!whole(v, wide) || wide < std::numeric_limits<int>::min() || wide > std::numeric_limits<int>::max())
      wrong<int>(v);
    out = static_cast<int>(wide);
  }
  void read_scalar(int64_t& out, const Json& v) const {
    if (!whole(v, out)) wrong<int64_t>(v);
  }
  void read_scalar(double& out, const Json& v) const {
    if (!v.is_number()) wrong<double>(v);
    out = v.as_double();
  }
  void read_scalar(std::string& out, const Json& v) const {
    if (!v.is_string()) wrong<std::string>(v);
    out = v.as_string();
  }

  // An integer, also one written as 1e6.
  static bool whole(const Json& v, int64_t& out) {
    if (!v.is_number()) return false;
    if (!v.is_int()) {
      const double d = v.as_double();
      if (!(d >= -0x1p63 && d < 0x1p63) || static_cast<double>(static_cast<int64_t>(d)) != d) return false;
    }
    out = v.as_int();
    return true;
  }

  template <class T>
  [[noreturn]] void wrong(const Json& v) const {
    fail(ErrorKind::usage, std::string(where_), "{}: expected {}, found {}", key_, expected_text<T>(), found_text(v));
  }

  std::string_view where_, key_;
};

// The known key that an unknown one is nearest to. A right name in a wrong section is near, too.
std::string nearest_key(const FieldList& list, std::string_view key) {
  std::string nearest;
  int least = std::numeric_limits<int>::max();
  const auto offer = [&](const std::string& candidate) {
    const int distance =
        std::min(edit_distance(key, candidate), 1 + edit_distance(last_part(key), last_part(candidate)));
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  };
  for (const FieldEntry& field : list.fields()) offer(field.key);
  for (const SectionEntry& section : list.sections()) offer(section.key);
  return nearest;
}

[[noreturn]] void unknown_key(const FieldList& list, std::string_view key, std::string_view where,
                              std::span<const ForeignName> foreign) {
  for (const ForeignName& name : foreign)
    if (name.theirs == key || name.theirs == last_part(key))
      fail(ErrorKind::usage, std::string(where), "{} is {}'s name; here it is {}", key, name.tool, name.ours);
  const std::string nearest = nearest_key(list, key);
  if (nearest.empty()) fail(ErrorKind::usage, std::string(where), "unknown key '{}'; there are none to set", key);
  fail(ErrorKind::usage, std::string(where), "unknown key '{}'; the nearest known name is '{}'", key, nearest);
}

void read_section(const FieldList& list, const std::string& prefix, const Json& json, std::string_view where,
                  std::span<const ForeignName> foreign) {
  for (const auto& [name, value] : json.as_object()) {
    const std::string key = prefix + name;
    if (const FieldEntry* field = list.find(key)) {
      std::visit([&](auto* target) { FieldReader(where, key).read(*target, value); }, field->target);
    } else if (list.has_section(key)) {
      if (!value.is_object())
        fail(ErrorKind::usage, std::string(where), "{}: expected a section, found {}", key, found_text(value));
      read_section(list, key + ".", value, where, foreign);
    } else {
      unknown_key(list, key, where, foreign);
    }
  }
}

template <class T>
Json to_json(const T& value) {
  if constexpr (IsOptional<T>::value) {
    return value ? to_json(*value) : Json();
  } else if constexpr (IsVector<T>::value) {
    Json list = Json::array();
    for (const auto& item : value) list.push_back(Json(item));
    return list;
  } else {
    return Json(value);
  }
}

Json value_of(const FieldEntry& field) {
  return std::visit([](const auto* target) { return to_json(*target); }, field.target);
}

// Text as a number where it is one, else as a string, which the reader then refuses with the right message.
Json number_or_text(std::string_view text) {
  int64_t integer = 0;
  double real = 0;
  const char* end = text.data() + text.size();
  if (const auto r = std::from_chars(text.data(), end, integer); r.ec == std::errc() && r.ptr == end) return integer;
  if (const auto r = std::from_chars(text.data(), end, real); r.ec == std::errc() && r.ptr == end) return real;
  return text;
}

template <class T>
Json text_to_json(std::string_view text, std::string_view where) {
  if constexpr (IsOptional<T>::value) {
    return text == "none" || text == "null" ? Json() : text_to_json<typename T::value_type>(text, where);
  } else if constexpr (IsVector<T>::value) {
    if (!text.empty() && text.front() == '[') return Json::parse(text, where);
    Json list = Json::array();
    while (!text.empty()) {
      const size_t comma = std::min(text.find(','), text.size());
      list.push_back(text_to_json<typename T::value_type>(text.substr(0, comma), where));
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return list;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return text;
  } else if constexpr (std::is_same_v<T, bool>) {
    return text == "true" ? Json(true) : text == "false" ? Json(false) : Json(text);
  } else {
    return number_or_text(text);
  }
}

}  // namespace

const FieldEntry* FieldList::find(std::string_view key) const {
  for (const FieldEntry& field : fields_)
    if (field.key == key) return &field;
  return nullptr;
}

bool FieldList::has_section(std::string_view key) const {
  return std::any_of(sections_.begin(), sections_.end(), [&](const SectionEntry& s) { return s.key == key; });
}

void FieldList::add(FieldEntry entry) {
  CHECK(!find(entry.key));  // each field is listed once
  fields_.push_back(std::move(entry));
}

void read_fields(const FieldList& list, const Json& json, std::string_view where,
                 std::span<const ForeignName> foreign) {
  if (!json.is_object())
    fail(ErrorKind::usage, std::string(where), "expected sections and keys, found {}", found_text(json));
  read_section(list, "", json, where, foreign);
}

Json fields_to_json(const FieldList& list) {
  Json root = Json::object();
  for (const FieldEntry& field : list.fields()) {
    Json* at = &root;
    std::string_view rest = field.key;
    for (size_t dot; (dot = rest.find('.')) != std::string_view::npos; rest.remove_prefix(dot + 1))
      at = &(*at)[rest.substr(0, dot)];
    (*at)[rest] = value_of(field);
  }
  return root;
}

std::vector<Field> describe_fields(const FieldList& list) {
  std::vector<Field> out;
  for (const FieldEntry& field : list.fields()) {
    const std::string type =
        std::visit([](auto* target) { return type_text<std::remove_pointer_t<decltype(target)>>(); }, field.target);
    const Json value = value_of(field);
    out.push_back({field.key, type, value.is_null() ? "none" : value.dump(), field.help});
  }
  return out;
}

void override_field(const FieldList& list, std::string_view key, std::string_view text, std::string_view where,
                    std::span<const ForeignName> foreign) {
  const FieldEntry* field = list.find(key);
  if (!field && list.has_section(key))
    fail(ErrorKind::usage, std::string(where), "'{}' is a section; set one of its fields, as in {}.name", key, key);
  if (!field) unknown_key(list, key, where, foreign);
  std::visit(
      [&](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        T value{};  // a refused text leaves the field as it was
        FieldReader(where, key).read(value, text_to_json<T>(text, where));
        *target = std::move(value);
      },
      field->target);
}

}  // namespace ballast
