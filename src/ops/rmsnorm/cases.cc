#include "ops/case.h"
#include "ops/rmsnorm/rmsnorm.h"

namespace ballast::ops {
namespace {

OpCase rmsnorm_case(std::string name, int64_t rows, int64_t width, bool residual, int64_t stride, const Fill& fill) {
  OpCase c;
  c.op = "rmsnorm";
  c.name = std::move(name);
  c.arguments = [=](int) {
    std::vector<Argument> list{{.name = "x", .shape = {rows, width}, .fill = fill, .row_stride = stride},
                               {.name = "weight", .kind = Kind::full, .shape = {width}},
                               {.name = "y", .role = Role::out, .shape = {rows, width}, .row_stride = stride},
                               {.name = "rstd", .kind = Kind::full, .role = Role::out, .shape = {rows}}};
    if (residual) {
      list.push_back({.name = "residual", .shape = {rows, width}});
      list.push_back({.name = "sum", .role = Role::out, .shape = {rows, width}});
    }
    return list;
  };
  const auto optional = [](const Bindings& b, const char* name) { return b.count(name) ? b.at(name) : Tensor(); };
  c.forward = [=](Device& d, const Bindings& b, int) {
    rmsnorm_forward(d, {.x = b.at("x"), .residual = optional(b, "residual"), .weight = b.at("weight"),
                        .sum = optional(b, "sum"), .y = b.at("y"), .rstd = b.at("rstd")});
  };
  c.vjp_arguments = [=](int) {
    std::vector<Argument> list{
        {.name = "dy", .shape = {rows, width}, .cotangent_of = "y"},
        {.name = "dx", .role = Role::out, .shape = {rows, width}, .gradient_of = "x"},
        {.name = "dweight", .kind = Kind::full, .role = Role::inout, .shape = {width}, .gradient_of = "weight"}};
    if (residual) list.push_back({.name = "dsum", .shape = {rows, width}, .cotangent_of = "sum"});
    return list;
  };
  c.backward = [=](Device& d, const Bindings& b, int) {
    rmsnorm_backward(d, {.dy = b.at("dy"), .s = residual ? b.at("sum") : b.at("x"), .weight = b.at("weight"),
                         .rstd = b.at("rstd"), .dsum = optional(b, "dsum"), .dx = b.at("dx"),
                         .dweight = b.at("dweight"), .accumulate_dweight = true});
  };
  // x + residual is rounded to bf16 before it is normalized; dx is a difference of two roundings.
  c.tolerance = {3e-6, 1.2e-2, "f32 sums over the width; the sum is rounded before it is normalized"};
  c.vjp_tolerance = {5e-6, 1.5e-2, "the same, through a difference"};
  return c;
}

}  // namespace

std::vector<OpCase> rmsnorm_cases() {
  return {
      rmsnorm_case("odd width", 5, 37, false, 0, normal()),
      rmsnorm_case("one row", 1, 17, false, 0, normal()),
      rmsnorm_case("residual", 300, 64, true, 0, normal()),
      rmsnorm_case("strided rows", 33, 96, false, 144, normal()),
      rmsnorm_case("wide", 7, 1536, true, 0, normal(3)),
      rmsnorm_case("tiny values", 4, 64, false, 0, normal(1e-6)),
      rmsnorm_case("huge values", 4, 64, false, 0, normal(1e8)),
  };
}

}  // namespace ballast::ops
