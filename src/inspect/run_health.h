// What a run's records (metrics.jsonl, loads.npy) say about its routers up to one of its checkpoints.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "inspect/doctor.h"
#include "model/config.h"

namespace ballast {

// The run that a checkpoint lies in (RUN/checkpoints/NAME, also through a link), if it has records.
std::optional<std::filesystem::path> run_of(const std::filesystem::path& checkpoint);

// Balance of the last steps, experts without tokens, motion of the biases and of the choices. What was not recorded
// gives no finding.
std::vector<Finding> run_findings(const std::filesystem::path& run, const std::filesystem::path& checkpoint,
                                  const ModelConfig& config);

}  // namespace ballast
