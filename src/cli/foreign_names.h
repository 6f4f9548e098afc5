// What other tools call our keys and flags, so that their users are answered with ours. docs/foreign-names.md is the
// table; tests/e2e/cli_test.cc compares the two.
#pragma once

#include <span>
#include <string>

#include "base/config.h"

namespace ballast::cli {

std::span<const ForeignName> foreign_keys();   // theirs: a key without its section; ours: "model.hidden_size"
std::span<const ForeignName> foreign_flags();  // both with their dashes
std::string foreign_names_markdown();

}  // namespace ballast::cli
