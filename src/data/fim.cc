#include "data/fim.h"

#include <algorithm>

#include "base/error.h"
#include "base/rng.h"

namespace ballast {
namespace {

// Keeps these draws apart from packing's, which may be given the same seed.
constexpr uint64_t kFimSeed = 0x66696d;

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

// Byte offset of the `index`-th code point border.
size_t border_at(std::string_view text, uint64_t index) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (starts_character(text[at]) && index-- == 0) break;
  }
  return at;
}

void append(std::vector<int32_t>& ids, int32_t control) {
  if (control >= 0) ids.push_back(control);
}

void append(std::vector<int32_t>& ids, const std::vector<int32_t>& span) {
  ids.insert(ids.end(), span.begin(), span.end());
}

}  // namespace

std::optional<FimCuts> fim_cuts(std::string_view text, double rate, uint64_t seed, uint64_t epoch, uint64_t document) {
  Rng rng(seed ^ kFimSeed, epoch << 40 | document);
  if (!(rng.uniform() < rate)) return std::nullopt;
  const auto borders = static_cast<uint64_t>(std::count_if(text.begin(), text.end(), starts_character)) + 1;
  const uint64_t a = rng.below(borders), b = rng.below(borders);
  return FimCuts{border_at(text, std::min(a, b)), border_at(text, std::max(a, b))};
}

void require_fim_tokens(const TextEncoder& encoder) {
  const ControlTokens& c = encoder.control;
  std::string missing;
  for (const auto& [name, id] :
       {std::pair{"fim_begin", c.fim_begin}, {"fim_hole", c.fim_hole}, {"fim_end", c.fim_end}, {"eos", c.eos}}) {
    if (id < 0) missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  if (!missing.empty()) {
    fail(ErrorKind::usage, "tokenizer",
         "filling in the middle needs the control tokens {}; set fim_rate to 0 or take a "
         "tokenizer that has them",
         missing);
  }
}

std::vector<int32_t> encode_document(const TextEncoder& encoder, std::string_view text,
                                     const std::optional<FimCuts>& cuts) {
  std::vector<int32_t> ids;
  append(ids, encoder.control.bos);
  if (cuts) {
    CHECK(cuts->first <= cuts->second && cuts->second <= text.size());
    append(ids, encoder.control.fim_begin);
    append(ids, encoder.encode(text.substr(0, cuts->first)));
    append(ids, encoder.control.fim_hole);
    append(ids, encoder.encode(text.substr(cuts->second)));
    append(ids, encoder.control.fim_end);
    append(ids, encoder.encode(text.substr(cuts->first, cuts->second - cuts->first)));
  } else {
    append(ids, encoder.encode(text));
  }
  append(ids, encoder.control.eos);
  return ids;
}

}  // namespace ballast
