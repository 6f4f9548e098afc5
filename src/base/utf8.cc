#include "base/utf8.h"

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

}  // namespace ballast
