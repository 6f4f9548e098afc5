// From documents to a shard: tokenize, rearrange some for filling in the middle, write. The document's place in the
// corpus keys the draws, so the same corpus, tokenizer, rate and seed give the same file, byte for byte.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "data/corpus.h"
#include "data/fim.h"
#include "data/shards.h"

namespace ballast {

struct FimOptions {
  double rate = 0.1;  // of the training documents; held-out ones are never rearranged
  int64_t seed = 0;
  int64_t piece_bytes = 0;

  template <class V>
  void visit(V& v) {
    v("rate", rate, "share of the training documents rearranged to prefix, suffix, middle; held-out ones never are");
    v("seed", seed, "seed of which ones, and of the cuts");
    v("piece_bytes", piece_bytes,
      "cut those documents into pieces of so many bytes first, at line breaks, each a document rearranged by itself: "
      "then "
      "a short window can hold prefix, suffix and middle; 0: whole documents");
  }
};

// Throws Error{usage} for a rate outside [0, 1] or negative pieces, or where the tokenizer lacks the tokens that it
// needs.
void require_fim_rate(const FimOptions& fim, const TextEncoder& encoder);

// Writes the part `split` of the corpus, a document for every file; on_files(done) is called after each document. Texts
// are read as they are needed; the file does not depend on `threads` (0: all cores), of which the encoder must not mind
// several. Throws as require_fim_rate does, and what CorpusIndex::read throws.
//
// With `repo_context`, the files of a training repository are one document (corpus/repository_documents.h), but for
// those that are drawn for filling in the middle: they are what they are without it, documents of their own, after the
// repository's. The draws are the same ones. Held-out documents are single files always.
void build_shard(const std::filesystem::path& path, const CorpusIndex& corpus, Split split, const TextEncoder& encoder,
                 const FimOptions& fim, const std::function<void(int64_t)>& on_files = {}, int threads = 1,
                 bool repo_context = false);

}  // namespace ballast
