// The training loop: `ballast train`.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "dist/communicator.h"
#include "train/config.h"
#include "train/validation.h"

namespace ballast {

struct TrainOptions {
  RunConfig config;
  std::filesystem::path run;                      // run/<name>
  bool resume = false;                            // go on from the newest checkpoint there, if there is one
  std::optional<std::filesystem::path> init_from; // weights of a Hugging Face checkpoint, fresh optimizer
  int threads = 0;                                // of each rank
  Communicator* ranks = nullptr;                  // data-parallel ranks, this one among them; null: one
};

// What a caller that stands higher adds.
struct TrainHooks {
  std::function<void(Model& model, int64_t step)> sample;      // every train.sample_every steps
  std::function<void(int64_t step, const Json& metrics)> step; // after each step's record
};

struct TrainSummary {
  int64_t steps = 0, tokens = 0;
  double seconds = 0, tok_per_s = 0;  // of this process, in steps: without validation, samples and checkpoints
  double ceiling_share = 0;  // step's matrix products at the rate measured in this run, over the step's time
  double val_loss_first = 0, val_loss_last = 0, val_bpb = 0;
  double train_loss_last = 0;
  double max_vio_worst = 0, max_vio_mean = 0;  // mean of the last 20 steps: worst layer, mean over layers
  int64_t dead = 0, skipped_steps = 0;
  bool balanced_at_half = false;  // every layer's 20-step mean MaxVio was below 0.5 at half of the run
  bool interrupted = false;
  std::filesystem::path checkpoint;
  Json to_json() const;
};

// Trains to the end of the schedule, to SIGINT, SIGTERM or SIGHUP (finishes the step, saves; summary.interrupted) or to an
// error. With several ranks every rank makes this call: micro-batches are dealt out, the leading rank alone validates,
// records, samples and saves, and all ranks return together.
TrainSummary train(const TrainOptions& options, const TrainHooks& hooks = {});

}  // namespace ballast
