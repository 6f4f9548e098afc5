#include "ops/cross_entropy/cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"

namespace ballast::ops {
namespace {

struct Row {
  float loss = 0, lse = 0;
  int32_t correct = -1;
  std::vector<float> gradient;
};

Row run(std::vector<float> logits, int32_t target) {
  auto device = Device::make(DeviceKind::cpu, 1);
  const int64_t vocab = static_cast<int64_t>(logits.size());
  Row row;
  row.gradient.assign(logits.size(), -1.0f);
  float scale = 1;
  const Tensor z(logits.data(), DType::f32, {1, vocab}), targets(&target, DType::i32, {1}), lse(&row.lse, DType::f32, {1});
  cross_entropy_forward(*device, {.logits = z, .targets = targets, .loss = Tensor(&row.loss, DType::f32, {1}), .lse = lse,
                                  .correct = Tensor(&row.correct, DType::i32, {1})});
  cross_entropy_backward(*device, {.logits = z, .targets = targets, .lse = lse, .scale = Tensor(&scale, DType::f32, {1}),
                                   .dlogits = Tensor(row.gradient.data(), DType::f32, {1, vocab})});
  return row;
}

// The guard looks at the loss and at the gradient norm: one NaN logit, wherever it stands, must reach both.
TEST(CrossEntropy, NanReachesLossAndGradient) {
  for (size_t i = 0; i < 37; ++i) {
    std::vector<float> logits(37, 0.5f);
    logits[i] = std::nanf("");
    const Row row = run(logits, 3);
    EXPECT_TRUE(std::isnan(row.loss)) << i;
    for (const float g : row.gradient) EXPECT_TRUE(std::isnan(g)) << i;
  }
}

TEST(CrossEntropy, MaskedLogitHasNoProbability) {
  std::vector<float> logits(20, 1.0f);
  logits[19] = -std::numeric_limits<float>::infinity();
  const Row row = run(logits, 0);
  EXPECT_NEAR(row.loss, std::log(19.0), 1e-6);
  EXPECT_EQ(row.gradient[19], 0);
  EXPECT_EQ(row.correct, 1);
}

// lse - z would give 0 here: lse is rounded to a multiple of 1e-3.
TEST(CrossEntropy, KeepsTheDigitsOfASmallLossBetweenLargeLogits) {
  EXPECT_NEAR(run({10000.0f, 9990.0f}, 0).loss, std::log1p(std::exp(-10.0)), 1e-7);
}

// The gradient in the pass of forward, also in the logits' own memory, has the bits of backward.
template <class S>
void expect_in_place_equals_backward(int64_t vocab) {
  auto device = Device::make(DeviceKind::cpu, 1);
  constexpr int64_t kRows = 3;
  Rng rng(4);
  std::vector<float> logits(static_cast<size_t>(kRows * vocab)), loss(kRows), lse(kRows);
  std::vector<S> want(logits.size());
  for (float& z : logits) z = static_cast<float>(rng.normal());
  std::vector<int32_t> targets{0, -1, static_cast<int32_t>(vocab - 1)};
  float scale = 0.25f;
  const Tensor z(logits.data(), DType::f32, {kRows, vocab}), t(targets.data(), DType::i32, {kRows});
  const Tensor s(&scale, DType::f32, {1}), l(lse.data(), DType::f32, {kRows}), n(loss.data(), DType::f32, {kRows});
  cross_entropy_forward(*device, {.logits = z, .targets = t, .loss = n, .lse = l});
  cross_entropy_backward(*device, {.logits = z, .targets = t, .lse = l, .scale = s,
                                   .dlogits = Tensor(want.data(), dtype_of<S>(), {kRows, vocab})});
  Tensor in_place(logits.data(), dtype_of<S>(), {kRows, vocab});
  in_place.stride[0] = vocab * static_cast<int64_t>(sizeof(float) / sizeof(S));
  cross_entropy_forward(*device, {.logits = z, .targets = t, .loss = n, .lse = l, .scale = s, .dlogits = in_place});
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t v = 0; v < vocab; ++v)
      ASSERT_EQ(float(in_place.at<S>(r, v)), float(want[static_cast<size_t>(r * vocab + v)])) << r << ", " << v;
  if (sizeof(S) == sizeof(float)) return;
  in_place.stride[0] = vocab;  // rows that start elsewhere would overwrite logits yet to be read
  EXPECT_THROW(cross_entropy_forward(*device, {.logits = z, .targets = t, .loss = n, .lse = l, .scale = s,
                                               .dlogits = in_place}), Error);
}

TEST(CrossEntropy, GradientInPlaceEqualsBackward) {
  for (const int64_t vocab : {1, 7, 16, 64, 129, 4096}) {
    expect_in_place_equals_backward<float>(vocab);
    expect_in_place_equals_backward<bf16>(vocab);
  }
}

TEST(CrossEntropy, ChecksItsArguments) {
  auto device = Device::make(DeviceKind::cpu, 1);
  float z[4] = {};
  int32_t target = 0;
  const Tensor logits(z, DType::f32, {1, 4}), one(z, DType::f32, {1});
  EXPECT_THROW(cross_entropy_forward(*device, {.logits = logits, .targets = Tensor(&target, DType::i32, {1}), .loss = one}),
               Error);
}

}  // namespace
}  // namespace ballast::ops
