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
  // sign(mean load - load of k), from integers: exact at any count.
  int sign(int64_t total, size_t k) const {
    const int64_t gap = total - static_cast<int64_t>(load.size()) * load[k];
    return (gap > 0) - (gap < 0);
  }
};

}  // namespace ballast
