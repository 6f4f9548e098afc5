// Gates that are wrong in ways that have shipped elsewhere, each with an input on which it shows. The gate of this file
// is written out by hand; without a mistake it must equal the op, with one it must not: an op that makes the mistake
// would fail on the same input.
#include "ops/route/route.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace ballast::ops {
namespace {

enum class Mistake {
  none,
  bias_in_weights,      // vLLM #12002, transformers PR 41647
  group_score_max,      // max on a biased router, which sums the best two
  group_score_sum,      // and the other way round, on V2's
  mask_zero,            // excluded experts at 0.0 and not at -inf: transformers PR 45441, DeepSeek-V3 #741
  bias_bf16,            // a buffer cast with the model: SGLang #37133
  sigmoid_for_softmax,  // V2 routed as V3
  softmax_for_sigmoid,  // V3 routed as V2
  normalized,           // V2's weights divided by their sum
  not_normalized,       // V3's are
};

struct Choice {
  std::vector<int32_t> ids;
  std::vector<double> weights;
};

std::vector<double> scores_of(Score kind, const std::vector<double>& z) {
  std::vector<double> s(z.size());
  const double top = *std::max_element(z.begin(), z.end());
  double sum = 0;
  for (const double v : z) sum += std::exp(v - top);
  for (size_t e = 0; e < z.size(); ++e)
    s[e] = kind == Score::sigmoid ? 1 / (1 + std::exp(-z[e])) : std::exp(z[e] - top) / sum;
  return s;
}

// Positions of the n largest, larger first, lower position first among equals.
std::vector<int32_t> largest(const std::vector<double>& v, int n) {
  std::vector<int32_t> order(v.size());
  for (size_t i = 0; i < v.size(); ++i) order[i] = static_cast<int32_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return v[a] > v[b]; });
  order.resize(n);
  return order;
}

Choice by_hand(RouteConfig c, const std::vector<double>& logits, const std::vector<double>& bias, Mistake m) {
  if (m == Mistake::sigmoid_for_softmax) c.score = Score::sigmoid;
  if (m == Mistake::softmax_for_sigmoid) c.score = Score::softmax;
  if (m == Mistake::group_score_max) c.group_score = GroupScore::max;
  if (m == Mistake::group_score_sum) c.group_score = GroupScore::top2_sum;
  if (m == Mistake::normalized) c.normalize = true;
  if (m == Mistake::not_normalized) c.normalize = false;
  const std::vector<double> s = scores_of(c.score, logits);
  std::vector<double> biased = s;
  for (size_t e = 0; e < bias.size(); ++e)
    biased[e] += m == Mistake::bias_bf16 ? static_cast<float>(bf16(static_cast<float>(bias[e]))) : bias[e];
  std::vector<double> selectable = biased;
  if (c.groups > 1) {
    const int64_t per_group = std::ssize(s) / c.groups;
    std::vector<double> group(c.groups);
    for (int g = 0; g < c.groups; ++g) {
      std::vector<double> members(biased.begin() + g * per_group, biased.begin() + (g + 1) * per_group);
      std::sort(members.rbegin(), members.rend());
      group[g] = members[0] + (c.group_score == GroupScore::top2_sum ? members[1] : 0);
    }
    const std::vector<int32_t> kept = largest(group, c.kept_groups);
    for (size_t e = 0; e < s.size(); ++e)
      if (std::find(kept.begin(), kept.end(), static_cast<int32_t>(e / per_group)) == kept.end())
        selectable[e] = m == Mistake::mask_zero ? 0.0 : -std::numeric_limits<double>::infinity();
  }
  Choice out{largest(selectable, c.experts_per_token), {}};
  double sum = 0;
  for (const int32_t e : out.ids) {
    out.weights.push_back(m == Mistake::bias_in_weights ? biased[e] : s[e]);
    sum += out.weights.back();
  }
  for (double& w : out.weights) w *= c.scale / (c.normalize && c.experts_per_token > 1 ? sum + 1e-20 : 1.0);
  return out;
}

