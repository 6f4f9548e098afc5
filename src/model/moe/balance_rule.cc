#include "model/moe/balance_rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/nearest_name.h"
#include "generated/balance_rules.h"

namespace ballast {

struct BalanceRules {
  BalanceRuleTypes all;
};
template class Opaque<BalanceRules>;

namespace {

// f(name, rule) for every rule.
template <class F>
void for_each(const BalanceRules& rules, F f) {
  size_t i = 0;
  std::apply([&](const auto&... r) { (f(kBalanceRuleNames[i++], r), ...); }, rules.all);
}

std::string own_rates() {
  std::string text;
  for_each({}, [&](const std::string& name, const auto& r) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, std::decay_t<decltype(r)>::kRate);
  });
  return text;
}

double own_rate(const BalanceConfig& config) {
  double rate = 0;
  for_each(*config.rules, [&](const std::string& name, const auto& r) {
    if (name == config.rule) rate = std::decay_t<decltype(r)>::kRate;
  });
  return rate;
}

}  // namespace

std::vector<std::string> balance_rule_names() { return {std::begin(kBalanceRuleNames), std::end(kBalanceRuleNames)}; }

std::string balance_rule_list() {
  std::string text;
  for_each({}, [&](const std::string& name, const auto& r) {
    text += (text.empty() ? "" : "; ") + name + ": " + std::decay_t<decltype(r)>::kHelp;
  });
  return text;
}

void list_rule_fields(BalanceRules& rules, FieldList& list) {
  std::apply([&](auto&... r) { (r.visit(list), ...); }, rules.all);
}

void BalanceConfig::visit(FieldList& v) {
  v("rule", rule, "how the router's bias follows the load: " + balance_rule_list());
  v("bias_update_rate", bias_update_rate, "step of the bias per optimizer step; none: the rule's own (" + own_rates() + ")");
  v("rate_drop_at", rate_drop_at, "share of the run after which the rate drops; 1: never");
  v("rate_drop_factor", rate_drop_factor, "what the rate is multiplied by from there; 0 freezes the bias");
  v("probe_every", probe_every, "report the biases' health every so many steps, on one held-out batch; 0: never");
  list_rule_fields(*rules, v);
}

double BalanceConfig::rate(int64_t step, int64_t steps) const {
  const bool dropped = static_cast<double>(step) >= rate_drop_at * static_cast<double>(steps);
  return bias_update_rate.value_or(own_rate(*this)) * (dropped ? rate_drop_factor : 1);
}

void validate(const BalanceConfig& c) {
  const auto names = balance_rule_names();
  if (std::find(names.begin(), names.end(), c.rule) == names.end())
    fail(ErrorKind::usage, "balance.rule", "unknown rule '{}'; did you mean '{}'?", c.rule, nearest_name(c.rule, names));
  if (const double u = c.bias_update_rate.value_or(0); !(u >= 0 && u <= 1))
    fail(ErrorKind::usage, "balance.bias_update_rate",
         "{} is not a step of the bias (0..1): it is added to scores that lie between 0 and 1", u);
  if (!(c.rate_drop_at >= 0 && c.rate_drop_at <= 1))
    fail(ErrorKind::usage, "balance.rate_drop_at", "{} is not a share of the run (0..1)", c.rate_drop_at);
  if (!(c.rate_drop_factor >= 0 && c.rate_drop_factor <= 1))
    fail(ErrorKind::usage, "balance.rate_drop_factor", "{} is not a share of the rate (0..1)", c.rate_drop_factor);
  if (c.probe_every < 0) fail(ErrorKind::usage, "balance.probe_every", "{} is not a number of steps", c.probe_every);
}

void update_bias(const BalanceConfig& config, double rate, const std::vector<int64_t>& load, std::vector<float>& bias) {
  CHECK(load.size() == bias.size());
  const BalanceInput input{rate, load};
  for_each(*config.rules, [&](const std::string& name, const auto& r) {
    if (name == config.rule) r.update(input, bias);
  });
}

}  // namespace ballast
