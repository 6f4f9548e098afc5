#include "base/toml.h"

// toml++ 3.3 asserts that a key begins with a key's character, which malformed text disproves, and reports the error
// after that. With NDEBUG the assertion is an assumption, so that the optimizer may drop the report: here it is nothing.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace ballast {
namespace {

std::string place(std::string_view where, const toml::source_position& at) {
  return fmt::format("{}:{}:{}", where, at.line, at.column);
}

Json to_json(const toml::node& node, std::string_view where) {
  if (const auto* v = node.as_boolean()) return v->get();
  if (const auto* v = node.as_integer()) return v->get();
  if (const auto* v = node.as_floating_point()) return v->get();
  if (const auto* v = node.as_string()) return v->get();
  if (const auto* items = node.as_array()) {
    Json out = Json::array();
    for (const toml::node& item : *items) out.push_back(to_json(item, where));
    return out;
  }
  if (const auto* table = node.as_table()) {
    std::vector<std::pair<const toml::key*, const toml::node*>> members;
    for (const auto& [key, value] : *table) members.emplace_back(&key, &value);
    // The table is sorted by name; we want the order of the text.
    std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) {
      const auto &p = a.first->source().begin, &q = b.first->source().begin;
      return std::tie(p.line, p.column) < std::tie(q.line, q.column);
    });
    Json::Object out;
    for (const auto& [key, value] : members) {
      Json::Member& member = out.emplace_back();
      member.first = key->str();
      member.second = to_json(*value, where);
    }
    return out;
  }
  fail(ErrorKind::format, place(where, node.source().begin), "dates and times are not used here; quote it as a string");
}

std::string string_text(std::string_view text) {
  std::string out;
  for (const char c : Json(text).dump()) {
    if (c == 0x7F) {
      out += "\\u007F";  // JSON allows it as it is, TOML does not
    } else {
      out += c;
    }
  }
  return out;
}

std::string key_text(std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return bare ? std::string(key) : string_text(key);
}

std::string value_text(const Json& v) {
  if (v.is_null()) return "\"none\"";
  if (v.is_string()) return string_text(v.as_string());
  if (v.is_array()) {
    std::string out;
    for (const Json& item : v.as_array()) out += (out.empty() ? "" : ", ") + value_text(item);
    return "[" + out + "]";
  }
  if (v.is_object()) {
    std::string out;
    for (const auto& [key, item] : v.as_object())
      out += (out.empty() ? "" : ", ") + key_text(key) + " = " + value_text(item);
    return "{" + out + "}";
  }
  if (v.is_number() && std::isnan(v.as_double())) return "nan";
  if (v.is_number() && std::isinf(v.as_double())) return v.as_double() > 0 ? "inf" : "-inf";
  return v.dump();
}

void write_section(std::string& out, const Json& object, const std::string& prefix) {
  for (const auto& [key, value] : object.as_object())
    if (!value.is_object()) out += key_text(key) + " = " + value_text(value) + "\n";
  for (const auto& [key, value] : object.as_object()) {
    if (!value.is_object()) continue;
    const std::string name = prefix + key_text(key);
    out += (out.empty() ? "[" : "\n[") + name + "]\n";
    write_section(out, value, name + ".");
  }
}

}  // namespace

Json parse_toml(std::string_view text, std::string_view where) {
  try {
    return to_json(toml::parse(text), where);
  } catch (const toml::parse_error& e) {
    fail(ErrorKind::format, place(where, e.source().begin), "{}", valid_utf8(e.description()));
  }
}

Json read_toml(const std::filesystem::path& file) { return parse_toml(read_file(file), file.string()); }

std::string write_toml(const Json& object) {
  std::string out;
  write_section(out, object, "");
  return out;
}

}  // namespace ballast
