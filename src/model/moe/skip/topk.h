// topk: the best skip.top_k slots by unbiased score. The strong baseline of every comparison.
#pragma once

#include "model/moe/gate_plan.h"

namespace ballast::skip {

struct topk {
  static constexpr const char* kHelp = "keep the skip.top_k best slots";
  template <class V> void visit(V&) {}
  void operator()(const SkipOptions& options, const SkipRow& row) const {
    for (int j = 0; j < row.k; ++j) row.keep[j] = options.top_k <= 0 || j < options.top_k;
  }
};

}  // namespace ballast::skip
