#include "inspect/router_probe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "ops/route/ref.h"
#include "train/bias_health.h"

namespace ballast {
namespace {

std::vector<float> random_rows(const std::vector<float>& norm, int64_t rows, uint64_t stream) {
  Rng rng(0, stream);
  std::vector<float> x(static_cast<size_t>(rows) * norm.size());
  for (size_t t = 0; t < x.size(); t += norm.size()) {
    double squares = 0;
    for (size_t i = 0; i < norm.size(); ++i) {
      x[t + i] = static_cast<float>(rng.normal());
      squares += static_cast<double>(x[t + i]) * x[t + i];
    }
    const double scale = std::sqrt(static_cast<double>(norm.size()) / squares);
    for (size_t i = 0; i < norm.size(); ++i) x[t + i] *= static_cast<float>(scale * norm[i]);
  }
  return x;
}

bool same_set(const int32_t* a, const int32_t* b, int k) { return std::is_permutation(a, a + k, b); }

// The choice where experts outside the kept groups count 0 and not -inf.
void choose_with_zero_mask(const ops::RouteConfig& route, ops::ref::Selection& selection, std::vector<int32_t>& ids) {
  const auto experts = std::ssize(selection.c);
  selection.select(route, experts, ids.data());
  if (route.groups == 1) return;
  const int64_t per_group = experts / route.groups;
  for (int64_t e = 0; e < experts; ++e)
    if (!selection.kept[e / per_group]) selection.c[e] = 0;
  ops::RouteConfig flat = route;
  flat.groups = flat.kept_groups = 1;
  selection.select(flat, experts, ids.data());
}

}  // namespace

RouterProbe probe_router(Device& device, const ops::RouteConfig& route, const Router& router,
                         const std::vector<float>& norm, int64_t rows) {
  const int64_t experts = router.experts, k = route.experts_per_token, width = std::ssize(norm);
  std::vector<float> x = random_rows(norm, rows, static_cast<uint64_t>(router.layer)), gate = router.gate,
                     bias = router.bias, logits(rows * experts), scores(rows * experts), weights(rows * k);
  Choices ids(static_cast<size_t>(rows * k));
  std::vector<int32_t> flag(1);
  ops::route_forward(device, {.config = route,
                              .x = Tensor(x.data(), DType::f32, {rows, width}),
                              .weight = Tensor(gate.data(), DType::f32, {experts, width}),
                              .bias = Tensor(bias.data(), DType::f32, {experts}),
                              .logits = Tensor(logits.data(), DType::f32, {rows, experts}),
                              .scores = Tensor(scores.data(), DType::f32, {rows, experts}),
                              .ids = Tensor(ids.data(), DType::i32, {rows, k}),
                              .weights = Tensor(weights.data(), DType::f32, {rows, k}),
                              .nonfinite = Tensor(flag.data(), DType::i32, {1})});
  RouterProbe probe;
  probe.bf16_flip = bf16_flip_share(route, scores, bias, ids);
  const double mean = bias_shape(bias).mean;
  std::vector<float> centered(bias.size());
  std::transform(bias.begin(), bias.end(), centered.begin(), [&](float b) { return static_cast<float>(b - mean); });
  probe.centered_bf16_flip = bf16_flip_share(route, scores, centered, ids);

  ops::ref::Selection selection;
  std::vector<int32_t> chosen(static_cast<size_t>(k));
  int64_t flips = 0;
  double error = 0;
  probe.lowest_choice = INFINITY;
  for (int64_t t = 0; t < rows; ++t) {
    const float* s = scores.data() + t * experts;
    const int32_t* had = ids.data() + t * k;
    selection.c.resize(bias.size());
    for (int64_t e = 0; e < experts; ++e) selection.c[e] = s[e] + bias[e];
    probe.lowest_choice = std::min(probe.lowest_choice, *std::min_element(selection.c.begin(), selection.c.end()));
    double sum = 0, biased = 0;
    for (int64_t j = 0; j < k; ++j) {
      sum += s[had[j]];
      biased += selection.c[had[j]];
    }
    for (int64_t j = 0; j < k; ++j) {
      const double right = s[had[j]] / (route.normalize ? sum : 1),
                   wrong = selection.c[had[j]] / (route.normalize ? biased : 1);
      error += std::abs(wrong - right) / right / static_cast<double>(rows * k);
    }
    choose_with_zero_mask(route, selection, chosen);
    flips += !same_set(had, chosen.data(), static_cast<int>(k));
  }
  probe.zero_mask_flip = static_cast<double>(flips) / static_cast<double>(rows);
  probe.biased_weight_error = error;
  return probe;
}

}  // namespace ballast
