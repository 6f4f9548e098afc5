#include "ops/case.h"
#include "ops/swiglu/swiglu.h"

namespace ballast::ops {
namespace {

struct Shape {
  int64_t rows, width;
  std::vector<int> groups = {};  // ragged rows
  int64_t stride = 0;
  bool in_place = false;         // dgate_up over gate_up
};

OpCase swiglu_case(std::string name, Shape s, const Fill& fill) {
  OpCase c;
  c.op = "swiglu";
  c.name = std::move(name);
  const auto with_groups = [s](Argument a) {
    a.group_counts = s.groups;
    return a;
  };
  c.arguments = [=](int align) {
    std::vector<Argument> list{
        with_groups({.name = "gate_up", .shape = {s.rows, 2 * s.width}, .fill = fill, .row_stride = s.stride}),
        with_groups({.name = "h", .role = Role::out, .shape = {s.rows, s.width}})};
    if (!s.groups.empty()) {
      const int64_t experts = static_cast<int64_t>(s.groups.size());
      list.push_back(
          {.name = "offs", .kind = Kind::i32, .shape = {experts + 1}, .fill = values(ragged_offsets(s.groups, align))});
      list.push_back({.name = "count", .kind = Kind::i32, .shape = {experts}, .fill = values(as_doubles(s.groups))});
    }
    return list;
  };
  const auto optional = [](const Bindings& b, const char* name) { return b.count(name) ? b.at(name) : Tensor(); };
  c.forward = [=](Device& d, const Bindings& b, int) {
    swiglu_forward(d, {.gate_up = b.at("gate_up"), .offs = optional(b, "offs"), .count = optional(b, "count"),
                       .h = b.at("h")});
  };
  c.vjp_arguments = [=](int) {
    return std::vector<Argument>{
        with_groups({.name = "dh", .shape = {s.rows, s.width}, .cotangent_of = "h"}),
        with_groups({.name = "dgate_up", .role = Role::out, .shape = {s.rows, 2 * s.width}, .gradient_of = "gate_up"})};
  };
  c.backward = [=](Device& d, const Bindings& b, int) {
    const Tensor out = b.at("dgate_up"), in = b.at("gate_up");
    if (s.in_place) d.copy(out.data, in.data, static_cast<size_t>(out.bytes()));
    swiglu_backward(d, {.gate_up = s.in_place ? out : in, .offs = optional(b, "offs"), .count = optional(b, "count"),
                        .dh = b.at("dh"), .dgate_up = out});
  };
  // Elementwise: exp and the division are exact to 2 ulp each, the three products to half a one.
  c.tolerance = {5e-7, 4e-3, "elementwise f32; one rounding to bf16"};
  c.vjp_tolerance = {1e-6, 4e-3, "elementwise f32 with one difference, 1 - sigmoid; one rounding to bf16"};
  return c;
}

}  // namespace

std::vector<OpCase> swiglu_cases() {
  return {
      swiglu_case("odd width", {.rows = 5, .width = 37}, normal()),
      swiglu_case("one row", {.rows = 1, .width = 128}, normal()),
      swiglu_case("ragged", {.rows = 83, .width = 40, .groups = {7, 33, 1, 42}}, normal(2)),
      swiglu_case("empty groups", {.rows = 70, .width = 16, .groups = {0, 65, 0, 0, 5, 0}}, normal()),
      swiglu_case("one group takes all", {.rows = 64, .width = 24, .groups = {0, 0, 64, 0}}, normal()),
      swiglu_case("strided rows", {.rows = 9, .width = 20, .stride = 61}, normal()),
      swiglu_case("in place", {.rows = 33, .width = 19, .in_place = true}, normal()),
      swiglu_case("saturated", {.rows = 4, .width = 50}, normal(60)),
      swiglu_case("tiny values", {.rows = 4, .width = 50}, normal(1e-6)),
  };
}

}  // namespace ballast::ops
