// sign: b_k += rate * sign(mean load - load_k) (Wang et al., arXiv 2408.15664, algorithm 1; DeepSeek-V3).
#pragma once

#include "model/moe/balance_input.h"

namespace ballast::balance {

struct sign {
  static constexpr const char* kHelp = "raise the bias of underloaded experts, lower the others', by one step";
  static constexpr double kRate = 1e-3;  // DeepSeek-V3, over 14.3T tokens
  template <class V> void visit(V&) {}
  void update(const BalanceInput& in, std::vector<float>& bias) const {
    const int64_t total = in.total();
    for (size_t k = 0; k < bias.size(); ++k) bias[k] += static_cast<float>(in.rate * in.sign(total, k));
  }
};

}  // namespace ballast::balance
