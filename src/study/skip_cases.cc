#include "study/skip_cases.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace ballast {
namespace {

// Changes nothing; keeps each chosen slot's score as a share of its row's best.
class ScoreProbe : public GatePlan {
 public:
  void apply(Device& device, const Arguments& a) const override {
    if (device.planning) return;
    const int64_t rows = a.ids[0], k = a.ids[1], experts = a.scores[1];
    for (int64_t t = 0; t < rows; ++t) {
      const int32_t* ids = a.ids.as<int32_t>() + t * k;
      if (ids[0] < 0) continue;
      const float* scores = a.scores.as<float>() + t * experts;
      float best = 0;
      for (int64_t j = 0; j < k; ++j) best = std::max(best, scores[ids[j]]);
      for (int64_t j = 0; j < k; ++j) shares_.push_back(best > 0 ? scores[ids[j]] / best : 1);
    }
  }
  std::string description() const override { return "score probe"; }

  // The largest threshold, in steps of 1e-4, at which at least `kept` of all slots pass.
  double threshold(double kept) const {
    const size_t n =
        std::clamp<size_t>(static_cast<size_t>(std::llround(kept * double(shares_.size()))), 1, shares_.size());
    std::nth_element(shares_.begin(), shares_.begin() + static_cast<int64_t>(n - 1), shares_.end(), std::greater<>());
    return std::floor(double(shares_[n - 1]) * 1e4) / 1e4;
  }

 private:
  mutable std::vector<float> shares_;
};

}  // namespace

std::string SkipCase::name() const {
  std::string text = config.policy;
  for (const auto& [key, value] : settings.as_object()) text += " " + key + "=" + value.dump();
  return text;
}

std::vector<SkipCase> skip_cases(const ModelConfig& config, std::span<const double> min_p, uint64_t seed) {
  const int k = config.num_experts_per_tok;
  std::vector<SkipCase> cases;
  const auto add = [&](const char* policy, const char* key, const Json& value, bool identity) {
    const bool normalized = config.norm_topk_prob && k > 1;
    for (const int renorm : {0, 1}) {
      if (renorm == 1 && (identity || !normalized || policy == std::string_view("random"))) continue;
      SkipCase c;
      c.config.policy = policy;
      c.config.seed = static_cast<int64_t>(seed);
      c.settings = Json::object();
      c.settings[key] = value;
      c.settings["renorm"] = renorm;
      read_config(c.config, c.settings, "skip study");
      cases.push_back(c);
    }
  };
  for (int top_k = k; top_k >= 1; --top_k) add("topk", "top_k", top_k, top_k == k);
  for (const double t : min_p) add("minp", "min_p", t, false);
  for (int top_k = k - 1; top_k >= 1; --top_k) add("random", "top_k", top_k, false);
  return cases;
}

std::vector<double> calibrate_min_p(Engine& engine, std::span<const std::span<const int32_t>> windows) {
  const int k = engine.model().config().num_experts_per_tok;
  if (k < 2 || windows.empty()) return {};
  const GatePlan* before = engine.plan();
  const ScoreProbe probe;
  engine.set_plan(&probe);
  for (const auto& ids : windows) engine.prefill(0, ids);
  engine.set_plan(before);
  std::vector<double> thresholds;
  for (const double share : {0.75, 0.5, 0.25}) {
    const double t = probe.threshold(std::max(share, 1.0 / k));
    if (thresholds.empty() || t > thresholds.back()) thresholds.push_back(t);
  }
  return thresholds;
}

}  // namespace ballast
