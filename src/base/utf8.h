// Text that may not be UTF-8, on its way into files and messages that must be.
#pragma once

#include <string>
#include <string_view>

namespace ballast {

// The length in bytes (1 to 4) of the well-formed sequence at the front of `text` (Unicode 15, table 3-7), or 0.
int utf8_length(std::string_view text);

// `text` with every maximal ill-formed part replaced by U+FFFD (Unicode 15, section 3.9).
std::string valid_utf8(std::string_view text);

// `text` as one line for a terminal: what could move its cursor, color it, start a line or turn the direction of
// writing (C0, DEL, C1, the bidirectional controls) as "\n", "\x1b", "\u009b"; ill-formed parts as valid_utf8 has them.
// For every name that comes out of a file.
std::string printable(std::string_view text);

}  // namespace ballast
