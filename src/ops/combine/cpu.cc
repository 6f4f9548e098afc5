// combine on the CPU: forward one pass per token, backward one pass per expert row, which is read once for its gradient
// and for the dot product with its token's gradient.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/combine/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include "ops/combine/backends.h"
#include "ops/split_rows_cpu.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

template <class S>
void ForwardToken(const CombineForward& a, int64_t t) {
  const F32 d;
  const int64_t slots = a.row_of[1];
  const int32_t* row_of = a.row_of.as<int32_t>() + t * a.row_of.stride[0];
  const float* weights = a.weights.as<float>() + t * a.weights.stride[0];
  const S* rows = a.rows.as<S>();
  const S* base = a.base ? a.base.as<S>() + t * a.base.stride[0] : nullptr;
  S* y = a.y.as<S>() + t * a.y.stride[0];
  ForEachVector(d, static_cast<size_t>(a.y[1]), [&](auto load, auto store) HWY_ATTR {
    VF32 sum = base ? load(base) : hn::Zero(d);
    for (int64_t k = 0; k < slots; ++k)
      if (row_of[k] >= 0) sum = hn::MulAdd(hn::Set(d, weights[k]), load(rows + row_of[k] * a.rows.stride[0]), sum);
    store(sum, y);
  });
}

template <class S>
void BackwardRow(const CombineBackward& a, int64_t row) {
  const F32 d;
  const size_t width = static_cast<size_t>(a.dy[1]);
  const int64_t slots = a.row_of[1], slot = a.slot_of.as<int32_t>()[row * a.slot_of.stride[0]];
  S* drow = a.drows.as<S>() + row * a.drows.stride[0];
  if (slot < 0) {
    std::memset(static_cast<void*>(drow), 0, width * sizeof(S));
    return;
  }
  const int64_t t = slot / slots, k = slot % slots;
  const S* dy = a.dy.as<S>() + t * a.dy.stride[0];
  const S* x = a.rows.as<S>() + row * a.rows.stride[0];
  const VF32 weight = hn::Set(d, a.weights.at<float>(t, k));
  VF32 dot = hn::Zero(d);
  ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR {
    const VF32 g = load(dy);
    dot = hn::MulAdd(g, load(x), dot);
    store(hn::Mul(weight, g), drow);
  });
  a.dweights.at<float>(t, k) = hn::GetLane(hn::SumOfLanes(d, dot));
}

void Forward(const CombineForward& a, int64_t begin, int64_t end) {
  dispatch_storage("combine.forward", a.y.dtype, [&]<class S>() {
    for (int64_t t = begin; t < end; ++t) ForwardToken<S>(a, t);
  });
}

void Backward(const CombineBackward& a, int64_t begin, int64_t end) {
  dispatch_storage("combine.backward", a.dy.dtype, [&]<class S>() {
    for (int64_t row = begin; row < end; ++row) BackwardRow<S>(a, row);
  });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ballast::ops::cpu {

HWY_EXPORT(Forward);
HWY_EXPORT(Backward);

void combine_forward(Device& device, const CombineForward& a) {
  split_rows(device, a.y[0], 16, a, HWY_DYNAMIC_DISPATCH(Forward));
}

void combine_backward(Device& device, const CombineBackward& a) {
  for (int64_t t = 0; t < a.row_of[0]; ++t)
    for (int64_t k = 0; k < a.row_of[1]; ++k)
      if (a.row_of.at<int32_t>(t, k) < 0) a.dweights.at<float>(t, k) = 0;
  const int64_t used = a.offs.at<int32_t>(a.offs[0] - 1);
  split_rows(device, used, 16, a, HWY_DYNAMIC_DISPATCH(Backward));
}

}  // namespace ballast::ops::cpu
#endif
