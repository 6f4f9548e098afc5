// Skip policies: their common configuration, and the plan that a configuration makes. The registry of the files of skip/ is
// generated, and skip.cc alone includes it: editing a policy compiles that file and links.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/opaque.h"
#include "model/moe/gate_plan.h"

namespace ballast {

struct SkipPolicies;  // every policy with its fields
extern template class Opaque<SkipPolicies>;

struct SkipConfig : SkipOptions {
  std::string policy = "off";
  Opaque<SkipPolicies> policies;

  void visit(FieldList& v);
};

std::vector<std::string> skip_policy_names();
// "minp: keep ...; off: run ...": for help.
std::string skip_policy_list();
// The fields that policies brought along, of all of them.
void list_policy_fields(SkipPolicies& policies, FieldList& list);
// What the configured policy does to the marks of one row.
std::function<void(const SkipRow&)> row_policy(const SkipConfig& config);

// Throws Error{usage} for an unknown policy (with the nearest name), a top_k above `experts_per_token`, a share or eta
// outside [0, 1]. Null for `off`, which is the path without a policy.
std::unique_ptr<GatePlan> make_gate_plan(const SkipConfig& config, int experts_per_token);
// The same for any policy, `off` included: the identity through the whole machinery, for tests.
std::unique_ptr<GatePlan> make_explicit_gate_plan(const SkipConfig& config, int experts_per_token);

}  // namespace ballast
