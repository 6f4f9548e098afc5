#include <limits>

#include "ops/case.h"
#include "ops/route/route.h"

namespace ballast::ops {
namespace {

struct RouteShape {
  int64_t tokens = 40, width = 48, experts = 16;
  RouteConfig config;
  Fill x = normal(), weight = normal(0.3), bias = normal(0.2);
  bool padding = false;
};

OpCase route_case(std::string name, RouteShape s) {
  OpCase c;
  c.op = "route";
  c.name = std::move(name);
  const int64_t t = s.tokens, e = s.experts, k = s.config.experts_per_token;
  c.arguments = [=](int) {
    std::vector<Argument> list{
        {.name = "x", .shape = {t, s.width}, .fill = s.x},
        {.name = "weight", .kind = Kind::full, .shape = {e, s.width}, .fill = s.weight},
        {.name = "bias", .kind = Kind::full, .shape = {e}, .fill = s.bias},
        {.name = "logits", .kind = Kind::full, .role = Role::out, .shape = {t, e}},
        {.name = "scores", .kind = Kind::full, .role = Role::out, .shape = {t, e}},
        {.name = "ids", .kind = Kind::i32, .role = Role::out, .shape = {t, k}},
        {.name = "weights", .kind = Kind::full, .role = Role::out, .shape = {t, k}},
        {.name = "load", .kind = Kind::i64, .role = Role::inout, .shape = {e}, .fill = integers(0, 5)},
        {.name = "nonfinite", .kind = Kind::i32, .role = Role::inout, .shape = {1}, .fill = constant(0)}};
    if (s.padding)
      list.push_back({.name = "valid", .kind = Kind::i32, .shape = {t}, .fill = integers(0, 2)});
    return list;
  };
  c.forward = [=](Device& d, const Bindings& b, int) {
    route_forward(d, {.config = s.config, .x = b.at("x"), .weight = b.at("weight"), .bias = b.at("bias"),
                      .valid = b.count("valid") ? b.at("valid") : Tensor(), .logits = b.at("logits"),
                      .scores = b.at("scores"), .ids = b.at("ids"), .weights = b.at("weights"), .load = b.at("load"),
                      .nonfinite = b.at("nonfinite")});
  };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "dweights", .kind = Kind::full, .shape = {t, k}, .cotangent_of = "weights"},
        {.name = "dscores", .kind = Kind::full, .shape = {t, e}, .fill = normal(0.1), .cotangent_of = "scores"},
        {.name = "dlogits", .kind = Kind::full, .role = Role::out, .shape = {t, e}},
        {.name = "dx", .role = Role::inout, .shape = {t, s.width}, .fill = normal(0.1), .gradient_of = "x"},
        {.name = "dweight", .kind = Kind::full, .role = Role::inout, .shape = {e, s.width}, .gradient_of = "weight"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int) {
    route_backward(d, {.config = s.config, .x = b.at("x"), .weight = b.at("weight"), .scores = b.at("scores"),
                       .ids = b.at("ids"), .dweights = b.at("dweights"), .dscores = b.at("dscores"),
                       .dlogits = b.at("dlogits"), .dx = b.at("dx"), .dweight = b.at("dweight"),
                       .accumulate_dweight = true});
  };
  // Everything but x and dx is f32 on every device, so bf16 storage costs nothing but the rounding of dx.
  c.tolerance = {4e-6, 4e-6, "f32 sums over the width, in another order than the reference's"};
  c.vjp_tolerance = {1e-5, 8e-3, "f32 sums over the tokens; one rounding of dx to bf16"};
  return c;
}

}  // namespace

std::vector<OpCase> route_cases() {
  const RouteConfig v3{.experts_per_token = 4, .groups = 4, .kept_groups = 2, .scale = 2.5};
  const RouteConfig v2{.experts_per_token = 3, .groups = 4, .kept_groups = 2, .score = Score::softmax,
                       .group_score = GroupScore::max, .normalize = false, .scale = 16};
  const RouteConfig flat{.experts_per_token = 3, .scale = 2.446};
  const RouteConfig lite{.experts_per_token = 3, .score = Score::softmax, .normalize = false};
  const auto poisoned = [](Rng& rng, int64_t i) {
    return i % 480 == 7 ? std::numeric_limits<double>::quiet_NaN() : rng.normal();
  };
  // An expert that nobody chooses, and one that everybody does.
  const auto skewed = [](Rng& rng, int64_t e) { return e == 3 ? -9.0 : e == 5 ? 9.0 : 0.05 * rng.normal(); };
  std::vector<OpCase> list{
      route_case("v3 groups", {.config = v3}),
      route_case("no groups", {.experts = 12, .config = flat, .bias = uniform(1.9, 2.1)}),
      route_case("v2 groups", {.config = v2, .bias = constant(0)}),
      route_case("v2 lite", {.experts = 10, .config = lite, .bias = constant(0)}),
      route_case("one expert empty, one takes all", {.tokens = 300, .config = flat, .bias = skewed}),
      route_case("padding rows", {.config = v3, .padding = true}),
      route_case("ties", {.config = v3, .x = constant(0), .bias = constant(0)}),
      route_case("top 1", {.tokens = 5, .width = 7, .experts = 3, .config = {.experts_per_token = 1}}),
      route_case("all experts", {.tokens = 9, .width = 33, .experts = 6, .config = {.experts_per_token = 6}}),
      route_case("256 experts", {.tokens = 70, .width = 100, .experts = 256,
                                 .config = {.experts_per_token = 8, .groups = 8, .kept_groups = 4, .scale = 2.5}}),
  };
  OpCase nan = route_case("non-finite rows", {.config = v3, .x = poisoned});
  nan.backward = nullptr;  // its logits are NaN: only the choice and the flag are defined
  list.push_back(nan);
  return list;
}

}  // namespace ballast::ops
