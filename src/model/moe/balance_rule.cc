#include "model/moe/balance_rule.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/nearest_name.h"

namespace ballast {

std::vector<std::string> balance_rule_names() { return {std::begin(kBalanceRuleNames), std::end(kBalanceRuleNames)}; }

std::string BalanceConfig::rule_list() {
  std::string text;
  size_t i = 0;
  std::apply([&](const auto&... r) {
    ((text += (text.empty() ? "" : "; ") + std::string(kBalanceRuleNames[i++]) + ": " + std::decay_t<decltype(r)>::kHelp), ...);
  }, BalanceRules());
  return text;
}

void validate(const BalanceConfig& c) {
  const auto names = balance_rule_names();
  if (std::find(names.begin(), names.end(), c.rule) == names.end())
    fail(ErrorKind::usage, "balance.rule", "unknown rule '{}'; did you mean '{}'?", c.rule, nearest_name(c.rule, names));
  if (!std::isfinite(c.bias_update_rate) || c.bias_update_rate < 0)
    fail(ErrorKind::usage, "balance.bias_update_rate", "{} is not a step size", c.bias_update_rate);
  if (!(c.rate_drop_at >= 0 && c.rate_drop_at <= 1))
    fail(ErrorKind::usage, "balance.rate_drop_at", "{} is not a share of the run (0..1)", c.rate_drop_at);
}

void update_bias(const BalanceConfig& config, double rate, const std::vector<int64_t>& load, std::vector<float>& bias) {
  CHECK(load.size() == bias.size());
  const BalanceInput input{rate, load};
  size_t i = 0;
  std::apply([&](const auto&... r) {
    ((config.rule == kBalanceRuleNames[i++] ? r.update(input, bias) : void()), ...);
  }, config.rules);
}

}  // namespace ballast
