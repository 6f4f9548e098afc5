#include "train/load_statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ballast {

double max_vio(const std::vector<int64_t>& load) {
  const double sum = static_cast<double>(std::accumulate(load.begin(), load.end(), int64_t{0}));
  if (sum == 0) return 0;
  return static_cast<double>(*std::max_element(load.begin(), load.end())) * static_cast<double>(load.size()) / sum - 1;
}

double effective_experts(const std::vector<int64_t>& load) {
  const double sum = static_cast<double>(std::accumulate(load.begin(), load.end(), int64_t{0}));
  double entropy = 0;
  for (const int64_t a : load)
    if (a > 0) entropy -= static_cast<double>(a) / sum * std::log(static_cast<double>(a) / sum);
  return std::exp(entropy);
}

LoadStatistics load_statistics(const Loads& loads) {
  LoadStatistics s;
  int64_t experts = 0, starved = 0;
  for (const auto& load : loads) {
    s.max_vio.push_back(max_vio(load));
    s.worst = std::max(s.worst, s.max_vio.back());
    s.mean += s.max_vio.back() / static_cast<double>(loads.size());
    s.effective_experts += effective_experts(load) / static_cast<double>(loads.size());
    const int64_t sum = std::accumulate(load.begin(), load.end(), int64_t{0});
    for (const int64_t a : load) {
      ++experts;
      starved += 10 * a * static_cast<int64_t>(load.size()) < sum;
    }
  }
  s.starved_share = experts ? static_cast<double>(starved) / static_cast<double>(experts) : 0;
  return s;
}

void DeadExperts::observe(const Loads& loads) {
  size_t i = 0;
  for (const auto& load : loads)
    for (const int64_t a : load) {
      if (idle_.size() <= i) idle_.push_back(0);
      idle_[i] = a == 0 ? idle_[i] + 1 : 0;
      ++i;
    }
}

int64_t DeadExperts::count() const {
  return std::count_if(idle_.begin(), idle_.end(), [](int64_t n) { return n >= kDeadSteps; });
}

}  // namespace ballast
