// A skip policy for a while.
#pragma once

#include <memory>

#include "infer/engine.h"
#include "model/moe/skip.h"

namespace ballast {

// Makes the policy's plan the engine's; puts the one before it back at the end. Throws as make_gate_plan.
class ScopedPlan {
 public:
  ScopedPlan(Engine& engine, const SkipConfig& skip)
      : engine_(engine),
        before_(engine.plan()),
        plan_(make_gate_plan(skip, engine.model().config().num_experts_per_tok)) {
    engine_.set_plan(plan_.get());
  }
  ~ScopedPlan() { engine_.set_plan(before_); }
  ScopedPlan(const ScopedPlan&) = delete;
  ScopedPlan& operator=(const ScopedPlan&) = delete;

 private:
  Engine& engine_;
  const GatePlan* before_;
  std::unique_ptr<GatePlan> plan_;
};

}  // namespace ballast
