// The ceiling of a training step: the time its own matrix products take, alone, on all workers, through the same
// library.
#pragma once

#include <cstdint>
#include <vector>

#include "core/device.h"
#include "model/config.h"

namespace ballast {

struct StepProducts {
  struct Product {
    int64_t tokens, n, k;
    double times;  // per step: forward, dgrad and wgrad are each run this often
  };
  std::vector<Product> linear;
  double flops = 0;            // of everything above and of attention (causal)
  double attention_flops = 0;  // forward and backward, causal half
};

// `tokens` per micro-batch of windows of `seq_len`, `micro_batches` per step.
StepProducts step_products(const ModelConfig& config, int64_t tokens, int64_t seq_len, int64_t micro_batches);

// Seconds of a step made of nothing but those products. Attention is charged at the rate of the others.
// 0 where SIGINT or the like came before all were timed.
double ceiling_seconds(Device& device, const StepProducts& products, DType dtype, int repetitions = 3);

}  // namespace ballast
