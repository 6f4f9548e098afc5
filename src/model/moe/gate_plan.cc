#include "model/moe/gate_plan.h"

#include <algorithm>
#include <cmath>

#include "base/nearest_name.h"
#include "model/moe/skip.h"

namespace ballast {
namespace {

constexpr int kMaxSlots = 64;

class Plan : public GatePlan {
 public:
  explicit Plan(const SkipConfig& config) : name_(config.policy), options_(config), policy_(row_policy(config)) {}

  void apply(Device& device, const Arguments& a) const override {
    if (device.planning || (!a.decoding && !options_.prefill)) return;
    if (a.scores.dtype != DType::f32) fail(ErrorKind::unsupported, "skip", "policies score in f32, the model computes in {}", name_of(a.scores.dtype));
    if (device.kind == DeviceKind::cuda) fail(ErrorKind::unsupported, "skip", "policies have no CUDA kernel");
    const int64_t rows = a.ids[0], k = a.ids[1], experts = a.scores[1];
    for (int64_t t = 0; t < rows; ++t) {
      int32_t* ids = a.ids.as<int32_t>() + t * k;
      if (ids[0] < 0) continue;  // a padding row
      apply_row(a, a.scores.as<float>() + t * experts, ids, a.weights.as<float>() + t * k,
                a.positions.as<int32_t>()[t]);
    }
  }
  std::string description() const override { return name_; }

 private:
  void apply_row(const Arguments& a, const float* scores, int32_t* ids, float* weights, int32_t position) const {
    const int k = a.config.experts_per_token;
    CHECK(k <= kMaxSlots);
    int order[kMaxSlots];
    float score[kMaxSlots];
    bool keep[kMaxSlots], keep_slot[kMaxSlots];
    for (int j = 0; j < k; ++j) order[j] = j;
    std::sort(order, order + k, [&](int i, int j) {  // stable_sort would allocate
      const float a = scores[ids[i]], b = scores[ids[j]];
      return a > b || (a == b && i < j);
    });
    for (int j = 0; j < k; ++j) {
      score[j] = scores[ids[order[j]]];
      keep[j] = true;
    }
    policy_(SkipRow{k, score, keep, position, a.layer});
    if (std::none_of(keep, keep + k, [](bool b) { return b; })) keep[0] = true;
    for (int j = 0; j < k; ++j) keep_slot[order[j]] = keep[j];
    compensate(a.config, scores, options_.renorm, keep_slot, ids, weights);
  }

  std::string name_;
  SkipOptions options_;
  std::function<void(const SkipRow&)> policy_;
};

void check(const SkipConfig& c, int experts_per_token) {
  const auto names = skip_policy_names();
  if (std::find(names.begin(), names.end(), c.policy) == names.end())
    fail(ErrorKind::usage, "skip.policy", "unknown policy '{}'; did you mean '{}'?", c.policy, nearest_name(c.policy, names));
  if (c.top_k < 0 || c.top_k > experts_per_token)
    fail(ErrorKind::usage, "skip.top_k", "{} is not in 0..{}, the experts per token", c.top_k, experts_per_token);
  if (!(c.renorm >= 0 && c.renorm <= 1)) fail(ErrorKind::usage, "skip.renorm", "{} is not in [0, 1]", c.renorm);
}

}  // namespace

void compensate(const ops::RouteConfig& config, const float* scores, double renorm, const bool* keep_slot, int32_t* ids,
                float* weights) {
  const int k = config.experts_per_token;
  float kept = 0, full = 0;  // in slot order, as the stock gate sums
  bool all = true;
  for (int j = 0; j < k; ++j) {
    full += scores[ids[j]];
    if (keep_slot[j]) kept += scores[ids[j]];
    all = all && keep_slot[j];
  }
  if (all) return;
  const bool normalize = config.normalize && k > 1;
  const float scale = static_cast<float>(config.scale);
  const float denominator =
      renorm == 0   ? kept + 1e-20f
      : renorm == 1 ? full + 1e-20f
                    : static_cast<float>(std::pow(double(kept), 1 - renorm) * std::pow(double(full), renorm) + 1e-20);
  for (int j = 0; j < k; ++j) {
    if (!keep_slot[j]) {
      ids[j] = -1;
      weights[j] = 0;
    } else if (normalize) {
      weights[j] = scale * (scores[ids[j]] / denominator);
    }
  }
}

std::unique_ptr<GatePlan> make_explicit_gate_plan(const SkipConfig& config, int experts_per_token) {
  check(config, experts_per_token);
  return std::make_unique<Plan>(config);
}

std::unique_ptr<GatePlan> make_gate_plan(const SkipConfig& config, int experts_per_token) {
  if (config.policy == "off") {
    check(config, experts_per_token);
    return nullptr;
  }
  return make_explicit_gate_plan(config, experts_per_token);
}

}  // namespace ballast
