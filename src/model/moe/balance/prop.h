// prop: b_k += rate * (mean load - load_k) / mean load (Wang et al., arXiv 2408.15664, table 3, with the relative error, so
// that the rate does not depend on the batch). The steps of a layer sum to zero: the bias does not drift as a whole.
#pragma once

#include "model/moe/balance_input.h"

namespace ballast::balance {

struct prop {
  static constexpr const char* kHelp = "a step in proportion to the relative gap to the mean load";
  static constexpr double kRate = 0.02;
  template <class V> void visit(V&) {}
  void update(const BalanceInput& in, std::vector<float>& bias) const {
    const int64_t total = in.total();
    if (total == 0) return;
    for (size_t k = 0; k < bias.size(); ++k) bias[k] += static_cast<float>(in.rate * in.relative_gap(total, k));
  }
};

}  // namespace ballast::balance
