// rmsnorm on the CPU: one pass for the statistics, one for the output, vectorized over the width, rows split over the
// workers. dweight is summed per fixed block of rows and the blocks in order, so it does not depend on the threads.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rmsnorm/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include "ops/rmsnorm/backends.h"
#include "ops/split_rows_cpu.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

template <class S>
void ForwardRow(const RmsNormForward& a, int64_t t) {
  const F32 d;
  const size_t width = static_cast<size_t>(a.x[1]);
  const S* x = a.x.as<S>() + t * a.x.stride[0];
  const S* residual = a.residual ? a.residual.as<S>() + t * a.residual.stride[0] : nullptr;
  S* sum = a.residual ? a.sum.as<S>() + t * a.sum.stride[0] : nullptr;
  S* y = a.y.as<S>() + t * a.y.stride[0];
  const float* weight = a.weight.as<float>();
  VF32 square = hn::Zero(d);
  ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR {
    VF32 s = load(x);
    if (residual) {
      s = hn::Add(s, load(residual));
      store(s, sum);
      s = load(sum);  // normalize what was stored
    }
    square = hn::MulAdd(s, s, square);
  });
  const float total = hn::GetLane(hn::SumOfLanes(d, square));
  const float rstd = 1.0f / std::sqrt(total / static_cast<float>(width) + static_cast<float>(a.eps));
  a.rstd.as<float>()[t] = rstd;
  const VF32 scale = hn::Set(d, rstd);
  const S* s = residual ? sum : x;
  ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR {
    store(hn::Mul(hn::Mul(load(s), scale), load(weight)), y);
  });
}

template <class S>
void BackwardRow(const RmsNormBackward& a, int64_t t, float* dweight) {
  const F32 d;
  const size_t width = static_cast<size_t>(a.s[1]);
  const S* s = a.s.as<S>() + t * a.s.stride[0];
  const S* dy = a.dy.as<S>() + t * a.dy.stride[0];
  const S* dsum = a.dsum ? a.dsum.as<S>() + t * a.dsum.stride[0] : nullptr;
  S* dx = a.dx.as<S>() + t * a.dx.stride[0];
  const float* weight = a.weight.as<float>();
  const float rstd = a.rstd.as<float>()[t];
  const VF32 scale = hn::Set(d, rstd);
  VF32 dot = hn::Zero(d);
  ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR {
    const VF32 n = hn::Mul(load(s), scale), g = load(dy);
    dot = hn::MulAdd(hn::Mul(g, load(weight)), n, dot);
    store(hn::MulAdd(g, n, load(static_cast<const float*>(dweight))), dweight);
  });
  const VF32 mean = hn::Set(d, hn::GetLane(hn::SumOfLanes(d, dot)) / static_cast<float>(width));
  ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR {
    const VF32 n = hn::Mul(load(s), scale);
    const VF32 inner = hn::NegMulAdd(n, mean, hn::Mul(load(dy), load(weight)));
    store(dsum ? hn::MulAdd(scale, inner, load(dsum)) : hn::Mul(scale, inner), dx);
  });
}

void Forward(const RmsNormForward& a, int64_t begin, int64_t end) {
  dispatch_storage("rmsnorm.forward", a.x.dtype, [&]<class S>() {
    for (int64_t t = begin; t < end; ++t) ForwardRow<S>(a, t);
  });
}

void Backward(const RmsNormBackward& a, int64_t begin, int64_t end, float* dweight) {
  dispatch_storage("rmsnorm.backward", a.s.dtype, [&]<class S>() {
    for (int64_t t = begin; t < end; ++t) BackwardRow<S>(a, t, dweight);
  });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <vector>

namespace ballast::ops::cpu {

HWY_EXPORT(Forward);
HWY_EXPORT(Backward);

void rmsnorm_forward(Device& device, const RmsNormForward& a) {
  split_rows(device, a.x[0], 16, a, HWY_DYNAMIC_DISPATCH(Forward));
}

void rmsnorm_backward(Device& device, const RmsNormBackward& a) {
  constexpr int64_t kBlock = 256;  // rows whose dweight is summed together
  const int64_t rows = a.s[0], width = a.s[1], blocks = (rows + kBlock - 1) / kBlock;
  std::vector<float> partial(static_cast<size_t>(blocks * width), 0.0f);
  device.pool().for_each(blocks, [&](int64_t block, int) {
    const int64_t begin = block * kBlock, end = begin + kBlock < rows ? begin + kBlock : rows;
    HWY_DYNAMIC_DISPATCH(Backward)(a, begin, end, partial.data() + block * width);
  });
  float* dweight = a.dweight.as<float>();
  for (int64_t i = 0; i < width; ++i) {
    float sum = a.accumulate_dweight ? dweight[i] : 0.0f;
    for (int64_t block = 0; block < blocks; ++block) sum += partial[block * width + i];
    dweight[i] = sum;
  }
}

}  // namespace ballast::ops::cpu
#endif
