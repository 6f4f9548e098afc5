// Which policies the skipping study compares, and thresholds that make their mean number of experts comparable.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "infer/engine.h"
#include "model/moe/skip.h"

namespace ballast {

struct SkipCase {
  SkipConfig config;
  Json settings = Json::object();  // the config's fields that matter to this policy
  std::string name() const;        // "topk top_k=4 renorm=1"
};

// Static top-k for every k (the trained one is the identity through the whole machinery), min-p at the given
// thresholds, random at every k below the trained one. Top-k and min-p come with renorm 0 and 1 where the gate
// normalizes its weights; elsewhere renorm has no effect.
std::vector<SkipCase> skip_cases(const ModelConfig& config, std::span<const double> min_p, uint64_t seed);

// Thresholds t at which min-p keeps 3/4, 1/2 and 1/4 of the trained experts per token (at least one) in the mean over
// the windows' tokens and all layers, read off the scores of a run without a policy. Each in (0, 1], ascending.
std::vector<double> calibrate_min_p(Engine& engine, std::span<const std::span<const int32_t>> windows);

}  // namespace ballast
