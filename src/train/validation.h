// Held-out loss during training: the same windows every time, forward only, with load counting off.
#pragma once

#include <memory>
#include <vector>

#include "data/packing.h"
#include "train/config.h"
#include "train/step.h"

namespace ballast {

struct ValidationResult {
  double loss = 0;      // nats per target
  double bpb = 0;       // bits per byte of text; 0 where bytes are not known
  double accuracy = 0;  // of the next token, top-1
  int64_t targets = 0;
};

// How a recipe's training and validation run.
StepOptions training_options(const RunConfig& config);
StepOptions validation_options(const RunConfig& config);

// The text of data.tokenizer, which is to be read by this program and to fit the model; empty where none is named.
// Throws Error naming the file or model.vocab_size.
std::string tokenizer_text(const RunConfig& config);

class Validation {
 public:
  // Reads its windows once. Throws Error{usage} where the configuration names no held-out data, or
  // a shard of other tokens than the model's or data.tokenizer's.
  Validation(Model& model, const RunConfig& config);
  ValidationResult run();
  // Routes the first batch. What came of it (route_scores, route_ids) stays until the next run() or probe(). Needs
  // balance.probe_every.
  const Pass& probe();

 private:
  std::vector<Batch> batches_;
  double bytes_per_target_ = 0;
  std::unique_ptr<TrainStep> step_;
};

// Where training batches come from, as the configuration says; keeps what they read from alive. Throws Error where
// data, data.tokenizer and model do not belong together.
class TrainingData {
 public:
  explicit TrainingData(const RunConfig& config);
  BatchSource& source() { return *source_; }
  BatchShape shape() const { return source_->shape(); }
  const std::string& hash() const { return hash_; }         // of the data file
  const std::string& tokenizer() const { return tokenizer_; }  // the text of data.tokenizer as it was at the start
  const std::string& corpus_hash() const { return corpus_; }

 private:
  std::unique_ptr<ShardReader> shard_;
  std::unique_ptr<BatchSource> source_;
  std::string hash_, corpus_, tokenizer_;
};

}  // namespace ballast
