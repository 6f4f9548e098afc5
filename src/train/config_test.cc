#include "train/config.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ballast {
namespace {

// DeepSeek-V2's router has no bias that a rule could move.
TEST(RunConfig, BalanceRulesNeedASigmoidRouter) {
  RunConfig c;
  c.model.scoring_func = "softmax", c.model.topk_method = "greedy", c.model.norm_topk_prob = false;
  c.balance.rule = "none";
  EXPECT_NO_THROW(validate(c));
  for (const char* rule : {"sign", "sign_centered"}) {
    c.balance.rule = rule;
    try {
      validate(c);
      FAIL() << rule;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind, ErrorKind::usage);
      EXPECT_EQ(std::string(e.what()).find("balance.rule: '"), 0u) << e.what();
      EXPECT_NE(std::string(e.what()).find("softmax"), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace ballast
