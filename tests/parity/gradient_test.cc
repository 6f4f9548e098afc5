// Every vjp against complex step; and the runners against ops that are broken on purpose.
#include <gtest/gtest.h>

#include "ops/op.h"
#include "parity/runner.h"

namespace ballast::ops {
namespace {

TEST(Gradient, EveryVjpEqualsComplexStep) {
  for (const auto& c : all_cases()) {
    if (!c.backward) continue;
    const Verdict v = check_gradient(c, 7);
    EXPECT_EQ(v.outcome, Outcome::passed) << c.op << " / " << c.name << ": " << v.message;
  }
}

// A toy op y = x^2 whose parts can be broken: the runners must go red on each.
struct Toy {
  double forward_factor = 1, backward_factor = 2;
  bool writes_outside = false, leaves_hole = false;
};

OpCase toy_case(Toy toy) {
  OpCase c;
  c.op = "toy";
  c.arguments = [](int) {
    return std::vector<Argument>{{.name = "x", .shape = {5, 3}}, {.name = "y", .role = Role::out, .shape = {5, 3}}};
  };
  c.vjp_arguments = [](int) {
    return std::vector<Argument>{{.name = "dy", .shape = {5, 3}, .cotangent_of = "y"},
                                 {.name = "dx", .role = Role::out, .shape = {5, 3}, .gradient_of = "x"}};
  };
  c.forward = [toy](Device& d, const Bindings& b, int) {
    const bool broken = d.kind != DeviceKind::ref;
    const auto square = [&]<class T>() {
      for (int64_t i = 0; i < 15; ++i) {
        if (broken && toy.leaves_hole && i == 7) continue;
        const T x = static_cast<T*>(b.at("x").data)[i];
        static_cast<T*>(b.at("y").data)[i] = T(broken ? toy.forward_factor : 1.0) * x * x;
      }
      if (broken && toy.writes_outside) static_cast<T*>(b.at("y").data)[15] = T(0);
    };
    if (b.at("x").dtype == DType::bf16) fail(ErrorKind::unsupported, "toy", "no bf16");
    dispatch_ref("toy", b.at("x").dtype, square);
  };
  c.backward = [toy](Device& d, const Bindings& b, int) {
    dispatch_ref_real("toy", b.at("x").dtype, [&]<class T>() {
      for (int64_t i = 0; i < 15; ++i)
        static_cast<T*>(b.at("dx").data)[i] = T(toy.backward_factor) * static_cast<T*>(b.at("x").data)[i] *
                                              static_cast<T*>(b.at("dy").data)[i];
    });
    (void)d;
  };
  return c;
}

TEST(Runner, GoesRedOnBrokenOps) {
  auto cpu = Device::make(DeviceKind::cpu, 1);
  EXPECT_EQ(check_parity(toy_case({}), *cpu, DType::f32, true, 1).outcome, Outcome::passed);
  EXPECT_EQ(check_parity(toy_case({.forward_factor = 1.001}), *cpu, DType::f32, false, 1).outcome, Outcome::failed);
  EXPECT_EQ(check_parity(toy_case({.leaves_hole = true}), *cpu, DType::f32, false, 1).outcome, Outcome::failed);
  EXPECT_EQ(check_parity(toy_case({.writes_outside = true}), *cpu, DType::f32, false, 1).outcome, Outcome::failed);
  EXPECT_EQ(check_parity(toy_case({}), *cpu, DType::bf16, false, 1).outcome, Outcome::unsupported);
  EXPECT_EQ(check_gradient(toy_case({}), 1).outcome, Outcome::passed);
  EXPECT_EQ(check_gradient(toy_case({.backward_factor = 2.0001}), 1).outcome, Outcome::failed);
}

TEST(Runner, ShapeChecksThrow) {
  float data[8];
  const Tensor x(data, DType::f32, {2, 4});
  EXPECT_NO_THROW(expect_shape("toy", "x", x, {2, -1}));
  EXPECT_THROW(expect_shape("toy", "x", x, {4, 2}), Error);
  EXPECT_THROW(expect_shape("toy", "x", x, {8}), Error);
  EXPECT_THROW(expect_shape("toy", "x", Tensor(), {2, 4}), Error);
  EXPECT_THROW(expect_dtype("toy", "x", x, DType::bf16), Error);
}

}  // namespace
}  // namespace ballast::ops
