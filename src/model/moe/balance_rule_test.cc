// What every balancing rule must do, checked on every file of balance/ (a new one is covered by being there), then the rules
// by name against their formulas.
#include "model/moe/balance_rule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace ballast {
namespace {

constexpr double kRate = 0.01;
using Loads = std::vector<int64_t>;

// One update from a bias of zero: the step itself.
std::vector<float> step_of(const std::string& rule, const Loads& load, double rate = kRate,
                           const BalanceConfig& fields = {}) {
  BalanceConfig config = fields;
  config.rule = rule;
  std::vector<float> bias(load.size(), 0.0f);
  update_bias(config, rate, load, bias);
  return bias;
}

Loads draw_loads(uint64_t seed, size_t experts) {
  Rng rng(seed, 5);
  Loads load(experts);
  for (int64_t& a : load) a = static_cast<int64_t>(rng.below(seed % 3 == 0 ? 4 : 1000));  // ties in every third
  return load;
}

// Sets rules' own fields to something else than their defaults.
void draw_fields(BalanceConfig& config, uint64_t seed) {
  Rng rng(seed, 6);
  FieldList list;
  list_rule_fields(*config.rules, list);
  for (const FieldEntry& field : list.fields())
    if (double* const* real = std::get_if<double*>(&field.target)) **real = rng.uniform();
    else if (int* const* whole = std::get_if<int*>(&field.target)) **whole = static_cast<int>(rng.below(3));
    else ADD_FAILURE() << field.key << ": say here how to draw a field of this type";
}

class EveryRule : public testing::TestWithParam<std::string> {
 protected:
  // Defaults, then drawn fields.
  std::vector<BalanceConfig> configs() const {
    std::vector<BalanceConfig> all(1);
    for (uint64_t seed = 0; seed < 4; ++seed) {
      BalanceConfig c;
      draw_fields(c, seed);
      all.push_back(c);
    }
    return all;
  }
};

TEST_P(EveryRule, LeavesABalancedLayerAlone) {
  for (const auto& fields : configs())
    for (const float b : step_of(GetParam(), Loads(16, 77), kRate, fields)) EXPECT_EQ(b, 0.0f);
}

TEST_P(EveryRule, ARateOfZeroFreezesTheBias) {
  for (const auto& fields : configs())
    for (uint64_t seed = 0; seed < 9; ++seed)
      for (const float b : step_of(GetParam(), draw_loads(seed, 12), 0, fields)) EXPECT_EQ(b, 0.0f);
}

// Whatever the load: one expert has it all, nobody has any, counts beyond what a float holds.
TEST_P(EveryRule, StaysFinite) {
  for (const auto& fields : configs())
    for (const Loads& load : {Loads{0, 0, 0, 900}, Loads(8, 0), Loads{1}, Loads{int64_t{1} << 55, 1, 0}})
      for (const float b : step_of(GetParam(), load, kRate, fields)) EXPECT_TRUE(std::isfinite(b));
}

// A busier expert never gains on an idler one.
TEST_P(EveryRule, NeverFavorsTheBusier) {
  for (const auto& fields : configs())
    for (uint64_t seed = 0; seed < 30; ++seed) {
      const Loads load = draw_loads(seed, 16);
      const auto step = step_of(GetParam(), load, kRate, fields);
      for (size_t i = 0; i < load.size(); ++i)
        for (size_t j = 0; j < load.size(); ++j) {
          if (load[i] <= load[j]) continue;
          EXPECT_LE(step[i], step[j]) << "loads " << load[i] << " and " << load[j];
        }
    }
}

// The names of experts do not matter.
TEST_P(EveryRule, PermutesWithTheExperts) {
  for (const auto& fields : configs())
    for (uint64_t seed = 0; seed < 30; ++seed) {
      Loads load = draw_loads(seed, 16);
      const auto before = step_of(GetParam(), load, kRate, fields);
      std::rotate(load.begin(), load.begin() + 5, load.end());
      const auto after = step_of(GetParam(), load, kRate, fields);
      for (size_t k = 0; k < load.size(); ++k) EXPECT_NEAR(after[k], before[(k + 5) % load.size()], 1e-7);
    }
}

TEST_P(EveryRule, SaysWhatItDoes) {
  EXPECT_NE(balance_rule_list().find(GetParam() + ": "), std::string::npos);
  BalanceConfig config;
  config.rule = GetParam();
  EXPECT_NO_THROW(validate(config));
}

INSTANTIATE_TEST_SUITE_P(BalanceRules, EveryRule, testing::ValuesIn(balance_rule_names()),
                         [](const auto& info) { return info.param; });

TEST(BalanceRule, NoneNeverMoves) {
  for (uint64_t seed = 0; seed < 9; ++seed)
    for (const float b : step_of("none", draw_loads(seed, 16))) EXPECT_EQ(b, 0.0f);
}

// Every step is the rate, its negative or nothing; an expert at exactly the mean stays; the spread grows by two rates at
// most.
TEST(BalanceRule, SignFacts) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Loads load = draw_loads(seed, 16);
    const int64_t total = std::accumulate(load.begin(), load.end(), int64_t{0});
    const auto step = step_of("sign", load);
    for (size_t k = 0; k < load.size(); ++k) {
      const double mean = static_cast<double>(total) / 16;  // exact: a power of two
      const double expected = load[k] < mean ? kRate : load[k] > mean ? -kRate : 0;
      EXPECT_EQ(step[k], static_cast<float>(expected));
    }
    const auto [low, high] = std::minmax_element(step.begin(), step.end());
    EXPECT_LE(*high - *low, 2 * static_cast<float>(kRate));
  }
}

