// From config.json to the gate, by family (arXiv 2405.04434 section 2.1.2, arXiv 2412.19437 eq. 12-16).
#include <gtest/gtest.h>

#include "model/moe/moe.h"

namespace ballast {
namespace {

ops::RouteConfig route_of(std::string_view text) {
  return route_config(parse_hf_config(Json::parse(text), "config.json"));
}

TEST(RouteConfig, V3) {
  const ops::RouteConfig r = route_of(R"({"model_type": "deepseek_v3"})");
  EXPECT_EQ(r.score, ops::Score::sigmoid);
  EXPECT_EQ(r.group_score, ops::GroupScore::top2_sum);
  EXPECT_TRUE(r.normalize);
  EXPECT_EQ(r.scale, 2.5);
  EXPECT_EQ(std::pair(r.groups, r.kept_groups), std::pair(8, 4));
}

TEST(RouteConfig, Moonlight) {
  const ops::RouteConfig r = route_of(R"({"model_type": "deepseek_v3", "n_group": 1, "topk_group": 1,
      "n_routed_experts": 64, "num_experts_per_tok": 6, "routed_scaling_factor": 2.446})");
  EXPECT_EQ(r.score, ops::Score::sigmoid);
  EXPECT_EQ(r.groups, 1);
  EXPECT_EQ(r.scale, 2.446);
}

TEST(RouteConfig, V2) {
  const ops::RouteConfig r = route_of(R"({"model_type": "deepseek_v2", "topk_method": "group_limited_greedy",
      "n_group": 8, "topk_group": 3, "n_routed_experts": 160, "routed_scaling_factor": 16.0})");
  EXPECT_EQ(r.score, ops::Score::softmax);
  EXPECT_EQ(r.group_score, ops::GroupScore::max);
  EXPECT_FALSE(r.normalize);
  EXPECT_EQ(r.scale, 16);
  EXPECT_EQ(std::pair(r.groups, r.kept_groups), std::pair(8, 3));
}

TEST(RouteConfig, V2Lite) {
  // Groups in the file of a greedy router mean nothing.
  const ops::RouteConfig r = route_of(R"({"model_type": "deepseek_v2", "topk_method": "greedy", "n_group": 4,
      "topk_group": 2, "routed_scaling_factor": 1.0})");
  EXPECT_EQ(r.score, ops::Score::softmax);
  EXPECT_FALSE(r.normalize);
  EXPECT_EQ(r.groups, 1);
}

// The published V2 code multiplies by routed_scaling_factor or normalizes, never both; V3's does both.
TEST(RouteConfig, NormalizedSoftmaxIsNotScaled) {
  EXPECT_EQ(route_of(R"({"model_type": "deepseek_v2", "norm_topk_prob": true, "routed_scaling_factor": 16.0})").scale,
            1);
  EXPECT_EQ(route_of(R"({"model_type": "deepseek_v2", "norm_topk_prob": true, "routed_scaling_factor": 16.0,
      "num_experts_per_tok": 1})")
                .scale,
            16);
  EXPECT_EQ(route_of(R"({"model_type": "deepseek_v3", "norm_topk_prob": false})").scale, 2.5);
}

}  // namespace
}  // namespace ballast
