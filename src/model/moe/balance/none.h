// none: the bias stays where it is. The collapse baseline, and the rule for auxiliary losses alone.
#pragma once

#include "model/moe/balance_input.h"

namespace ballast::balance {

struct none {
  static constexpr const char* kHelp = "leave the bias alone";
  static constexpr double kRate = 0;
  template <class V> void visit(V&) {}
  void update(const BalanceInput&, std::vector<float>&) const {}
};

}  // namespace ballast::balance
