// Bits per byte of held-out documents, of a model and of its trivial rivals, over exactly the same bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/stats.h"
#include "data/corpus.h"
#include "eval/generator.h"

namespace ballast {

using Documents = std::vector<const Document*>;

struct DocumentBits {
  std::string path, package;
  int64_t bytes = 0;   // UTF-8, all of the document
  double bits = 0;     // what they cost
  int64_t tokens = 0;  // of a model: scored ids, and how many of them were the most probable one
  int64_t right = 0;
};

struct HeldOutResult {
  std::string name;  // "model", "ngram5", ...
  std::string note;  // how it was measured, for people
  std::vector<DocumentBits> documents;

  double bpb() const;        // all bits over all bytes
  double macro_bpb() const;  // mean over packages of their bits over their bytes
  double accuracy() const;   // share of tokens that were the most probable one; 0 without tokens
  int64_t bytes() const;
  // 95 %, resampling files; says nothing about other training seeds.
  Interval interval(uint64_t seed) const;
  Json to_json(uint64_t seed) const;  // with a record per document
};

// True where `model` needs fewer bits than `rival` and the 95 % interval of the difference in bits per byte, resampling
// files, lies below 0. What does not beat its trivial rivals is at floor. Both measured the same documents.
bool beats(const HeldOutResult& model, const HeldOutResult& rival, uint64_t seed);

// Whole documents in a seeded order until `max_bytes` (0: all) are reached, those that would exceed it left out; at
// least one. Sorted by path again.
Documents sample_documents(const Documents& documents, int64_t max_bytes, uint64_t seed);

struct HeldOutOptions {
  // Windows of the model's context begin every `stride` tokens of a document; each scores the tokens that none before
  // it scored, so a token sees context - stride tokens at least, where its document has them. 0: the context, no
  // overlap.
  int64_t stride = 0;
  int64_t requests_per_call = 8;
};

// The model's. Every document starts afresh after bos; its own tokens are scored and nothing else: neither bos nor eos,
// which stand for no bytes. Without a bos the first token costs log2(vocabulary). Shows its progress.
HeldOutResult score_held_out(Generator& model, const Documents& documents, const HeldOutOptions& options);

}  // namespace ballast
