// Filling in the middle (Bavarian et al., arXiv 2207.14255), as DeepSeek-V3 trains it (arXiv 2412.19437, section 4.1):
// prefix-suffix-middle, on whole documents, before packing, at rate 0.1:
//
//   bos <fim_begin> prefix <fim_hole> suffix <fim_end> middle eos
//
// The two cuts are uniform over all places between characters, so that a model also meets cuts inside of words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text_encoder.h"

namespace ballast {

// Byte offsets of the cuts, 0 <= first <= second <= text.size(), on code point borders.
struct FimCuts {
  size_t first = 0, second = 0;
};

// The cuts of a document, or nothing where it stays as it is. A pure function of its arguments: neither the order of
// documents nor other documents matter. `text` is valid UTF-8.
std::optional<FimCuts> fim_cuts(std::string_view text, double rate, uint64_t seed, uint64_t epoch, uint64_t document);

// Throws Error{usage} naming the tokens that the tokenizer lacks.
void require_fim_tokens(const TextEncoder& encoder);

// Token ids of a document: bos text eos, or rearranged at the cuts with the three spans tokenized separately.
// A tokenizer without bos or eos gives documents without it.
std::vector<int32_t> encode_document(const TextEncoder& encoder, std::string_view text,
                                     const std::optional<FimCuts>& cuts);

}  // namespace ballast
