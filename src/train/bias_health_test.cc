#include "train/bias_health.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "core/dtype.h"
#include "data/test_shard.h"
#include "ops/route/ref.h"

namespace ballast {
namespace {

// Scores of some tokens, and what a router with this bias chooses of them.
struct Probe {
  ops::RouteConfig route{.experts_per_token = 2};
  std::vector<float> scores, bias;
  Choices ids;

  Probe(int tokens, std::vector<float> b, int groups = 1) : bias(std::move(b)) {
    route.groups = groups;
    route.kept_groups = (groups + 1) / 2;
    Rng rng(1, 2);
    for (size_t i = 0; i < static_cast<size_t>(tokens) * bias.size(); ++i) scores.push_back(static_cast<float>(rng.uniform()));
    choose();
  }
  void choose() {
    ops::ref::Selection selection;
    ids.assign(scores.size() / bias.size() * 2, 0);
    for (size_t t = 0; t * 2 < ids.size(); ++t) {
      selection.c.clear();
      for (size_t e = 0; e < bias.size(); ++e) selection.c.push_back(scores[t * bias.size() + e] + bias[e]);
      selection.select(route, static_cast<int64_t>(bias.size()), &ids[t * 2]);
    }
  }
};

std::vector<float> spread_around(float center) {
  std::vector<float> b;
  for (int e = 0; e < 16; ++e) b.push_back(center + 0.246f * static_cast<float>(e) / 15);
  return b;
}

TEST(Bf16Flip, NothingWhereRoundingIsExact) {
  for (const int groups : {1, 4}) {
    const Probe p(300, std::vector<float>(16, 0.5f), groups);
    EXPECT_EQ(bf16_flip_share(p.route, p.scores, p.bias, p.ids), 0);
  }
}

// A common offset changes no choice, but it takes the digits: bf16 has 1/32 to go by at 7.
TEST(Bf16Flip, AnOffsetTakesTheDigits) {
  for (const int groups : {1, 4}) {
    const Probe near(2000, spread_around(-0.123f), groups), far(2000, spread_around(7), groups);
    const double little = bf16_flip_share(near.route, near.scores, near.bias, near.ids);
    const double much = bf16_flip_share(far.route, far.scores, far.bias, far.ids);
    EXPECT_LT(little, 0.02) << groups;
    EXPECT_GT(much, 0.05) << groups;
    Json m = Json::object();
    BiasHealth health(far.route, {"layer_0"});
    health.remember(0, far.ids);
    health.report(0, far.bias, far.scores, far.ids, m);
    EXPECT_LE(m.at("bf16_distinct/layer_0").as_double(), 9);
    EXPECT_EQ(m.at("bf16_flip/layer_0").as_double(), much);
  }
}

// Two tokens, two experts, one of which loses its lead of 0.001 to rounding; padding is not a token.
TEST(Bf16Flip, IsAShareOfTokens) {
  const ops::RouteConfig route{.experts_per_token = 1};
  const std::vector<float> scores{0.5f, 0.5f, 0.9f, 0.1f, 0.5f, 0.5f}, bias{2, 2.001f};
  EXPECT_EQ(bf16_flip_share(route, scores, bias, {1, 0, -1}), 0.5);
}

TEST(SwitchRate, CountsSlotsWhateverTheirOrder) {
  EXPECT_EQ(switch_rate({1, 2, 3, 4}, {2, 1, 4, 3}, 2), 0);
  EXPECT_EQ(switch_rate({1, 2, 3, 4}, {2, 5, 4, 3}, 2), 0.25);
  EXPECT_EQ(switch_rate({1, 2, -1, -1}, {3, 4, -1, -1}, 2), 1);
}

TEST(BiasMotion, OfAKnownPath) {
  BiasMotion motion;
  EXPECT_EQ(motion.step_rms(), 0);
  EXPECT_EQ(motion.jitter(), 0);
  // One bias swings by 0.1 around its mean, the other against it; both drift, which routing does not see.
  std::vector<float> b{0, 0};
  for (int step = 0; step < 10; ++step) {
    const std::vector<float> before = b;
    const float swing = step % 2 ? -0.1f : 0.1f, drift = 3 * static_cast<float>(step);
    b = {drift + swing, drift - swing};
    motion.observe(before, b);
  }
  EXPECT_NEAR(motion.jitter(), 0.1, 1e-6);
  // Updates: +-0.1, then 3 +- 0.2.
  EXPECT_NEAR(motion.step_rms(), std::sqrt((0.01 + 9 * (9 + 0.04)) / 10), 1e-6);
}

TEST(BiasHealth, ReportsOneLayer) {
  const Probe p(50, {-0.25f, 0.5f, 0.25f, 0.125f});
  BiasHealth health(p.route, {"layer_1"});
  health.remember(0, p.ids);
  Json m = Json::object();
  health.report(0, p.bias, p.scores, p.ids, m);
  EXPECT_EQ(m.at("b_mean/layer_1").as_double(), 0.15625);
  EXPECT_EQ(m.at("b_spread/layer_1").as_double(), 0.75);
  EXPECT_EQ(m.at("sat_margin/layer_1").as_double(), 0.25);
  EXPECT_EQ(m.at("bf16_distinct/layer_1").as_double(), 4);
  EXPECT_EQ(m.at("bf16_flip/layer_1").as_double(), 0);
  EXPECT_EQ(m.at("switch_rate/layer_1").as_double(), 0);
  Json softmax = Json::object();
  health.report(0, {}, p.scores, p.ids, softmax);
  EXPECT_EQ(softmax.as_object().size(), 1u);
}

using BiasHealthFile = FolderTest;

TEST_F(BiasHealthFile, GoesOnWhereItWas) {
  const Probe p(20, {-0.25f, 0.5f, 0.25f, 0.1f});
  BiasHealth health(p.route, {"layer_1", "layer_2"});
  for (const bool moved : {false, true}) {
    for (const size_t l : {0u, 1u}) {
      health.remember(l, p.ids);
      if (moved) health.observe(l, p.bias, {0.1f, 0.2f * static_cast<float>(l), 0.3f, -0.7f});
    }
    health.save(folder / "health.safetensors");
    BiasHealth other(p.route, {"layer_1", "layer_2"});
    ASSERT_TRUE(other.load(folder / "health.safetensors", 20));
    BiasHealth same = health;
    Choices later = p.ids;
    std::swap(later[0], later[2]);
    for (const size_t l : {0u, 1u}) {
      Json want = Json::object(), got = Json::object();
      for (BiasHealth* h : {&same, &other}) h->observe(l, {0.1f, 0, 0.3f, -0.7f}, p.bias);
      same.report(l, p.bias, p.scores, later, want);
      other.report(l, p.bias, p.scores, later, got);
      EXPECT_EQ(got.dump(), want.dump());
    }
  }
  EXPECT_FALSE(BiasHealth(p.route, {"layer_1", "layer_2"}).load(folder / "health.safetensors", 10));
  EXPECT_FALSE(BiasHealth(p.route, {"layer_1"}).load(folder / "health.safetensors", 20));
  EXPECT_FALSE(BiasHealth(p.route, {"layer_1"}).load(folder / "absent.safetensors", 20));
}

}  // namespace
}  // namespace ballast
