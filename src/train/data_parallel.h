// Data parallelism: a step's micro-batches are dealt out to the ranks, and what they computed is summed before the
// update, so that every rank makes the same one. As DeepSeek-V3's recipe without its expert parallelism (arXiv
// 2412.19437, 3.2).
#pragma once

#include <utility>

#include "dist/communicator.h"
#include "train/config.h"
#include "train/load_statistics.h"
#include "train/step.h"

namespace ballast {

// What a step's micro-batches came to.
struct StepTotals {
  LossSums sums;
  std::pair<double, double> aux{0, 0};  // mean over micro-batches of {sequence-wise, global}
  Loads loads;
  bool interrupted = false;  // somebody asked a rank to stop
};

// Throws Error{usage} where the micro-batches cannot be dealt out evenly, Error{unsupported} for the global auxiliary
// loss: it counts the step's micro-batches in their order, which ranks do not share.
void check_ranks(const Communicator& comm, const RunConfig& config);

// Micro-batch `index` of a step is this rank's.
inline bool is_mine(const Communicator& comm, int64_t index) { return index % comm.size() == comm.rank(); }

// Sums over ranks: `totals`, the gradients, and the router's flag for numbers that are not finite.
void reduce_step(Communicator& comm, ParamStore& params, TrainStep& step, StepTotals& totals);

}  // namespace ballast
