#include "ops/swiglu/swiglu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace ballast::ops {
namespace {

TEST(Swiglu, NonFiniteStaysNonFinite) {
  auto device = Device::make(DeviceKind::cpu, 1);
  for (const float bad :
       {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    for (int64_t i = 0; i < 2 * 19; ++i) {
      std::vector<float> gate_up(2 * 19, 0.5f), h(19), dh(19, 1.0f), gradient(2 * 19);
      gate_up[i] = bad;
      const Tensor in(gate_up.data(), DType::f32, {1, 38}), out(gradient.data(), DType::f32, {1, 38});
      swiglu_forward(*device, {.gate_up = in, .h = Tensor(h.data(), DType::f32, {1, 19})});
      EXPECT_FALSE(std::isfinite(h[i % 19])) << bad << " at " << i;
      swiglu_backward(*device, {.gate_up = in, .dh = Tensor(dh.data(), DType::f32, {1, 19}), .dgate_up = out});
      EXPECT_FALSE(std::isfinite(gradient[i % 19]) && std::isfinite(gradient[19 + i % 19])) << bad << " at " << i;
    }
  }
}

TEST(Swiglu, ChecksItsArguments) {
  auto device = Device::make(DeviceKind::cpu, 1);
  float x[8] = {};
  int32_t offs[2] = {0, 1};
  const Tensor in(x, DType::f32, {1, 4}), h(x, DType::f32, {1, 2});
  EXPECT_THROW(swiglu_forward(*device, {.gate_up = h, .h = h}), Error);
  EXPECT_THROW(swiglu_forward(*device, {.gate_up = in, .offs = Tensor(offs, DType::i32, {2}), .h = h}), Error);
}

}  // namespace
}  // namespace ballast::ops
