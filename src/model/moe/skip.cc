#include "model/moe/skip.h"

#include "generated/skip_policies.h"

namespace ballast {

struct SkipPolicies {
  SkipPolicyTypes all;
};
template class Opaque<SkipPolicies>;

namespace {

// f(name, policy) for every policy.
template <class F>
void for_each(const SkipPolicies& policies, F f) {
  size_t i = 0;
  std::apply([&](const auto&... p) { (f(kSkipPolicyNames[i++], p), ...); }, policies.all);
}

}  // namespace

std::vector<std::string> skip_policy_names() { return {std::begin(kSkipPolicyNames), std::end(kSkipPolicyNames)}; }

std::string skip_policy_list() {
  std::string text;
  for_each({}, [&](const std::string& name, const auto& p) {
    text += (text.empty() ? "" : "; ") + name + ": " + std::decay_t<decltype(p)>::kHelp;
  });
  return text;
}

void list_policy_fields(SkipPolicies& policies, FieldList& list) {
  std::apply([&](auto&... p) { (p.visit(list), ...); }, policies.all);
}

void SkipConfig::visit(FieldList& v) {
  v("policy", policy, "which of the chosen experts run: " + skip_policy_list());
  v("top_k", top_k, "topk, random: experts to keep per token; 0 keeps all");
  v("renorm", renorm, "eta in [0, 1]: 0 renormalizes the survivors' weights, 1 leaves them");
  v("prefill", prefill, "skip on prompt tokens as well as on generated ones");
  v("seed", seed, "random: seed of the draws");
  list_policy_fields(*policies, v);
}

std::function<void(const SkipRow&)> row_policy(const SkipConfig& config) {
  std::function<void(const SkipRow&)> policy;
  for_each(*config.policies, [&](const std::string& name, const auto& p) {
    if (name == config.policy)
      policy = [p, options = SkipOptions(config)](const SkipRow& row) { p(options, row); };
  });
  return policy;
}

}  // namespace ballast
