#include "core/tensor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/device.h"

namespace ballast {
namespace {

TEST(Tensor, ViewsShareStorageAndKeepStrides) {
  float data[24];
  for (int i = 0; i < 24; ++i) data[i] = static_cast<float>(i);
  const Tensor x(data, DType::f32, {4, 6});
  const Tensor right = x.cols(2, 6);
  EXPECT_FALSE(right.contiguous());
  EXPECT_EQ(right.at<float>(3, 0), 20);
  const Tensor heads = right.view({4, 2, 2});
  EXPECT_EQ(heads.at<float>(1, 1, 1), 11);
  EXPECT_EQ(x.index(2).at<float>(5), 17);
  EXPECT_EQ(x.rows(1, 3).size(), 12);
}

TEST(Bf16, RoundsToNearestEvenAndKeepsNaN) {
  EXPECT_EQ(float(bf16(1.00390625f)), 1.0f);          // a tie goes to even
  EXPECT_EQ(float(bf16(1.01171875f)), 1.015625f);
  EXPECT_TRUE(std::isnan(float(bf16(std::nanf("")))));
  EXPECT_EQ(float(bf16(3.4e38f)), INFINITY);
}

TEST(Arena, PlansThenReserves) {
  auto device = Device::make(DeviceKind::cpu, 1);
  Arena arena(*device, "test");
  device->planning = true;
  arena.alloc(DType::f32, {10, 10});
  {
    ArenaScope scope(arena);
    arena.alloc(DType::f64, {7});
  }
  EXPECT_EQ(arena.mark(), 448u);
  device->planning = false;
  arena.reserve(arena.high_water());
  Tensor t = arena.alloc(DType::f32, {10, 10});
  t.at<float>(9, 9) = 1;
  EXPECT_THROW(arena.alloc(DType::f64, {100}), Error);
}

}  // namespace
}  // namespace ballast
