#include "ops/case.h"
#include "ops/rope/rope.h"

#include <cmath>

namespace ballast::ops {
namespace {

struct Shape {
  int64_t tokens, heads, width;
  int64_t skip = 0;         // elements of each head before the rotated ones (the head's part without position)
  int64_t token_stride = 0;
  double factor = 1;
  bool inverse = false;
};

OpCase rope_case(std::string name, Shape s, const Fill& positions) {
  OpCase c;
  c.op = "rope";
  c.name = std::move(name);
  const std::vector<int64_t> shape{s.tokens, s.heads, s.skip + s.width};
  c.arguments = [=](int) {
    const auto inv_freq = [s](Rng&, int64_t i) { return std::pow(10000.0, -2.0 * double(i) / double(s.width)); };
    return std::vector<Argument>{
        {.name = "x", .role = Role::inout, .shape = shape, .row_stride = s.token_stride},
        {.name = "positions", .kind = Kind::i32, .shape = {s.tokens}, .fill = positions},
        {.name = "inv_freq", .kind = Kind::full, .shape = {s.width / 2}, .fill = inv_freq}};
  };
  const auto turn = [=](Device& d, const Bindings& b, const char* name, bool inverse) {
    rope(d, {.x = b.at(name).cols(s.skip, s.skip + s.width), .positions = b.at("positions"),
             .inv_freq = b.at("inv_freq"), .factor = s.factor, .inverse = inverse});
  };
  c.forward = [=](Device& d, const Bindings& b, int) { turn(d, b, "x", s.inverse); };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "dx", .role = Role::inout, .shape = shape, .gradient_of = "x", .cotangent_of = "x"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int) { turn(d, b, "dx", !s.inverse); };
  // The angle is reduced in double and rounded once, to 1.2e-7 at pi; sine and cosine add 2 ulp.
  c.tolerance = c.vjp_tolerance = {5e-7, 4e-3, "sine and cosine of an angle rounded to f32; one rounding to bf16"};
  return c;
}

}  // namespace

std::vector<OpCase> rope_cases() {
  return {
      rope_case("one token", {.tokens = 1, .heads = 4, .width = 32}, constant(17)),
      rope_case("odd number of pairs", {.tokens = 7, .heads = 3, .width = 38}, integers(0, 4096)),
      rope_case("behind a part without position", {.tokens = 40, .heads = 4, .width = 32, .skip = 64},
                integers(0, 512)),
      rope_case("strided tokens", {.tokens = 9, .heads = 1, .width = 64, .token_stride = 101}, integers(0, 512)),
      rope_case("far positions", {.tokens = 50, .heads = 2, .width = 64}, integers(100000, 131072)),
      rope_case("first position", {.tokens = 3, .heads = 2, .width = 16}, constant(0)),
      rope_case("factor", {.tokens = 5, .heads = 2, .width = 32, .factor = 1.3689}, integers(0, 4096)),
      rope_case("inverse", {.tokens = 5, .heads = 2, .width = 34, .inverse = true}, integers(0, 4096)),
  };
}

}  // namespace ballast::ops
