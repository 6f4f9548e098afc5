// What every skip policy must do, checked on every file of skip/ (a new one is covered by being there), then the policies by
// name against their formulas.
#include "model/moe/skip.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"

namespace ballast {
namespace {

constexpr int kExperts = 16, kSlots = 6;

// Rows of a gate's results, as route_forward leaves them: candidates in the order of their biased scores, which differs
// from the order of the unbiased ones that policies see.
struct Gate {
  ops::RouteConfig config{.experts_per_token = kSlots, .scale = 2.5};
  std::vector<float> scores, weights;
  std::vector<int32_t> ids, positions;

  explicit Gate(int rows, uint64_t seed, bool normalize = true) {
    config.normalize = normalize;
    Rng rng(seed, 3);
    for (int t = 0; t < rows; ++t) {
      float* s = scores.insert(scores.end(), kExperts, 0.0f).base();
      for (int e = 0; e < kExperts; ++e) s[e] = static_cast<float>(rng.uniform() + 1e-3);
      if (t % 3 == 1) std::fill(s, s + 4, s[0]);                      // ties
      if (t % 3 == 2) for (int e = 0; e < kExperts; ++e) s[e] *= 1e-12f;  // tiny scores: ratios still count
      std::vector<int32_t> order(kExperts);
      for (int e = 0; e < kExperts; ++e) order[e] = e;
      for (int e = kExperts - 1; e > 0; --e) std::swap(order[e], order[rng.below(static_cast<uint64_t>(e) + 1)]);
      positions.push_back(7 * t + static_cast<int>(seed));
      float sum = 0;
      for (int j = 0; j < kSlots; ++j) sum += s[order[j]];
      for (int j = 0; j < kSlots; ++j) {
        ids.push_back(order[j]);
        const float score = s[order[j]];
        weights.push_back(static_cast<float>(config.scale) * (normalize ? score / (sum + 1e-20f) : score));
      }
    }
  }
  int rows() const { return static_cast<int>(positions.size()); }
  void make_padding(int row) {
    std::fill_n(ids.begin() + row * kSlots, kSlots, -1);
    std::fill_n(weights.begin() + row * kSlots, kSlots, 0.0f);
  }
  void apply(const GatePlan& plan, bool decoding = true, int layer = 0) {
    const auto device = Device::make(DeviceKind::cpu, 1);
    plan.apply(*device, {.config = config,
                         .scores = Tensor(scores.data(), DType::f32, {rows(), kExperts}),
                         .ids = Tensor(ids.data(), DType::i32, {rows(), kSlots}),
                         .weights = Tensor(weights.data(), DType::f32, {rows(), kSlots}),
                         .positions = Tensor(positions.data(), DType::i32, {rows()}),
                         .layer = layer, .decoding = decoding});
  }
  Gate applied(const GatePlan& plan, bool decoding = true, int layer = 0) const {
    Gate copy = *this;
    copy.apply(plan, decoding, layer);
    return copy;
  }
  int kept(int row) const {
    return static_cast<int>(std::count_if(ids.begin() + row * kSlots, ids.begin() + (row + 1) * kSlots,
                                          [](int32_t id) { return id >= 0; }));
  }
};

// Policies' own fields with other values than their defaults.
SkipConfig drawn(const std::string& policy, uint64_t seed) {
  Rng rng(seed, 4);
  SkipConfig c;
  c.policy = policy;
  c.top_k = static_cast<int>(seed % (kSlots + 1));
  c.renorm = 0.5 * static_cast<double>(seed % 3);
  FieldList list;
  list_policy_fields(*c.policies, list);
  for (const FieldEntry& field : list.fields())
    if (double* const* real = std::get_if<double*>(&field.target)) **real = rng.uniform();
    else if (int* const* whole = std::get_if<int*>(&field.target)) **whole = static_cast<int>(rng.below(kSlots + 1));
    else ADD_FAILURE() << field.key << ": say here how to draw a field of this type";
  return c;
}

class EveryPolicy : public testing::TestWithParam<std::string> {};

// Fields at their defaults keep every slot, and then nothing changes by a bit.
TEST_P(EveryPolicy, DefaultsAreTheIdentity) {
  SkipConfig config;
  config.policy = GetParam();
  for (const double renorm : {0.0, 0.5, 1.0}) {
    config.renorm = renorm;
    const Gate before(12, 1);
    const Gate after = before.applied(*make_explicit_gate_plan(config, kSlots));
    EXPECT_EQ(after.ids, before.ids);
    EXPECT_EQ(after.weights, before.weights);
  }
}

// A row keeps a slot; a dropped slot has id -1 and weight 0, a kept one its id and the weight of the formula
// g = scale * p / (S_keep^(1 - eta) * S_full^eta), or its own where the gate does not normalize.
TEST_P(EveryPolicy, LeavesSentinelsAndTheFormulasWeights) {
  for (const bool normalize : {true, false})
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const SkipConfig config = drawn(GetParam(), seed);
      const Gate before(9, seed, normalize), after = before.applied(*make_explicit_gate_plan(config, kSlots));
      for (int t = 0; t < before.rows(); ++t) {
        ASSERT_GE(after.kept(t), 1);
        const float* s = before.scores.data() + t * kExperts;
        double kept = 0, full = 0;
        for (int j = t * kSlots; j < (t + 1) * kSlots; ++j) {
          full += s[before.ids[j]];
          if (after.ids[j] >= 0) kept += s[before.ids[j]];
        }
        for (int j = t * kSlots; j < (t + 1) * kSlots; ++j) {
          if (after.ids[j] < 0) {
            EXPECT_EQ(after.ids[j], -1);
            EXPECT_EQ(after.weights[j], 0.0f);
            continue;
          }
          EXPECT_EQ(after.ids[j], before.ids[j]);
          const double g = 2.5 * s[before.ids[j]] / (std::pow(kept, 1 - config.renorm) * std::pow(full, config.renorm));
          if (normalize) EXPECT_NEAR(after.weights[j], g, 2e-6 * g);
          else EXPECT_EQ(after.weights[j], before.weights[j]);
        }
      }
    }
}

// A token's slots depend on nothing but its own row: not on its neighbors, not on a call before.
TEST_P(EveryPolicy, ARowStandsAlone) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto plan = make_explicit_gate_plan(drawn(GetParam(), seed), kSlots);
    const Gate batch(9, seed), after = batch.applied(*plan), again = batch.applied(*plan);
    EXPECT_EQ(after.ids, again.ids);
    for (int t = 0; t < batch.rows(); ++t) {
      Gate one = batch;
      for (int other = 0; other < batch.rows(); ++other)
        if (other != t) one.make_padding(other);
      one.apply(*plan);
      EXPECT_TRUE(std::equal(one.ids.begin() + t * kSlots, one.ids.begin() + (t + 1) * kSlots, after.ids.begin() + t * kSlots));
    }
  }
}

