// Balancing rules: how the router's bias answers the load of the step that has just ended. Once per optimizer step, with
// the counts of all its micro-batches; a skipped step changes nothing. The bias used for step n never saw step n.
//
// A rule is one file, balance/<name>.h: its config fields and an update of one layer's bias. The registry is generated, and
// balance_rule.cc alone includes it: editing a rule compiles that file and links.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/opaque.h"

namespace ballast {

struct BalanceRules;  // every rule with its fields
extern template class Opaque<BalanceRules>;

struct BalanceConfig {
  std::string rule = "sign_centered";
  std::optional<double> bias_update_rate;  // none: the rule's own
  double rate_drop_at = 1;       // share of the run after which the rate is multiplied by ...
  double rate_drop_factor = 0.1;  // ... this
  int64_t probe_every = 100;      // steps between reports of the biases' health (docs/metrics.md); 0: none
  Opaque<BalanceRules> rules;

  void visit(FieldList& v);
  // Rate at step `step` of `steps`.
  double rate(int64_t step, int64_t steps) const;
};

std::vector<std::string> balance_rule_names();
// "none: leave the bias alone; sign: raise ...": for help.
std::string balance_rule_list();
// The fields that rules brought along, of all of them.
void list_rule_fields(BalanceRules& rules, FieldList& list);
// Throws Error{usage} for an unknown rule, or for a rate or share outside of 0..1.
void validate(const BalanceConfig& config);

// One layer: bias (E) += what the rule says of load (E), exact counts of the whole global batch.
void update_bias(const BalanceConfig& config, double rate, const std::vector<int64_t>& load, std::vector<float>& bias);

}  // namespace ballast
