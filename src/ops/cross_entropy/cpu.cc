// cross_entropy on the CPU: a row of logits stays in cache between the pass for its largest and the pass for the sum of
// exponentials, so memory is read once. Rows are split over the workers.
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cross_entropy/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd_math-inl.h"

#include "ops/cross_entropy/backends.h"
#include "ops/split_rows_cpu.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

// The last n < Lanes(d) elements, the other lanes minus infinity.
HWY_INLINE VF32 LoadLast(F32 d, const float* z, size_t n) {
  return hn::IfThenElse(hn::FirstN(d, n), LoadTail(d, z, n), hn::Set(d, -std::numeric_limits<float>::infinity()));
}

HWY_INLINE float Largest(const float* z, size_t n) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  VF32 a = hn::Set(d, -std::numeric_limits<float>::infinity()), b = a;
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    a = hn::Max(a, hn::LoadU(d, z + i));
    b = hn::Max(b, hn::LoadU(d, z + i + lanes));
  }
  for (; i < n; i += lanes) a = hn::Max(a, i + lanes <= n ? hn::LoadU(d, z + i) : LoadLast(d, z + i, n - i));
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(a, b)));
}

HWY_INLINE float SumOfExp(const float* z, size_t n, float shift) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  const VF32 m = hn::Set(d, shift);
  VF32 a = hn::Zero(d), b = a;
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    a = hn::Add(a, Exp(d, hn::Sub(hn::LoadU(d, z + i), m)));
    b = hn::Add(b, Exp(d, hn::Sub(hn::LoadU(d, z + i + lanes), m)));
  }
  for (; i < n; i += lanes)
    a = hn::Add(a, Exp(d, hn::Sub(i + lanes <= n ? hn::LoadU(d, z + i) : LoadLast(d, z + i, n - i), m)));
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(a, b)));
}

void ForwardRow(const CrossEntropyForward& a, int64_t t) {
  const int64_t vocab = a.logits[1], target = a.targets.at<int32_t>(t);
  CHECK(target >= -1 && target < vocab);
  const float* z = a.logits.as<float>() + t * a.logits.stride[0];
  const float largest = Largest(z, static_cast<size_t>(vocab));
  const double rest = std::log(double(SumOfExp(z, static_cast<size_t>(vocab), largest)));
  a.lse.at<float>(t) = static_cast<float>(largest + rest);
  // Not lse - z: that would lose the digits of a small loss between large logits.
  a.loss.at<float>(t) = target < 0 ? 0.0f : static_cast<float>(double(largest) - z[target] + rest);
  if (!a.correct) return;
  bool correct = target >= 0 && z[target] == largest;
  for (int64_t v = 0; v < target && correct; ++v) correct = z[v] != largest;
  a.correct.at<int32_t>(t) = correct;
}

template <class S>
void BackwardRow(const CrossEntropyBackward& a, int64_t t) {
  const F32 d;
  const int64_t vocab = a.logits[1], target = a.targets.at<int32_t>(t);
  CHECK(target >= -1 && target < vocab);
  const float* z = a.logits.as<float>() + t * a.logits.stride[0];
  S* dz = a.dlogits.as<S>() + t * a.dlogits.stride[0];
  if (target < 0) {
    std::memset(static_cast<void*>(dz), 0, static_cast<size_t>(vocab) * sizeof(S));
    return;
  }
  const float scale = a.scale.at<float>(0), lse = a.lse.at<float>(t);
  const S at_target(static_cast<float>(scale * std::expm1(double(z[target]) - lse)));
  const VF32 shift = hn::Set(d, lse), factor = hn::Set(d, scale);
  ForEachVector(d, static_cast<size_t>(vocab), [&](auto load, auto store) HWY_ATTR {
    store(hn::Mul(factor, Exp(d, hn::Sub(load(z), shift))), dz);
  });
  dz[target] = at_target;
}

void Backward(const CrossEntropyBackward& a, int64_t begin, int64_t end) {
  dispatch_storage("cross_entropy.backward", a.dlogits.dtype, [&]<class S>() {
    for (int64_t t = begin; t < end; ++t) BackwardRow<S>(a, t);
  });
}

void Forward(const CrossEntropyForward& a, int64_t begin, int64_t end) {
  const CrossEntropyBackward gradient = a.backward();
  for (int64_t t = begin; t < end; ++t) {
    ForwardRow(a, t);
    if (a.dlogits) Backward(gradient, t, t + 1);
  }
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ballast::ops::cpu {

HWY_EXPORT(Forward);
HWY_EXPORT(Backward);

void cross_entropy_forward(Device& device, const CrossEntropyForward& a) {
  split_rows(device, a.logits[0], 4, a, HWY_DYNAMIC_DISPATCH(Forward));
}

void cross_entropy_backward(Device& device, const CrossEntropyBackward& a) {
  split_rows(device, a.logits[0], 4, a, HWY_DYNAMIC_DISPATCH(Backward));
}

}  // namespace ballast::ops::cpu
#endif