TEST_P(EveryPolicy, PaddingRowsStayPadding) {
  Gate gate(3, 2);
  gate.make_padding(1);
  gate.apply(*make_explicit_gate_plan(drawn(GetParam(), 2), kSlots));
  EXPECT_EQ(gate.kept(1), 0);
  for (int j = kSlots; j < 2 * kSlots; ++j) EXPECT_EQ(gate.weights[j], 0.0f);
}

TEST_P(EveryPolicy, PromptsCanBeLeftAlone) {
  SkipConfig config = drawn(GetParam(), 2);
  config.prefill = false;
  const Gate before(9, 5), after = before.applied(*make_explicit_gate_plan(config, kSlots), false);
  EXPECT_EQ(after.ids, before.ids);
  EXPECT_EQ(after.weights, before.weights);
}

// A policy marks k slots, however many that is, and nothing behind them.
TEST_P(EveryPolicy, StaysWithinItsRow) {
  for (int k = 1; k <= kSlots; ++k)
    for (uint64_t seed = 0; seed < 20; ++seed) {
      SkipConfig config = drawn(GetParam(), seed);
      Rng rng(seed, 8);
      float score[kSlots + 1];
      for (float& s : score) s = static_cast<float>(rng.uniform());
      std::sort(score, score + kSlots + 1, std::greater<>());
      bool keep[kSlots + 1];
      std::fill(keep, keep + k, true);
      for (const bool guard : {false, true}) {
        std::fill(keep + k, keep + kSlots + 1, guard);
        row_policy(config)(SkipRow{k, score, keep, 3, 1});
        for (int j = k; j <= kSlots; ++j) EXPECT_EQ(keep[j], guard);
      }
    }
}

