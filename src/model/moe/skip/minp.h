// minp: slots whose score is at least skip.min_p times the best slot's.
#pragma once

#include "model/moe/gate_plan.h"

namespace ballast::skip {

struct minp {
  static constexpr const char* kHelp = "keep the slots that score at least skip.min_p times the best";
  double min_p = 0;
  template <class V> void visit(V& v) {
    v("min_p", min_p, "minp: smallest score kept, as a share of the best slot's; 0 keeps all");
  }
  void operator()(const SkipOptions&, const SkipRow& row) const {
    for (int j = 0; j < row.k; ++j) row.keep[j] = row.score[j] >= static_cast<float>(min_p) * row.score[0];
  }
};

}  // namespace ballast::skip
