#include "ops/adamw/adamw.h"
#include "ops/case.h"

namespace ballast::ops {
namespace {

OpCase adamw_case(std::string name, int64_t n, double grad_scale, bool skip, double decay, const Fill& grad) {
  OpCase c;
  c.op = "adamw";
  c.name = std::move(name);
  c.arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "master", .kind = Kind::full, .role = Role::inout, .shape = {n}},
        {.name = "m", .kind = Kind::full, .role = Role::inout, .shape = {n}, .fill = normal(0.1)},
        {.name = "v", .kind = Kind::full, .role = Role::inout, .shape = {n}, .fill = uniform(1e-4, 0.1)},
        {.name = "grad", .kind = Kind::full, .shape = {n}, .fill = grad},
        {.name = "param", .role = Role::inout, .shape = {n}},
        {.name = "hyper", .kind = Kind::full, .shape = {4}, .fill = values({1e-3, grad_scale, 0.271, 0.142625})},
        {.name = "skip", .kind = Kind::i32, .shape = {1}, .fill = constant(skip ? 1 : 0)}};
  };
  c.forward = [=](Device& d, const Bindings& b, int) {
    adamw(d, {.master = b.at("master"), .m = b.at("m"), .v = b.at("v"), .grad = b.at("grad"), .param = b.at("param"),
              .hyper = b.at("hyper"), .skip = b.at("skip"), .weight_decay = decay});
  };
  c.tolerance = {1e-6, 4e-3, "a dozen f32 operations; one rounding of the copy to bf16"};
  return c;
}

}  // namespace

std::vector<OpCase> adamw_cases() {
  return {
      adamw_case("odd length", 1003, 1, false, 0.1, normal()),
      adamw_case("clipped", 5000, 0.37, false, 0.1, normal(30)),
      adamw_case("skipped step", 130, 1, true, 0.1, normal()),
      adamw_case("no decay, zero gradient", 64, 1, false, 0, constant(0)),
      adamw_case("one element", 1, 1, false, 0.1, normal()),
  };
}

}  // namespace ballast::ops
