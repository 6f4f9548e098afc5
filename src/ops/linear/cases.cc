#include "ops/case.h"
#include "ops/linear/linear.h"

namespace ballast::ops {
namespace {

struct Options {
  int64_t x_stride = 0, y_stride = 0;  // elements between rows; 0: dense
  bool accumulate = false;
  Kind y = Kind::storage;
  Fill fill = normal();
};

OpCase linear_case(std::string name, int64_t rows, int64_t width, int64_t outputs, const Options& o) {
  OpCase c;
  c.op = "linear";
  c.name = std::move(name);
  c.arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "x", .shape = {rows, width}, .fill = o.fill, .row_stride = o.x_stride},
        {.name = "weight", .shape = {outputs, width}},
        {.name = "y", .kind = o.y, .role = o.accumulate ? Role::inout : Role::out, .shape = {rows, outputs},
         .row_stride = o.y_stride}};
  };
  c.forward = [=](Device& d, const Bindings& b, int) {
    linear_forward(d, {.x = b.at("x"), .weight = b.at("weight"), .y = b.at("y"), .accumulate = o.accumulate});
  };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "dy", .shape = {rows, outputs}, .row_stride = o.y_stride, .cotangent_of = "y"},
        {.name = "dx", .role = o.accumulate ? Role::inout : Role::out, .shape = {rows, width},
         .row_stride = o.x_stride, .gradient_of = "x"},
        {.name = "dweight", .kind = Kind::full, .role = o.accumulate ? Role::inout : Role::out,
         .shape = {outputs, width}, .gradient_of = "weight"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int) {
    linear_backward(d, {.dy = b.at("dy"), .x = b.at("x"), .weight = b.at("weight"), .dx = b.at("dx"),
                        .accumulate_dx = o.accumulate, .dweight = b.at("dweight"),
                        .accumulate_dweight = o.accumulate});
  };
  c.tolerance = {1.5e-6, 4.2e-3, "f32 sums of up to 4500 products; one rounding to bf16 is 2^-8 = 3.9e-3 at most"};
  if (o.accumulate) c.tolerance.bf16 = 5.9e-3;  // two roundings: cuBLASLt rounds the product before it adds (seen: 4.46e-3)
  c.vjp_tolerance = c.tolerance;
  if (o.y == Kind::full) c.tolerance.bf16 = 1e-6;  // products of bf16 are exact in f32, and so is the output's rounding
  return c;
}

}  // namespace

std::vector<OpCase> linear_cases() {
  return {
      linear_case("one row", 1, 96, 80, {}),
      linear_case("one row, odd", 1, 37, 19, {}),
      linear_case("decode batch", 5, 64, 257, {.accumulate = true}),
      linear_case("eight rows", 8, 129, 33, {.x_stride = 160, .y_stride = 48}),
      linear_case("few rows", 17, 70, 45, {}),
      linear_case("odd", 45, 37, 53, {}),
      linear_case("blocks", 300, 64, 48, {}),
      linear_case("many tokens", 4500, 8, 16, {.accumulate = true}),
      linear_case("strided, accumulating", 100, 64, 48, {.x_stride = 96, .y_stride = 80, .accumulate = true}),
      linear_case("wide", 33, 1024, 24, {}),
      linear_case("logits", 40, 64, 130, {.y = Kind::full}),
      linear_case("logits of one row", 1, 64, 130, {.y = Kind::full}),
      linear_case("large values", 40, 48, 40, {.fill = normal(1e6)}),
      linear_case("one output", 50, 64, 1, {}),
  };
}

}  // namespace ballast::ops