// The op on these logits: x is the row itself, W the identity.
Choice of_the_op(DeviceKind kind, const RouteConfig& c, const std::vector<double>& logits,
                 const std::vector<double>& bias) {
  const int64_t n = std::ssize(logits), k = c.experts_per_token;
  std::vector<float> x(logits.begin(), logits.end()), b(bias.begin(), bias.end()), identity(n * n), z(n), s(n), w(k);
  for (int64_t e = 0; e < n; ++e) identity[e * n + e] = 1;
  std::vector<int32_t> ids(k), flag(1);
  const auto device = Device::make(kind, 1);
  route_forward(*device, {.config = c,
                          .x = Tensor(x.data(), DType::f32, {1, n}),
                          .weight = Tensor(identity.data(), DType::f32, {n, n}),
                          .bias = bias.empty() ? Tensor() : Tensor(b.data(), DType::f32, {n}),
                          .logits = Tensor(z.data(), DType::f32, {1, n}),
                          .scores = Tensor(s.data(), DType::f32, {1, n}),
                          .ids = Tensor(ids.data(), DType::i32, {1, k}),
                          .weights = Tensor(w.data(), DType::f32, {1, k}),
                          .nonfinite = Tensor(flag.data(), DType::i32, {1})});
  return {ids, {w.begin(), w.end()}};
}

bool equal(const Choice& a, const Choice& b) {
  bool same = a.ids == b.ids;
  for (size_t i = 0; i < a.weights.size() && same; ++i)
    same = std::abs(a.weights[i] - b.weights[i]) < 1e-5 * b.weights[i];
  return same;
}

struct Example {
  const char* name;
  Mistake mistake;
  RouteConfig config;
  std::vector<double> logits, bias;
};

std::vector<Example> examples() {
  const RouteConfig v3{.experts_per_token = 2, .groups = 2, .kept_groups = 1, .scale = 2.5};
  const RouteConfig flat{.experts_per_token = 2, .scale = 2.446};
  const RouteConfig v2{.experts_per_token = 2,
                       .groups = 2,
                       .kept_groups = 1,
                       .score = Score::softmax,
                       .group_score = GroupScore::max,
                       .normalize = false,
                       .scale = 16};
  const RouteConfig lite{.experts_per_token = 2, .score = Score::softmax, .normalize = false};
  const std::vector<double> spread = {0.3, -0.4, 1.1, 0.2};
  // One outstanding expert in the first group, two good ones in the second.
  const std::vector<double> lone_star = {3, -3, -3, 1.5, 1.4, -3}, centered = {0.1, -0.1, 0, 0.05, -0.05, 0};
  // All of s + b below zero: what a mask of 0.0 lets in are the experts that should be out.
  const std::vector<double> negative = {-0.9, -0.95, -1, -1, -0.97, -0.93};
  // Biases far from zero, less than bf16's step of 1/32 apart, against the order of the scores.
  const std::vector<double> far = {6.900, 6.914, 6.902, 6.912}, near_logits = {0.02, 0.0, 0.015, 0.001};
  return {{"bias in the weights", Mistake::bias_in_weights, flat, spread, {0.3, 0.1, -0.2, 0}},
          {"group by its maximum", Mistake::group_score_max, v3, lone_star, centered},
          {"mask of zero", Mistake::mask_zero, v3, {1, 0.5, 0, -1, -2, -1}, negative},
          {"bias in bf16", Mistake::bias_bf16, flat, near_logits, far},
          {"softmax on V3", Mistake::softmax_for_sigmoid, flat, spread, {0, 0, 0, 0}},
          {"V3 not normalized", Mistake::not_normalized, flat, spread, {0, 0, 0, 0}},
          {"sigmoid on V2-Lite", Mistake::sigmoid_for_softmax, lite, spread, {}},
          {"V2-Lite normalized", Mistake::normalized, lite, spread, {}},
          {"sigmoid on V2", Mistake::sigmoid_for_softmax, v2, lone_star, {}},
          {"V2 normalized", Mistake::normalized, v2, lone_star, {}},
          {"V2's group by its sum", Mistake::group_score_sum, v2, {1.5, -3, -3, 1.4, 1.3, -3}, {}}};
}

TEST(WrongGates, GoRed) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu})
    for (const Example& e : examples()) {
      const Choice op = of_the_op(kind, e.config, e.logits, e.bias);
      EXPECT_TRUE(equal(by_hand(e.config, e.logits, e.bias, Mistake::none), op)) << e.name;
      EXPECT_FALSE(equal(by_hand(e.config, e.logits, e.bias, e.mistake), op)) << e.name << " would not be noticed";
    }
}

}  // namespace
}  // namespace ballast::ops
