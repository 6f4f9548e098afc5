#include "base/utf8.h"

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>

namespace ballast {
namespace {

struct Sequence {
  int length;  // of the well-formed sequence or of its longest well-formed beginning, at least 1
  bool whole;
};

// What stands at the front of `text`, which is not empty.
Sequence scan(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {1, true};
  const int need = lead >= 0xC2 && lead <= 0xDF ? 2 : (lead & 0xF0) == 0xE0 ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
  if (need == 0) return {1, false};
  // The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF.
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (int i = 1; i < need; ++i) {
    if (static_cast<size_t>(i) == text.size()) return {i, false};
    if (byte(i) < (i == 1 ? low : 0x80) || byte(i) > (i == 1 ? high : 0xBF)) return {i, false};
  }
  return {need, true};
}

// Of a well-formed sequence of one to three bytes; others are no control characters.
uint32_t code_point(std::string_view sequence) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(sequence[i])); };
  if (sequence.size() == 1) return byte(0);
  if (sequence.size() == 2) return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
  if (sequence.size() == 3) return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  return 0x10000;
}

// C0, DEL, C1; line and paragraph separator; what turns the direction of writing.
bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

int utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const Sequence s = scan(text);
  return s.whole ? s.length : 0;
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Sequence s = scan(text);
    out += s.whole ? text.substr(0, s.length) : std::string_view("\xEF\xBF\xBD");
    text.remove_prefix(s.length);
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  const std::string valid = valid_utf8(text);
  for (std::string_view rest = valid; !rest.empty();) {
    const std::string_view sequence = rest.substr(0, static_cast<size_t>(utf8_length(rest)));
    rest.remove_prefix(sequence.size());
    const uint32_t c = code_point(sequence);
    if (!is_control(c)) {
      out += sequence;
    } else if (c == '\n' || c == '\t') {
      out += c == '\n' ? "\\n" : "\\t";
    } else {
      out += c < 0x80 ? fmt::format("\\x{:02x}", c) : fmt::format("\\u{:04x}", c);
    }
  }
  return out;
}

}  // namespace ballast
