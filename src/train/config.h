// A training run as a recipe (TOML) or command line describes it.
#pragma once

#include <string>
#include <vector>

#include "model/config.h"
#include "model/moe/balance_rule.h"
#include "train/optimizer.h"

namespace ballast {

struct DataConfig {
  std::string train_shard, valid_shard;      // of `ballast corpus`
  std::string train_windows, valid_windows;  // or raw little-endian u16 windows of seq_len ids
  double bytes_per_token = 0;                // of the validation windows, for bits per byte; shards know theirs
  std::string tokenizer;                     // tokenizer.json, copied beside every checkpoint
  int64_t seq_len = 512;
  int64_t batch_size = 8;                    // windows per micro-batch
  bool isolate_documents = true;

  template <class V>
  void visit(V& v) {
    v("train_shard", train_shard, "training shard, as `ballast corpus` writes it");
    v("valid_shard", valid_shard, "held-out shard");
    v("train_windows", train_windows, "instead of a shard: raw u16 windows of seq_len ids");
    v("valid_windows", valid_windows, "the same, held out");
    v("bytes_per_token", bytes_per_token, "bytes per token of valid_windows, for bits per byte");
    v("tokenizer", tokenizer, "tokenizer.json, copied beside every checkpoint");
    v("seq_len", seq_len, "tokens per window");
    v("batch_size", batch_size, "windows per micro-batch");
    v("isolate_documents", isolate_documents, "documents packed into one window do not see each other");
  }
};

// Warm-up, plateau, fall. Without a plateau and with the cosine: the usual cosine schedule. With a plateau up to 0.8 or 0.9 of
// the steps and a linear or 1-sqrt fall: warmup-stable-decay (WSD; Haegele et al., arXiv 2405.18392).
struct ScheduleConfig {
  int64_t steps = 1000;
  double warmup = 0.05;       // share of the steps
  double constant_until = 0;  // share of the steps
  std::string decay = "cosine";
  double final_ratio = 0.1;   // of the peak, at the end
  int64_t stop_after = 0;     // steps actually run, on the schedule of all `steps`; 0: all

  template <class V>
  void visit(V& v) {
    v("steps", steps, "optimizer steps of the whole schedule");
    v("warmup", warmup, "share of the steps over which the learning rate rises");
    v("constant_until", constant_until, "share of the steps up to which it stays at its peak (WSD: 0.8 or 0.9)");
    v("decay", decay, "how it falls from there: cosine, linear or 1-sqrt");
    v("final_ratio", final_ratio, "learning rate at the end, as a share of the peak");
    v("stop_after", stop_after, "stop after this many steps of the schedule; 0 runs all");
  }
  // Learning rate of step `step` (from 0), as a share of the peak.
  double factor(int64_t step) const;
  static std::vector<std::string> decays() { return {"cosine", "linear", "1-sqrt"}; }
  int64_t run_steps() const { return stop_after > 0 && stop_after < steps ? stop_after : steps; }
};

struct AuxConfig {
  double seq = 1e-4;    // sequence-wise balance loss
  double global = 0;    // global-batch balance loss
  template <class V>
  void visit(V& v) {
    v("seq", seq, "weight of the sequence-wise balance loss (DeepSeek-V3: 0.0001)");
    v("global", global, "weight of the global-batch balance loss");
  }
};

struct LoopConfig {
  std::string dtype = "auto";        // auto: bf16 where the CPU multiplies it natively, else f32
  int64_t seed = 0;
  int64_t micro_batches = 1;         // gradient accumulation
  bool recompute = false;            // activations, in backward
  double mtp_loss_weight = 0.3;
  int64_t eval_every = 100, eval_windows = 64;
  int64_t sample_every = 0;
  int64_t log_every = 20;            // progress lines without a terminal
  int64_t checkpoint_every = 200;
  int64_t keep_last = 2;
  bool keep_best = true;
  int64_t max_bad_steps = 20;        // non-finite steps in a row before giving up

  template <class V>
  void visit(V& v) {
    v("dtype", dtype, "compute type of the matrices: auto, f32 or bf16 (masters, norms, router and loss are f32 always)");
    v("seed", seed, "seed of weights and data order");
    v("micro_batches", micro_batches, "micro-batches accumulated per optimizer step");
    v("recompute", recompute, "keep only the layers' inputs and repeat each layer's forward for its backward: less memory, "
                              "about a fifth more time, the same results to the bit");
    v("mtp_loss_weight", mtp_loss_weight, "weight of the multi-token prediction loss");
    v("eval_every", eval_every, "validate every so many steps, with load counting off; 0: only at the end");
    v("eval_windows", eval_windows, "windows per validation; 0: all held-out windows");
    v("sample_every", sample_every, "print a sample every so many steps; 0: never");
    v("log_every", log_every, "steps between plain progress lines where there is no terminal");
    v("checkpoint_every", checkpoint_every, "steps between checkpoints; 0: only at the end");
    v("keep_last", keep_last, "checkpoints kept");
    v("keep_best", keep_best, "keep the checkpoint of the lowest validation loss as well");
    v("max_bad_steps", max_bad_steps, "stop after this many skipped steps in a row");
  }
};

struct RunConfig {
  ModelConfig model;
  DataConfig data;
  ScheduleConfig schedule;
  OptimizerConfig optimizer;
  BalanceConfig balance;
  AuxConfig aux;
  LoopConfig train;

  template <class V>
  void visit(V& v) {
    v.section("model", model, "shape of the model, in the keys of config.json");
    v.section("data", data, "what it reads");
    v.section("schedule", schedule, "length of the run and its learning rate");
    v.section("optimizer", optimizer, "AdamW");
    v.section("balance", balance, "the router's bias");
    v.section("aux", aux, "auxiliary balance losses");
    v.section("train", train, "the loop");
  }
};

// Throws Error{usage} naming the first key that cannot be.
void validate(const RunConfig& config);

// "auto" resolved for this CPU. bf16 on a CPU without native bf16 products is allowed, and slow.
DType compute_dtype(const std::string& name);

}  // namespace ballast
