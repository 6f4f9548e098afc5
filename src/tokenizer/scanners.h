// Hand-written equivalents of the expressions that code tokenizers use most.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ballast {

// Appends the end offsets of the pieces into which a Split by the pattern cuts text[begin, end).
using Scanner = void (*)(std::string_view text, uint32_t begin, uint32_t end, std::vector<uint32_t>& ends);

// The scanner of this very pattern, or null.
Scanner find_scanner(std::string_view pattern);

}  // namespace ballast
