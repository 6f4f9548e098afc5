#include <numeric>

#include "ops/case.h"
#include "ops/grouped_linear/grouped_linear.h"

namespace ballast::ops {
namespace {

OpCase grouped_case(std::string name, std::vector<int> counts, int64_t width, int64_t outputs, bool accumulate) {
  OpCase c;
  c.op = "grouped_linear";
  c.name = std::move(name);
  const int64_t experts = static_cast<int64_t>(counts.size()), rows = std::accumulate(counts.begin(), counts.end(), 0);
  c.arguments = [=](int align) {
    return std::vector<Argument>{
        {.name = "x", .shape = {rows, width}, .group_counts = counts},
        {.name = "offs", .kind = Kind::i32, .shape = {experts + 1}, .fill = values(ragged_offsets(counts, align))},
        {.name = "count", .kind = Kind::i32, .shape = {experts}, .fill = values(as_doubles(counts))},
        {.name = "weight", .shape = {experts, outputs, width}},
        {.name = "y", .role = Role::out, .shape = {rows, outputs}, .group_counts = counts},
        {.name = "executed", .kind = Kind::i64, .role = Role::inout, .shape = {1}, .fill = constant(3)}};
  };
  const auto ragged = [](const Bindings& b, int align) {
    return Ragged{b.at("x"), b.at("offs"), b.at("count"), align};
  };
  c.forward = [=](Device& d, const Bindings& b, int align) {
    grouped_linear_forward(
        d, {.x = ragged(b, align), .weight = b.at("weight"), .y = b.at("y"), .executed = b.at("executed")});
  };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        {.name = "dy", .shape = {rows, outputs}, .group_counts = counts, .cotangent_of = "y"},
        {.name = "dx", .role = Role::out, .shape = {rows, width}, .group_counts = counts, .gradient_of = "x"},
        {.name = "dweight", .kind = Kind::full, .role = accumulate ? Role::inout : Role::out,
         .shape = {experts, outputs, width}, .gradient_of = "weight"}};
  };
  c.backward = [=](Device& d, const Bindings& b, int align) {
    grouped_linear_backward(d, {.x = ragged(b, align), .dy = b.at("dy"), .weight = b.at("weight"), .dx = b.at("dx"),
                                .dweight = b.at("dweight"), .accumulate_dweight = accumulate});
  };
  c.tolerance = {1.5e-6, 4.2e-3, "f32 sums of up to 500 products; one rounding to bf16 is 2^-8 = 3.9e-3 at most"};
  c.vjp_tolerance = c.tolerance;
  return c;
}

}  // namespace

std::vector<OpCase> grouped_linear_cases() {
  return {
      grouped_case("ragged", {3, 0, 40, 17, 64, 1}, 48, 40, false),
      grouped_case("odd sizes, accumulating", {5, 33, 0, 2}, 37, 29, true),
      grouped_case("one expert takes all", {0, 500, 0, 0}, 32, 96, false),
      grouped_case("one row each", {1, 1, 0, 1, 1, 1, 0, 1}, 96, 130, false),
      grouped_case("decode, one token", {0, 0, 1, 0, 1}, 64, 48, false),
      grouped_case("one expert", {50}, 32, 64, true),
  };
}

}  // namespace ballast::ops
