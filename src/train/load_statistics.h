// What the routing counts of a step say about balance. Definitions: docs/metrics.md.
#pragma once

#include <cstdint>
#include <vector>

namespace ballast {

using Loads = std::vector<std::vector<int64_t>>;  // tokens routed to each expert, by MoE layer

// max over experts of load / mean load, minus 1 (Wang et al., arXiv 2408.15664, eq. 4). 0 is perfect balance.
double max_vio(const std::vector<int64_t>& load);
// exp of the entropy of the load's distribution: how many experts, used equally, would be as spread out.
double effective_experts(const std::vector<int64_t>& load);

struct LoadStatistics {
  std::vector<double> max_vio;   // by layer
  double mean = 0, worst = 0;    // over layers
  double starved_share = 0;      // experts below 10 % of the mean load
  double effective_experts = 0;  // mean over layers
};
LoadStatistics load_statistics(const Loads& loads);

// Experts that no token has reached for `kDeadSteps` steps in a row.
class DeadExperts {
 public:
  static constexpr int kDeadSteps = 10;
  void observe(const Loads& loads);
  int64_t count() const;
  // Steps without a token, by layer and expert: part of a checkpoint.
  const std::vector<int64_t>& idle() const { return idle_; }
  void restore(std::vector<int64_t> idle) { idle_ = std::move(idle); }

 private:
  std::vector<int64_t> idle_;
};

}  // namespace ballast
