// The byte-level alphabet (GPT-2): every byte is one printable character, so that a vocabulary can be written as text.
// Bytes that print in Latin-1 are themselves; the other 68 are U+0100 and up, in order (space is U+0120).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ballast {

// The UTF-8 text of the byte's character.
std::string_view byte_symbol(uint8_t byte);

std::string to_symbols(std::string_view bytes);

// Nothing where a character is not of the alphabet.
std::optional<std::string> from_symbols(std::string_view symbols);

// All bytes in the order of their characters' code points: the order in which a trainer numbers them.
std::array<uint8_t, 256> alphabet_order();

}  // namespace ballast
