#include "ops/add_bias/add_bias.h"
#include "ops/case.h"

namespace ballast::ops {
namespace {

struct Shape {
  int64_t rows, width, stride = 0;
  bool in_place = false, accumulate = false;
};

OpCase add_bias_case(std::string name, Shape s, const Fill& fill = normal()) {
  OpCase c;
  c.op = "add_bias";
  c.name = std::move(name);
  c.arguments = [=](int) {
    return std::vector<Argument>{{.name = "x", .shape = {s.rows, s.width}, .fill = fill, .row_stride = s.stride},
                                 {.name = "bias", .kind = Kind::full, .shape = {s.width}, .fill = fill},
                                 {.name = "y", .role = Role::out, .shape = {s.rows, s.width}, .row_stride = s.stride}};
  };
  c.forward = [=](Device& d, const Bindings& b, int) {
    const Tensor x = b.at("x"), y = b.at("y");
    for (int64_t t = 0; t < s.rows && s.in_place; ++t)
      d.copy(y.rows(t, t + 1).data, x.rows(t, t + 1).data, static_cast<size_t>(x.rows(t, t + 1).bytes()));
    add_bias_forward(d, {.x = s.in_place ? y : x, .bias = b.at("bias"), .y = y});
  };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "dy", .shape = {s.rows, s.width}, .row_stride = s.stride, .cotangent_of = "y"},
        {.name = "dbias", .kind = Kind::full, .role = s.accumulate ? Role::inout : Role::out, .shape = {s.width},
         .gradient_of = "bias"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int) {
    add_bias_backward(d, {.dy = b.at("dy"), .dbias = b.at("dbias"), .accumulate = s.accumulate});
  };
  c.tolerance = {1e-7, 4e-3, "one addition; one rounding to bf16"};
  c.vjp_tolerance = {1e-7, 1e-7, "summed in double, rounded once to f32, whatever the storage"};
  return c;
}

}  // namespace

std::vector<OpCase> add_bias_cases() {
  return {
      add_bias_case("odd width", {.rows = 7, .width = 131}),
      add_bias_case("one row", {.rows = 1, .width = 64}),
      add_bias_case("many rows, accumulated", {.rows = 700, .width = 5, .accumulate = true}),
      add_bias_case("strided columns, in place", {.rows = 33, .width = 72, .stride = 97, .in_place = true}),
      add_bias_case("large and small values", {.rows = 40, .width = 40},
                    [](Rng& rng, int64_t i) { return rng.normal() * (i % 7 == 0 ? 1e4 : 1e-4); }),
  };
}

}  // namespace ballast::ops
