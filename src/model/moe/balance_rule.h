// Balancing rules: how the router's bias answers the load of the step that has just ended. Once per optimizer step, with
// the counts of all its micro-batches; a skipped step changes nothing. The bias used for step n never saw step n.
//
// A rule is one file, balance/<name>.h: its config fields and an update of one layer's bias. The registry is generated.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "generated/balance_rules.h"

namespace ballast {

struct BalanceConfig {
  std::string rule = "sign_centered";
  double bias_update_rate = 1e-3;
  double rate_drop_at = 1;       // share of the run after which the rate is multiplied by ...
  double rate_drop_factor = 0.1;  // ... this
  BalanceRules rules;            // a std::tuple of every rule

  template <class V>
  void visit(V& v) {
    v("rule", rule, "how the router's bias follows the load: " + rule_list());
    v("bias_update_rate", bias_update_rate, "step of the bias per optimizer step (DeepSeek-V3: 0.001 over 14.3T tokens)");
    v("rate_drop_at", rate_drop_at, "share of the run after which the rate drops; 1: never");
    v("rate_drop_factor", rate_drop_factor, "what the rate is multiplied by from there; 0 freezes the bias");
    std::apply([&](auto&... r) { (r.visit(v), ...); }, rules);
  }
  static std::string rule_list();
  // Rate at step `step` of `steps`.
  double rate(int64_t step, int64_t steps) const {
    return bias_update_rate * (static_cast<double>(step) >= rate_drop_at * static_cast<double>(steps) ? rate_drop_factor : 1);
  }
};

std::vector<std::string> balance_rule_names();
// Throws Error{usage} for an unknown rule or a rate that is not finite.
void validate(const BalanceConfig& config);

// One layer: bias (E) += what the rule says of load (E), exact counts of the whole global batch.
void update_bias(const BalanceConfig& config, double rate, const std::vector<int64_t>& load, std::vector<float>& bias);

}  // namespace ballast
