// What a balancing rule sees of one layer.
#pragma once

#include <cstdint>
#include <vector>

namespace ballast {

struct BalanceInput {
  double rate = 0;                     // step size, after the schedule
  const std::vector<int64_t>& load;    // (E): tokens routed to each expert
  int64_t total() const {
    int64_t sum = 0;
    for (const int64_t a : load) sum += a;
    return sum;
  }
  // E * (mean load - load of k): an integer, so exact at any count.
  int64_t shortfall(int64_t total, size_t k) const { return total - static_cast<int64_t>(load.size()) * load[k]; }
  // sign(mean load - load of k).
  int sign(int64_t total, size_t k) const {
    const int64_t gap = shortfall(total, k);
    return (gap > 0) - (gap < 0);
  }
  // (mean load - load of k) / mean load; total is above 0.
  double relative_gap(int64_t total, size_t k) const {
    return static_cast<double>(shortfall(total, k)) / static_cast<double>(total);
  }
};

}  // namespace ballast
