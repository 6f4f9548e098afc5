// Configuration structs list each of their fields once:
//
//   struct BalanceConfig {
//     double bias_update_rate = 1e-3;
//     template <class V> void visit(V& v) { v("bias_update_rate", bias_update_rate, "step of the bias per step"); }
//   };
//   struct Config {
//     BalanceConfig balance;
//     template <class V> void visit(V& v) { v.section("balance", balance, "the router's bias"); }
//   };
//
// From that one list come reading, writing, help, command-line overrides and the errors for unknown keys.
// A field is a bool, int, int64_t, double, std::string, a vector of string, int or double, or a std::optional of one
// of those. An optional reads null, and the text "none" (TOML has no null), as nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"

namespace ballast {

// What another tool calls a field of ours: {"moe_router_topk", "Megatron-Core", "model.num_experts_per_tok"}.
struct ForeignName {
  std::string_view theirs, tool, ours;
};

// One line of help. `type` is "bool", "int", "float", "string", "list of ints", "int or none", ...
struct Field {
  std::string key;  // with its sections: "model.hidden_size"
  std::string type, default_text, help;
};

// The list in a form that needs no templates. Its pointers are into the config that was visited.
using FieldTarget =
    std::variant<bool*, int*, int64_t*, double*, std::string*, std::vector<std::string>*, std::vector<int>*,
                 std::vector<double>*, std::optional<bool>*, std::optional<int>*, std::optional<int64_t>*,
                 std::optional<double>*, std::optional<std::string>*, std::optional<std::vector<std::string>>*,
                 std::optional<std::vector<int>>*, std::optional<std::vector<double>>*>;

struct FieldEntry {
  std::string key, help;
  FieldTarget target;
};

struct SectionEntry {
  std::string key, help;
};

class FieldList {
 public:
  template <class T>
  void operator()(std::string_view name, T& field, std::string_view help) {
    static_assert(std::is_constructible_v<FieldTarget, T*>, "not a type that a config field can have");
    add({prefix_ + std::string(name), std::string(help), &field});
  }
  template <class Section>
  void section(std::string_view name, Section& section, std::string_view help) {
    const std::string outer = prefix_;
    sections_.push_back({outer + std::string(name), std::string(help)});
    prefix_ += std::string(name) + ".";
    section.visit(*this);
    prefix_ = outer;
  }

  const std::vector<FieldEntry>& fields() const { return fields_; }
  const std::vector<SectionEntry>& sections() const { return sections_; }
  const FieldEntry* find(std::string_view key) const;
  bool has_section(std::string_view key) const;

 private:
  void add(FieldEntry entry);

  std::string prefix_;  // "model." inside that section
  std::vector<FieldEntry> fields_;
  std::vector<SectionEntry> sections_;
};

template <class Config>
FieldList fields_of(Config& config) {
  FieldList list;
  config.visit(list);
  return list;
}

void read_fields(const FieldList& list, const Json& json, std::string_view where, std::span<const ForeignName> foreign);
Json fields_to_json(const FieldList& list);
std::vector<Field> describe_fields(const FieldList& list);
void override_field(const FieldList& list, std::string_view key, std::string_view text, std::string_view where,
                    std::span<const ForeignName> foreign);

// Sets the fields that `json` names and leaves the others. Throws Error{usage} that names `where` (the file) and the
// key: unknown (with the nearest known name, or ours where `foreign` knows theirs), or of another type than the field.
// After an error some fields may have been set.
template <class Config>
void read_config(Config& config, const Json& json, std::string_view where, std::span<const ForeignName> foreign = {}) {
  read_fields(fields_of(config), json, where, foreign);
}

// Every field, nested as the sections are; read_config of it gives an equal config.
template <class Config>
Json config_to_json(const Config& config) {
  Config copy = config;  // visit() is not const, so that a struct lists its fields once
  return fields_to_json(fields_of(copy));
}

// Every field with its present value as the default: give it a default-constructed config.
template <class Config>
std::vector<Field> list_fields(const Config& config) {
  Config copy = config;
  return describe_fields(fields_of(copy));
}

// Sets the field "section.name" from text, as its type reads it: 'true' or 'false'; 20, 1e6 (an int too); lists as
// 'a,b' or as a JSON array; 'none' for an optional. Throws Error{usage} as read_config does.
template <class Config>
void apply_override(Config& config, std::string_view key, std::string_view text,
                    std::string_view where = "command line", std::span<const ForeignName> foreign = {}) {
  override_field(fields_of(config), key, text, where, foreign);
}

}  // namespace ballast
