// From documents to a shard: tokenize, rearrange some for filling in the middle, write. The document's place in the
// corpus keys the draws, so the same corpus, tokenizer, rate and seed give the same file, byte for byte.
#pragma once

#include <filesystem>
#include <string>

#include "data/corpus.h"
#include "data/fim.h"
#include "data/shards.h"

namespace ballast {

struct FimOptions {
  double rate = 0.1;  // of the training documents; held-out ones are never rearranged
  uint64_t seed = 0;
};

// Writes the part `split` of the corpus. Throws Error{usage} where the tokenizer lacks the tokens that the rate needs.
void build_shard(const std::filesystem::path& path, const Corpus& corpus, Split split, const TextEncoder& encoder,
                 const FimOptions& fim);

}  // namespace ballast
