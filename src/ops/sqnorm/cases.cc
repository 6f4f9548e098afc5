#include <limits>

#include "ops/case.h"
#include "ops/sqnorm/sqnorm.h"

namespace ballast::ops {
namespace {

OpCase squared_norm_case(std::string name, int64_t n, bool accumulate, const Fill& fill) {
  OpCase c;
  c.op = "squared_norm";
  c.name = std::move(name);
  c.arguments = [=](int) {
    return std::vector<Argument>{{.name = "x", .kind = Kind::full, .shape = {n}, .fill = fill},
                                 {.name = "out", .kind = Kind::full, .role = accumulate ? Role::inout : Role::out,
                                  .shape = {1}, .fill = constant(12.5)}};
  };
  c.forward = [=](Device& d, const Bindings& b, int) {
    squared_norm(d, {.x = b.at("x"), .out = b.at("out"), .accumulate = accumulate});
  };
  c.tolerance = {6.1e-8, 6.1e-8, "summed in double, rounded once to f32 (2^-24); x is f32 in both builds"};
  return c;
}

OpCase clip_scale_case(std::string name, double squared, double max_norm, int nonfinite) {
  OpCase c;
  c.op = "clip_scale";
  c.name = std::move(name);
  c.arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "squared_norm", .kind = Kind::full, .shape = {1}, .fill = constant(squared)},
        {.name = "nonfinite", .kind = Kind::i32, .shape = {1}, .fill = constant(nonfinite)},
        {.name = "norm", .kind = Kind::full, .role = Role::out, .shape = {1}},
        {.name = "grad_scale", .kind = Kind::full, .role = Role::out, .shape = {1}},
        {.name = "skip", .kind = Kind::i32, .role = Role::out, .shape = {1}}};
  };
  c.forward = [=](Device& d, const Bindings& b, int) {
    clip_scale(d, {.squared_norm = b.at("squared_norm"), .max_norm = max_norm, .nonfinite = b.at("nonfinite"),
                   .norm = b.at("norm"), .grad_scale = b.at("grad_scale"), .skip = b.at("skip")});
  };
  c.tolerance = {6.1e-8, 6.1e-8, "computed in double, rounded once to f32 (2^-24)"};
  return c;
}

}  // namespace

std::vector<OpCase> sqnorm_cases() {
  return {
      squared_norm_case("odd length", 1237, false, normal()),
      squared_norm_case("one element", 1, false, normal()),
      squared_norm_case("several blocks, accumulated", 3 * 65536 + 77, true, normal(1e-3)),
      squared_norm_case("tiny values", 1000, false, normal(1e-15)),
      squared_norm_case("huge values", 1000, false, normal(1e16)),
      squared_norm_case("a NaN", 100, false, [](Rng& r, int64_t i) { return i == 41 ? std::nan("") : r.normal(); }),
      clip_scale_case("clipped", 25, 1, 0),
      clip_scale_case("within", 0.25, 1, 0),
      clip_scale_case("zero", 0, 1, 0),
      clip_scale_case("without clipping", 25, 0, 0),
      clip_scale_case("infinite", std::numeric_limits<double>::infinity(), 1, 0),
      clip_scale_case("not a number", std::nan(""), 1, 0),
      clip_scale_case("router flag", 25, 1, 1),
  };
}

}  // namespace ballast::ops