// In double, both counts below equal the mean; in integers one lies above and one below it.
TEST(BalanceRule, SignComesFromIntegers) {
  const int64_t big = int64_t{1} << 54;
  const auto step = step_of("sign", {big + 1, big - 1, big});
  EXPECT_LT(step[0], 0);
  EXPECT_GT(step[1], 0);
  EXPECT_EQ(step[2], 0);
}

TEST(BalanceRule, SignCenteredIsSignWithoutItsMean) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Loads load = draw_loads(seed, 12);
    const auto sign = step_of("sign", load), centered = step_of("sign_centered", load);
    const double mean = std::accumulate(sign.begin(), sign.end(), 0.0) / 12;
    double sum = 0;
    for (size_t k = 0; k < load.size(); ++k) {
      EXPECT_NEAR(centered[k], sign[k] - mean, 1e-9);
      sum += centered[k];
    }
    EXPECT_NEAR(sum, 0, 1e-8);
  }
}

// The step is the relative error times the rate, whatever the size of the batch, and sums to zero.
TEST(BalanceRule, PropIsTheRelativeGap) {
  const auto step = step_of("prop", {0, 1, 2, 5});
  const double want[] = {1, 0.5, 0, -1.5};
  for (size_t k = 0; k < 4; ++k) EXPECT_FLOAT_EQ(step[k], static_cast<float>(kRate * want[k]));
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Loads load = draw_loads(seed, 12);
    if (std::accumulate(load.begin(), load.end(), int64_t{0}) == 0) continue;
    const auto small = step_of("prop", load);
    for (int64_t& a : load) a *= 1000;
    const auto large = step_of("prop", load);
    for (size_t k = 0; k < load.size(); ++k) EXPECT_FLOAT_EQ(small[k], large[k]);
    EXPECT_NEAR(std::accumulate(small.begin(), small.end(), 0.0), 0, 1e-7);
  }
}

TEST(BalanceRule, EveryRuleHasARateOfItsOwn) {
  BalanceConfig config;
  const std::pair<const char*, double> rates[] = {{"none", 0}, {"sign", 1e-3}, {"sign_centered", 1e-3}, {"prop", 0.02}};
  for (const auto& [rule, rate] : rates) {
    config.rule = rule;
    EXPECT_EQ(config.rate(0, 100), rate) << rule;
  }
  config.bias_update_rate = 0.5;
  EXPECT_EQ(config.rate(0, 100), 0.5);
}

TEST(BalanceRule, AddsToTheBias) {
  BalanceConfig config;
  config.rule = "sign";
  std::vector<float> bias{1.0f, -2.0f};
  update_bias(config, 0.25, {3, 1}, bias);
  EXPECT_EQ(bias, (std::vector<float>{0.75f, -1.75f}));
}

TEST(BalanceRule, UnknownNamesGetTheNearest) {
  BalanceConfig config;
  config.rule = "sign_centred";
  try {
    validate(config);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("sign_centered"), std::string::npos);
  }
}

// A step of more than 1 outweighs every score at once, and one beyond a float's range makes a bias that is no number.
TEST(BalanceRule, RatesAndSharesLieBetweenZeroAndOne) {
  const auto refused = [](const std::function<void(BalanceConfig&)>& set) -> std::string {
    BalanceConfig config;
    set(config);
    try {
      validate(config);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind, ErrorKind::usage);
      return e.where;
    }
    return "";
  };
  for (const double bad : {-1e-3, 1.001, 1e39, double(INFINITY), double(NAN)}) {
    EXPECT_EQ(refused([&](BalanceConfig& c) { c.bias_update_rate = bad; }), "balance.bias_update_rate") << bad;
    EXPECT_EQ(refused([&](BalanceConfig& c) { c.rate_drop_at = bad; }), "balance.rate_drop_at") << bad;
    EXPECT_EQ(refused([&](BalanceConfig& c) { c.rate_drop_factor = bad; }), "balance.rate_drop_factor") << bad;
  }
  for (const double good : {0.0, 1e-3, 1.0})
    EXPECT_EQ(refused([&](BalanceConfig& c) { c.bias_update_rate = c.rate_drop_at = c.rate_drop_factor = good; }), "") << good;
}

TEST(BalanceRule, TheRateDropsOnce) {
  BalanceConfig config;
  config.bias_update_rate = 1;
  config.rate_drop_at = 0.5;
  config.rate_drop_factor = 0.125;
  EXPECT_EQ(config.rate(49, 100), 1);
  EXPECT_EQ(config.rate(50, 100), 0.125);
}

}  // namespace
}  // namespace ballast
