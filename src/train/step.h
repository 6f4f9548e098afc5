// One training step's machinery around a model: the batch on the device, the arenas (sized by a dry run of the same code
// before step 0), gradients over micro-batches, and what comes back.
#pragma once

#include <memory>
#include <vector>

#include "data/batch.h"
#include "model/model.h"

namespace ballast {

struct StepOptions {
  double mtp_loss_weight = 0.3;  // lambda of DeepSeek-V3 eq. 25
  double aux_seq = 0, aux_global = 0;
  bool backward = true;          // false: losses only (validation); needs no gradient memory
  bool keep_activations = true;  // false: layers' inputs alone; backward repeats the rest. No trace then
  bool route_tape = false;       // keep the router's scores and choices of the last micro-batch in pass()
};

struct LossSums {
  double loss = 0, mtp_loss = 0;  // nats, summed over targets
  int64_t targets = 0, mtp_targets = 0, correct = 0;
  double mean() const { return targets ? loss / static_cast<double>(targets) : 0; }
  LossSums& operator+=(const LossSums& o) {
    loss += o.loss;
    mtp_loss += o.mtp_loss;
    targets += o.targets;
    mtp_targets += o.mtp_targets;
    correct += o.correct;
    return *this;
  }
  double mtp_mean() const { return mtp_targets ? mtp_loss / static_cast<double>(mtp_targets) : 0; }
};

class TrainStep {
 public:
  // Batches will have `shape`'s rows, sequence length and segment capacity. Plans and allocates; on a device that is
  // planning already, it stays a plan that knows its sizes and cannot run.
  TrainStep(Model& model, const BatchShape& shape, const StepOptions& options);

  // Clears gradients (lazily), counts and auxiliary sums.
  void begin();
  void begin_forward_only();  // the same, leaving the gradients of a step in progress alone
  // Forward, and backward if asked for, of one of `micro_batches` micro-batches of the step whose targets number
  // `targets` and `mtp_targets` in all. Counts loads when `count`.
  LossSums run(const Batch& batch, int64_t targets, int64_t mtp_targets, int64_t micro_batches, bool count,
               Trace* trace = nullptr);

  // After the step: tokens routed to each expert, by MoE layer (exact counts of all micro-batches since begin()).
  std::vector<std::vector<int64_t>> loads();
  // Sum over layers of the auxiliary losses of the last micro-batch: {sequence-wise, global}.
  std::pair<double, double> aux_losses();
  Tensor nonfinite() const { return nonfinite_; }  // i32 (1): the router's sticky flag; begin() clears it

  size_t input_bytes() const { return inputs_.high_water(); }  // the batch, and what comes back
  size_t saved_bytes() const { return saved_.high_water(); }
  size_t scratch_bytes() const { return scratch_.high_water(); }
  Context& context() { return ctx_; }
  // What the dry run counted: FLOPs and bytes of one micro-batch by op.
  const std::map<std::string, OpRecord>& planned() const { return planned_; }
  std::vector<double> token_losses();  // of the last run, by token
  // What the last run read and wrote, on the device: losses by token and their factors in the total, auxiliary losses.
  const TrainBatch& tensors() const { return batch_; }
  const Pass& pass() const { return pass_; }

 private:
  void allocate_inputs(const BatchShape& shape);
  void upload(const Batch& batch, int64_t targets, int64_t mtp_targets, int64_t micro_batches);
  void set_scalar(const Tensor& t, double value);
  std::vector<double> floats_of(const Tensor& t);
  double scalar_at(const Tensor& t, int64_t i);

  Model& model_;
  StepOptions options_;
  Arena inputs_, saved_, scratch_;
  Context ctx_;
  Pass pass_;
  TrainBatch batch_;
  Tensor load_, nonfinite_;
  std::map<std::string, OpRecord> planned_;
};

}  // namespace ballast
