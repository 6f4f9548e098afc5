// Names to factories, in the order of registration: balancing rules, skip policies, benchmarks. Filled by code that
// calls add(); static initialisers in a static library are dropped by the linker without a word.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/nearest_name.h"

namespace ballast {

template <class Factory>
class Registry {
 public:
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}  // in the singular: "balancing rule"

  void add(std::string name, Factory factory) {
    for (const std::string& known : names_) CHECK(known != name);
    names_.push_back(std::move(name));
    factories_.push_back(std::move(factory));
  }

  const std::vector<std::string>& names() const { return names_; }

  // Throws Error{usage} with the nearest name and all others; `where` is the file or flag that named it.
  const Factory& get(std::string_view name, std::string_view where = {}) const {
    for (size_t i = 0; i < names_.size(); ++i)
      if (names_[i] == name) return factories_[i];
    fail(ErrorKind::usage, std::string(where), "unknown {} '{}'; the nearest known name is '{}' (all: {})", kind_, name,
         nearest_name(name, names_), fmt::join(names_, ", "));
  }

 private:
  std::string kind_;
  std::vector<std::string> names_;
  std::vector<Factory> factories_;
};

}  // namespace ballast
