#include "train/validation.h"

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "base/hash.h"
#include "tokenizer/tokenizer.h"

namespace ballast {
namespace {

// Windows of a raw file, the last batch filled up with windows that count for nothing.
std::vector<Batch> window_batches(const RunConfig& c) {
  const FixedWindowIterator source(c.data.valid_windows, c.data.seq_len, c.data.batch_size, c.model.vocab_size);
  const int64_t windows = c.train.eval_windows > 0 ? std::min(c.train.eval_windows, source.windows()) : source.windows();
  std::vector<Batch> batches;
  for (int64_t first = 0; first < windows; first += c.data.batch_size) {
    Batch b = source.read(first, c.data.batch_size);
    for (int64_t row = windows - first; row < c.data.batch_size; ++row)
      for (int64_t i = row * c.data.seq_len; i < (row + 1) * c.data.seq_len; ++i) {
        b.n_valid -= b.targets[i] >= 0;
        b.n_valid_mtp -= b.mtp_targets[i] >= 0;
        b.targets[i] = b.mtp_targets[i] = -1;
      }
    batches.push_back(std::move(b));
  }
  return batches;
}

std::vector<Batch> shard_batches(const RunConfig& c, const ShardReader& shard) {
  BatchIterator source(shard, {c.data.seq_len, c.data.batch_size, 0, c.data.isolate_documents});
  const int64_t windows = c.train.eval_windows > 0 ? std::min(c.train.eval_windows, source.windows_per_epoch())
                                                   : source.windows_per_epoch();
  std::vector<Batch> batches;
  for (int64_t i = 0; i < std::max<int64_t>(1, windows / c.data.batch_size); ++i) batches.push_back(source.next());
  return batches;
}

// A shard's tokens must be the model's, and of the tokenizer that goes into the checkpoints.
void require_fit(const RunConfig& c, const ShardReader& shard, const std::string& path) {
  if (shard.header().vocab_size > c.model.vocab_size)
    fail(ErrorKind::usage, "model.vocab_size", "{} is smaller than the {} of {}", c.model.vocab_size, shard.header().vocab_size, path);
  if (!c.data.tokenizer.empty() && sha256_hex(read_file(c.data.tokenizer)) != shard.header().tokenizer_hash)
    fail(ErrorKind::usage, "data.tokenizer",
         "{} did not make the tokens of {}; give the tokenizer.json that `ballast corpus` wrote beside it", c.data.tokenizer, path);
}

}  // namespace

std::string tokenizer_text(const RunConfig& c) {
  if (c.data.tokenizer.empty()) return {};
  const Tokenizer tokenizer = Tokenizer::load(c.data.tokenizer);
  if (tokenizer.vocab_size() > c.model.vocab_size)
    fail(ErrorKind::usage, "model.vocab_size", "{} is smaller than the {} of {}", c.model.vocab_size, tokenizer.vocab_size(),
         c.data.tokenizer);
  return read_file(c.data.tokenizer);
}

StepOptions training_options(const RunConfig& c) {
  return {.mtp_loss_weight = c.train.mtp_loss_weight, .aux_seq = c.aux.seq, .aux_global = c.aux.global,
          .keep_activations = !c.train.recompute};
}

StepOptions validation_options(const RunConfig& c) {
  return {.backward = false, .keep_activations = false, .route_tape = c.balance.probe_every > 0};
}

Validation::Validation(Model& model, const RunConfig& c) {
  if (!c.data.valid_windows.empty()) {
    batches_ = window_batches(c);
    bytes_per_target_ = c.data.bytes_per_token;
  } else if (!c.data.valid_shard.empty()) {
    const ShardReader shard(c.data.valid_shard);
    require_fit(c, shard, c.data.valid_shard);
    batches_ = shard_batches(c, shard);
    // bos is never predicted.
    bytes_per_target_ = static_cast<double>(shard.text_bytes()) / static_cast<double>(shard.tokens() - shard.documents());
  } else {
    fail(ErrorKind::usage, "data.valid_shard", "no held-out data: give data.valid_shard or data.valid_windows");
  }
  step_ = std::make_unique<TrainStep>(model, batches_.front(), validation_options(c));
}

ValidationResult Validation::run() {
  LossSums sums;
  for (const Batch& b : batches_) {
    step_->begin_forward_only();
    const LossSums s = step_->run(b, b.n_valid, b.n_valid_mtp, 1, false);
    sums.loss += s.loss;
    sums.targets += s.targets;
    sums.correct += s.correct;
  }
  ValidationResult r{.loss = sums.mean(), .targets = sums.targets};
  r.accuracy = static_cast<double>(sums.correct) / static_cast<double>(std::max<int64_t>(1, sums.targets));
  if (bytes_per_target_ > 0) r.bpb = r.loss / M_LN2 / bytes_per_target_;
  return r;
}

const Pass& Validation::probe() {
  const Batch& b = batches_.front();
  step_->begin_forward_only();
  step_->run(b, b.n_valid, b.n_valid_mtp, 1, false);
  return step_->pass();
}

TrainingData::TrainingData(const RunConfig& c) : tokenizer_(tokenizer_text(c)) {
  if (!c.data.train_windows.empty()) {
    source_ = std::make_unique<FixedWindowIterator>(c.data.train_windows, c.data.seq_len, c.data.batch_size, c.model.vocab_size);
    const MappedFile file(c.data.train_windows);
    hash_ = corpus_ = sha256_hex(file.bytes());
  } else if (!c.data.train_shard.empty()) {
    shard_ = std::make_unique<ShardReader>(c.data.train_shard);
    require_fit(c, *shard_, c.data.train_shard);
    if (c.data.valid_windows.empty() && !c.data.valid_shard.empty())
      require_one_corpus(c.data.train_shard, shard_->header(), c.data.valid_shard, ShardReader(c.data.valid_shard).header());
    const PackingOptions options{c.data.seq_len, c.data.batch_size, static_cast<uint64_t>(c.train.seed), c.data.isolate_documents};
    source_ = std::make_unique<BatchIterator>(*shard_, options);
    hash_ = shard_->hash();
    corpus_ = shard_->header().corpus_hash;
  } else {
    fail(ErrorKind::usage, "data.train_shard", "no training data: give data.train_shard (made by `ballast corpus`) or data.train_windows");
  }
}

}  // namespace ballast
