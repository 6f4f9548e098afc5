// sign_centered: the sign rule with the mean of the steps subtracted, so that the bias does not drift as a whole; routing
// is invariant to a common offset. The default.
#pragma once

#include "model/moe/balance_input.h"

namespace ballast::balance {

struct sign_centered {
  static constexpr const char* kHelp = "sign, with the mean step subtracted";
  static constexpr double kRate = 1e-3;
  template <class V> void visit(V&) {}
  void update(const BalanceInput& in, std::vector<float>& bias) const {
    const int64_t total = in.total();
    double mean = 0;
    for (size_t k = 0; k < bias.size(); ++k) mean += in.sign(total, k);
    mean /= static_cast<double>(bias.size());
    for (size_t k = 0; k < bias.size(); ++k) bias[k] += static_cast<float>(in.rate * (in.sign(total, k) - mean));
  }
};

}  // namespace ballast::balance
