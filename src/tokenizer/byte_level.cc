#include "tokenizer/byte_level.h"

#include <algorithm>

namespace ballast {
namespace {

constexpr uint32_t kLastSymbol = 0x143;  // U+0100 + 67

struct Alphabet {
  std::array<uint32_t, 256> code_point;
  std::array<std::string, 256> text;
  std::array<int16_t, kLastSymbol + 1> byte;  // -1: not of the alphabet

  Alphabet() {
    byte.fill(-1);
    uint32_t next = 0x100;
    for (uint32_t b = 0; b < 256; ++b) {
      const bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      const uint32_t c = prints ? b : next++;
      code_point[b] = c;
      byte[c] = static_cast<int16_t>(b);
      if (c < 0x80) {
        text[b] = static_cast<char>(c);
      } else {
        text[b] = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
      }
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

std::string_view byte_symbol(uint8_t byte) { return alphabet().text[byte]; }

std::string to_symbols(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += byte_symbol(static_cast<uint8_t>(c));
  return out;
}

std::optional<std::string> from_symbols(std::string_view symbols) {
  const Alphabet& a = alphabet();
  std::string out;
  for (size_t i = 0; i < symbols.size(); ++i) {
    uint32_t c = static_cast<uint8_t>(symbols[i]);
    if (c >= 0x80) {  // only two-byte sequences can be of the alphabet
      if ((c & 0xE0) != 0xC0 || i + 1 == symbols.size()) return std::nullopt;
      c = (c & 0x1F) << 6 | (static_cast<uint8_t>(symbols[++i]) & 0x3F);
    }
    if (c > kLastSymbol || a.byte[c] < 0) return std::nullopt;
    out += static_cast<char>(a.byte[c]);
  }
  return out;
}

std::array<uint8_t, 256> alphabet_order() {
  std::array<uint8_t, 256> order;
  for (int b = 0; b < 256; ++b) order[b] = static_cast<uint8_t>(b);
  const Alphabet& a = alphabet();
  std::sort(order.begin(), order.end(), [&](uint8_t x, uint8_t y) { return a.code_point[x] < a.code_point[y]; });
  return order;
}

}  // namespace ballast
