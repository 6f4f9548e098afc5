#include "data/prepare.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "tokenizer/trainer.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

constexpr int64_t kTokenizerSample = 64'000'000;  // bytes; more would change few of some ten thousand merges

void stop_if_interrupted(const char* stage) {
  if (interrupted()) fail(ErrorKind::interrupted, stage, "interrupted; nothing of it was written");
}

Json write_shard(const fs::path& path, const CorpusIndex& corpus, Split split, const TextEncoder& encoder,
                 const CorpusRecipe& recipe, int threads) {
  const auto files = static_cast<int64_t>(corpus.files(split).size());
  Progress progress(fmt::format("shard {}", split_name(split)), files, "files");
  build_shard(
      path, corpus, split, encoder, recipe.fim,
      [&](int64_t done) {
        stop_if_interrupted("shard");
        progress.update(done);
      },
      threads, recipe.corpus.repo_context);
  progress.finish();
  const ShardReader shard(path);
  Json out = Json::object();
  out["documents"] = shard.documents();
  out["tokens"] = shard.tokens();
  out["bytes_per_token"] = static_cast<double>(shard.text_bytes()) / static_cast<double>(shard.tokens());
  return out;
}

// The files that the tokenizer learns from, in the order of their paths.
std::vector<uint32_t> training_sample(const CorpusIndex& corpus) {
  std::vector<uint32_t> files = corpus.files(Split::train);
  if (corpus.bytes(Split::train) <= kTokenizerSample) return files;
  const auto& manifest = corpus.manifest;
  std::sort(files.begin(), files.end(),
            [&](uint32_t a, uint32_t b) { return manifest[a].sha256 < manifest[b].sha256; });
  int64_t taken = 0;
  const auto full = [&](uint32_t file) { return (taken += manifest[file].bytes) > kTokenizerSample; };
  files.erase(std::find_if(files.begin(), files.end(), full), files.end());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Tokenizer train_tokenizer(const CorpusIndex& corpus, int vocab_size) {
  Progress progress("tokenizer", vocab_size, "tokens");
  TrainerOptions options;
  options.progress = [&](int64_t done, int64_t total) {
    stop_if_interrupted("tokenizer");
    progress.update(done + vocab_size - total);
  };
  BpeTrainer trainer(options);
  for (const uint32_t file : training_sample(corpus)) {
    stop_if_interrupted("tokenizer");
    trainer.add(corpus.read(file));
  }
  Tokenizer tokenizer = trainer.train(vocab_size);
  progress.finish();
  if (tokenizer.vocab_size() < vocab_size)
    log_warning("the corpus has no more pairs to merge: {} tokens instead of {}", tokenizer.vocab_size(), vocab_size);
  return tokenizer;
}

PreparedCorpus prepare_corpus(const CorpusRecipe& recipe, const fs::path& folder, int threads) {
  log_info("collecting documents");
  const CorpusIndex corpus = scan_corpus(recipe.corpus, threads);
  log_info("{}: {} of {} files kept", corpus.origin,
           corpus.files(Split::train).size() + corpus.files(Split::held_out).size(), corpus.manifest.size());
  const Tokenizer tokenizer = recipe.tokenizer.file.empty() ? train_tokenizer(corpus, recipe.tokenizer.vocab_size)
                                                            : Tokenizer::load(recipe.tokenizer.file);
  TextEncoder encoder = text_encoder(tokenizer, "");
  require_fim_rate(recipe.fim, encoder);

  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ErrorKind::file, folder.string(), "cannot make the folder: {}", error.message());
  PreparedCorpus made{folder / "manifest.jsonl", folder / "tokenizer.json", folder / "train.shard",
                      folder / "held_out.shard", corpus.report()};
  tokenizer.save(made.tokenizer);
  encoder.hash = sha256_hex(read_file(made.tokenizer));
  corpus.write_manifest(made.manifest);
  made.report["train_shard"] = write_shard(made.train_shard, corpus, Split::train, encoder, recipe, threads);
  made.report["held_out_shard"] = write_shard(made.held_out_shard, corpus, Split::held_out, encoder, recipe, threads);
  return made;
}

}  // namespace ballast