INSTANTIATE_TEST_SUITE_P(SkipPolicies, EveryPolicy, testing::ValuesIn(skip_policy_names()),
                         [](const auto& info) { return info.param; });

SkipConfig named(const std::string& policy, int top_k = 0) {
  SkipConfig c;
  c.policy = policy;
  c.top_k = top_k;
  return c;
}

TEST(SkipPolicy, TopkKeepsTheBestUnbiasedScores) {
  for (int k = 1; k <= kSlots; ++k) {
    const Gate before(9, 3), after = before.applied(*make_explicit_gate_plan(named("topk", k), kSlots));
    for (int t = 0; t < before.rows(); ++t) {
      EXPECT_EQ(after.kept(t), k);
      const float* s = before.scores.data() + t * kExperts;
      float worst_kept = INFINITY, best_dropped = -INFINITY;
      for (int j = t * kSlots; j < (t + 1) * kSlots; ++j)
        (after.ids[j] >= 0 ? worst_kept : best_dropped) = after.ids[j] >= 0
            ? std::min(worst_kept, s[before.ids[j]]) : std::max(best_dropped, s[before.ids[j]]);
      EXPECT_GE(worst_kept, best_dropped);
    }
  }
}

TEST(SkipPolicy, MinpComparesWithTheBest) {
  for (const double share : {0.1, 0.5, 0.99, 1.0}) {
    SkipConfig config = named("minp");
    apply_override(config, "min_p", std::to_string(share));
    const Gate before(9, 4), after = before.applied(*make_explicit_gate_plan(config, kSlots));
    for (int t = 0; t < before.rows(); ++t) {
      const float* s = before.scores.data() + t * kExperts;
      float best = 0;
      for (int j = t * kSlots; j < (t + 1) * kSlots; ++j) best = std::max(best, s[before.ids[j]]);
      for (int j = t * kSlots; j < (t + 1) * kSlots; ++j)
        EXPECT_EQ(after.ids[j] >= 0, s[before.ids[j]] >= static_cast<float>(share) * best);
    }
  }
}

// Every slot is kept equally often (k' / k, within five standard errors), and the draw follows seed, layer and position.
TEST(SkipPolicy, RandomIsUniformAndKeyed) {
  constexpr int kRows = 4000;
  const Gate before(kRows, 5);
  SkipConfig config = named("random", 2);
  const auto plan = make_explicit_gate_plan(config, kSlots);
  const Gate after = before.applied(*plan);
  int kept[kSlots] = {};
  for (int j = 0; j < kRows * kSlots; ++j) kept[j % kSlots] += after.ids[j] >= 0;
  const double expected = kRows / 3.0, error = std::sqrt(kRows * (1 / 3.0) * (2 / 3.0));
  for (const int n : kept) EXPECT_NEAR(n, expected, 5 * error);
  for (int t = 0; t < kRows; ++t) ASSERT_EQ(after.kept(t), 2);
  EXPECT_NE(before.applied(*plan, true, 1).ids, after.ids);
  config.seed = 1;
  EXPECT_NE(before.applied(*make_explicit_gate_plan(config, kSlots)).ids, after.ids);
}

TEST(SkipPolicy, OffIsNoPlanAtAll) {
  EXPECT_EQ(make_gate_plan(named("off"), kSlots), nullptr);
  EXPECT_NE(make_gate_plan(named("topk", 2), kSlots), nullptr);
}

TEST(SkipPolicy, RefusesWhatCannotBe) {
  EXPECT_THROW(make_gate_plan(named("topk", kSlots + 1), kSlots), Error);
  EXPECT_THROW(make_gate_plan(named("topk", -1), kSlots), Error);
  SkipConfig eta = named("topk", 2);
  eta.renorm = 1.5;
  EXPECT_THROW(make_gate_plan(eta, kSlots), Error);
  try {
    make_gate_plan(named("min-p"), kSlots);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("'minp'"), std::string::npos);
  }
}

}  // namespace
}  // namespace ballast
