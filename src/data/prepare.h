// From sources to what training reads: a tokenizer, a manifest and two shards in one folder.
#pragma once

#include <filesystem>
#include <string>

#include "data/build_shard.h"
#include "data/corpus.h"
#include "tokenizer/tokenizer.h"

namespace ballast {

struct TokenizerTraining {
  int vocab_size = 8192;

  template <class V>
  void visit(V& v) {
    v("vocab_size", vocab_size, "tokens, control tokens included; at least 256 bytes and those");
  }
};

struct TokenizerRecipe {
  CorpusOptions corpus;
  TokenizerTraining tokenizer;

  template <class V>
  void visit(V& v) {
    v.section("corpus", corpus, "where the documents come from; the tokenizer sees the training part");
    v.section("tokenizer", tokenizer, "byte-level BPE");
  }
};

struct TokenizerChoice : TokenizerTraining {
  std::string file;

  template <class V>
  void visit(V& v) {
    v("file", file, "tokenizer.json to use; empty: one is trained on the training part");
    TokenizerTraining::visit(v);
  }
};

struct TrainingDocuments : CorpusOptions {
  bool repo_context = false;

  template <class V>
  void visit(V& v) {
    CorpusOptions::visit(v);
    v("repo_context", repo_context,
      "a training document is a whole repository (package): its files, each after those it imports, with their paths; "
      "held-out documents stay files");
  }
};

struct CorpusRecipe {
  TrainingDocuments corpus;
  TokenizerChoice tokenizer;
  FimOptions fim;

  template <class V>
  void visit(V& v) {
    v.section("corpus", corpus, "where the documents come from");
    v.section("tokenizer", tokenizer, "what they are cut into");
    v.section("fim", fim, "filling in the middle");
  }
};

// Trains on the training part: on all of it up to 64 MB, else on as much of it, files by the order of their sha256.
// Shows progress. Throws Error{usage} where the vocabulary is too small.
Tokenizer train_tokenizer(const CorpusIndex& corpus, int vocab_size);

struct PreparedCorpus {
  std::filesystem::path manifest, tokenizer, train_shard, held_out_shard;
  Json report;  // CorpusIndex::report(), and tokens and documents of each shard
};

// Writes manifest.jsonl, tokenizer.json (with tokenizer_config.json), train.shard and held_out.shard to `folder`: first
// to a folder in it, then, when all are whole and on the disk, they are renamed into place, the manifest last. Whatever
// fails or interrupts before the renames leaves `folder` as it was. Should one of the renames fail, or the machine stop
// between them, the shards' headers tell (require_one_corpus). Shows progress. Texts are never all in memory. Throws
// what scan_corpus, the tokenizer and build_shard throw.
PreparedCorpus prepare_corpus(const CorpusRecipe& recipe, const std::filesystem::path& folder, int threads = 0);

}  // namespace ballast
