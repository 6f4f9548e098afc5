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

// Where a corpus is written until it is whole: in its folder, so that what is there already stays as it is, and moving
// takes renames alone. What is left of it when something fails goes away.
class PartialFolder {
 public:
  explicit PartialFolder(const fs::path& folder) : folder_(folder), path_(folder / ".partial-corpus") {
    std::error_code error;
    fs::remove_all(path_, error);  // of a process that was killed
    made_ = !fs::exists(folder_, error);
    fs::create_directories(path_, error);
    if (!error) return;
    clear();
    fail(ErrorKind::file, path_.string(), "cannot make the folder: {}", error.message());
  }
  ~PartialFolder() { clear(); }
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;
  const fs::path& path() const { return path_; }

  // `last` comes last: what it speaks of is there.
  void move_into_place(const fs::path& last) {
    std::vector<fs::path> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
      if (entry.path().filename() != last) names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    names.push_back(last);
    for (const fs::path& name : names) {
      std::error_code error;
      fs::rename(path_ / name, folder_ / name, error);
      if (!error) continue;
      fail(ErrorKind::device, (folder_ / name).string(),
           "cannot be replaced: {}; the folder holds files of two corpora, run it again", error.message());
    }
    made_ = false;
    sync_folder(folder_);
  }

 private:
  void clear() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
    if (made_) fs::remove(folder_, ignored);  // where nothing else is in it
  }

  const fs::path folder_, path_;
  bool made_ = false;
};

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
  require_writable_folder(folder);
  log_info("collecting documents");
  const CorpusIndex corpus = scan_corpus(recipe.corpus, threads);
  log_info("{}: {} of {} files kept", corpus.origin,
           corpus.files(Split::train).size() + corpus.files(Split::held_out).size(), corpus.manifest.size());
  const Tokenizer tokenizer = recipe.tokenizer.file.empty() ? train_tokenizer(corpus, recipe.tokenizer.vocab_size)
                                                            : Tokenizer::load(recipe.tokenizer.file);
  TextEncoder encoder = text_encoder(tokenizer, "");
  require_fim_rate(recipe.fim, encoder);

  PreparedCorpus made{folder / "manifest.jsonl", folder / "tokenizer.json", folder / "train.shard",
                      folder / "held_out.shard", corpus.report()};
  PartialFolder partial(folder);
  const auto unfinished = [&](const fs::path& file) { return partial.path() / file.filename(); };
  tokenizer.save(unfinished(made.tokenizer));
  encoder.hash = sha256_hex(read_file(unfinished(made.tokenizer)));
  corpus.write_manifest(unfinished(made.manifest));
  const auto shard = [&](const fs::path& file, Split split) {
    return write_shard(unfinished(file), corpus, split, encoder, recipe, threads);
  };
  made.report["train_shard"] = shard(made.train_shard, Split::train);
  made.report["held_out_shard"] = shard(made.held_out_shard, Split::held_out);
  partial.move_into_place(made.manifest.filename());
  return made;
}

}  // namespace ballast
