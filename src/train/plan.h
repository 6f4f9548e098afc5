// What `train --dry-run` says of a recipe before a step is run or its memory taken.
#pragma once

#include "base/json.h"
#include "base/memory.h"
#include "train/config.h"

namespace ballast {

// "parameters" {total, active, by kind}, "memory_bytes" {by kind, total, available} of weights, optimizer and the arenas
// that a dry run of a step and of a validation asks for, "flops_per_token" (causal attention), "tokens" and "steps" of
// the run, and "ceiling": seconds of a step of nothing but its matrix products, timed here and now, and the run's time
// at that rate. There is no ceiling where the run takes more memory than is available: its products would be that large,
// too. Without data in the recipe, arenas are planned for whole windows. Throws Error{usage} as training would, and
// Error{interrupted} after SIGINT.
Json plan_training(const RunConfig& config, int threads, int64_t available = available_memory().bytes());

// Throws Error{device} with both figures where the plan takes more memory than is available.
void admit_training(const Json& plan);

}  // namespace ballast
