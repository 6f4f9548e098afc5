// off: every chosen expert runs.
#pragma once

#include "model/moe/gate_plan.h"

namespace ballast::skip {

struct off {
  static constexpr const char* kHelp = "run every chosen expert";
  template <class V> void visit(V&) {}
  void operator()(const SkipOptions&, const SkipRow&) const {}
};

}  // namespace ballast::skip
