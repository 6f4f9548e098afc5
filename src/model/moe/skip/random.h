// random: skip.top_k slots drawn uniformly. A study's floor: a policy that does not beat it has learned nothing.
#pragma once

#include <algorithm>

#include "base/rng.h"
#include "model/moe/gate_plan.h"

namespace ballast::skip {

struct random {
  static constexpr const char* kHelp = "keep skip.top_k slots drawn uniformly; a floor for comparisons";
  template <class V> void visit(V&) {}
  void operator()(const SkipOptions& options, const SkipRow& row) const {
    if (options.top_k <= 0 || options.top_k >= row.k) return;
    Rng rng(static_cast<uint64_t>(options.seed), static_cast<uint64_t>(row.layer),
            static_cast<uint64_t>(row.position) << 8);
    int left = options.top_k;
    for (int j = 0; j < row.k; ++j) {  // selection sampling (Knuth, algorithm S)
      row.keep[j] = rng.below(static_cast<uint64_t>(row.k - j)) < static_cast<uint64_t>(left);
      left -= row.keep[j];
    }
  }
};

}  // namespace ballast::skip
