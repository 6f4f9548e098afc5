// A tokenizer.json, and behind its first zero byte a text to encode. A vocabulary has at least 243 tokens, one for each
// byte that UTF-8 can hold; a seed may say "@":0 in place of them.
#include <algorithm>

#include "base/utf8.h"
#include "fuzz/target.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_json.h"

namespace ballast::fuzz {
namespace {

constexpr std::string_view kAlphabet = "\"@\":0";

std::string with_alphabet(std::string_view text) {
  const size_t at = text.find(kAlphabet);
  if (at == std::string_view::npos) return std::string(text);
  std::string bytes;
  for (int b = 0; b < 256; ++b)
    bytes += (b ? "," : "") + Json(byte_symbol(static_cast<uint8_t>(b))).dump() + ":" + std::to_string(b);
  return std::string(text.substr(0, at)) + bytes + std::string(text.substr(at + kAlphabet.size()));
}

void use(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool control : {false, true}) {
    const auto ids = control ? tokenizer.encode_with_control(text) : tokenizer.encode(text);
    for (const int32_t id : ids) CHECK(id >= 0 && id < tokenizer.vocab_size());
    if (!control) CHECK(std::none_of(ids.begin(), ids.end(), [&](int32_t id) { return tokenizer.is_control(id); }));
    if (valid_utf8(text) == text) CHECK(tokenizer.decode(ids) == text);
  }
}

}  // namespace
}  // namespace ballast::fuzz

extern "C" int BALLAST_FUZZ_TARGET(const uint8_t* data, size_t size) {
  using namespace ballast;
  const std::string_view input = fuzz::text_of(data, size);
  const size_t end = std::min(input.find('\0'), input.size());
  const std::string json = fuzz::with_alphabet(input.substr(0, end));
  fuzz::accepts([&] {
    const Tokenizer tokenizer(parse_tokenizer_json(json, "tokenizer.json"), "tokenizer.json");
    fuzz::use(tokenizer, "int main() { return 0x1F; }\n");
    fuzz::use(tokenizer, input.substr(std::min(end + 1, input.size())));
    const std::string written = tokenizer_json_text(tokenizer.spec());
    CHECK(tokenizer_json_text(parse_tokenizer_json(written, "written")) == written);
  });
  return 0;
}
