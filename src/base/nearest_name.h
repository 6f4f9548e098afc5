// What was probably meant by a misspelled name.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ballast {

// Insertions, deletions, substitutions and swaps of neighbors that turn `a` into `b` (optimal string alignment).
int edit_distance(std::string_view a, std::string_view b);

// The entry of `known` with the least edit distance, the first of equals; empty when there is none.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

}  // namespace ballast
