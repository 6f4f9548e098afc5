// route on the CPU. The logits are one dot product per (row, expert) in a fixed order of lanes, never a library
// product, whose bits change with the number of rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/route/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include "ops/route/backends.h"
#include "ops/route/ref.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

// Four experts at a time share the loads of x.
template <class S>
void LogitsRow(const RouteForward& a, int64_t t) {
  const F32 d;
  const size_t width = static_cast<size_t>(a.x[1]);
  const int64_t experts = a.weight[0], stride = a.weight.stride[0];
  const S* x = a.x.as<S>() + t * a.x.stride[0];
  float* logits = a.logits.as<float>() + t * experts;
  const float* weight = a.weight.as<float>();
  int64_t e = 0;
  for (; e + 4 <= experts; e += 4) {
    const float *w0 = weight + e * stride, *w1 = w0 + stride, *w2 = w1 + stride, *w3 = w2 + stride;
    VF32 s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    ForEachVector(d, width, [&](auto load, auto) HWY_ATTR {
      const VF32 v = load(x);
      s0 = hn::MulAdd(v, load(w0), s0);
      s1 = hn::MulAdd(v, load(w1), s1);
      s2 = hn::MulAdd(v, load(w2), s2);
      s3 = hn::MulAdd(v, load(w3), s3);
    });
    logits[e] = hn::GetLane(hn::SumOfLanes(d, s0));
    logits[e + 1] = hn::GetLane(hn::SumOfLanes(d, s1));
    logits[e + 2] = hn::GetLane(hn::SumOfLanes(d, s2));
    logits[e + 3] = hn::GetLane(hn::SumOfLanes(d, s3));
  }
  for (; e < experts; ++e) {
    VF32 sum = hn::Zero(d);
    ForEachVector(d, width,
                  [&](auto load, auto) HWY_ATTR { sum = hn::MulAdd(load(x), load(weight + e * stride), sum); });
    logits[e] = hn::GetLane(hn::SumOfLanes(d, sum));
  }
}

// dx[t] += sum over e of dlogits[t, e] W[e];  dweight[e] += dlogits[t, e] x[t].
template <class S>
void BackwardRow(const RouteBackward& a, int64_t t, float* sum, float* dweight) {
  const F32 d;
  const size_t width = static_cast<size_t>(a.x[1]);
  const int64_t experts = a.weight[0];
  const S* x = a.x.as<S>() + t * a.x.stride[0];
  S* dx = a.dx.as<S>() + t * a.dx.stride[0];
  const float* dz = a.dlogits.as<float>() + t * experts;
  ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR { store(load(static_cast<const S*>(dx)), sum); });
  for (int64_t e = 0; e < experts; ++e) {
    if (dz[e] == 0.0f) continue;
    const VF32 g = hn::Set(d, dz[e]);
    const float* w = a.weight.as<float>() + e * a.weight.stride[0];
    float* dw = dweight + e * static_cast<int64_t>(width);
    ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR {
      store(hn::MulAdd(g, load(w), load(static_cast<const float*>(sum))), sum);
      store(hn::MulAdd(g, load(x), load(static_cast<const float*>(dw))), dw);
    });
  }
  ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR { store(load(static_cast<const float*>(sum)), dx); });
}

void Logits(const RouteForward& a, int64_t begin, int64_t end) {
  dispatch_storage("route.forward", a.x.dtype, [&]<class S>() {
    for (int64_t t = begin; t < end; ++t) LogitsRow<S>(a, t);
  });
}

void Backward(const RouteBackward& a, int64_t begin, int64_t end, float* sum, float* dweight) {
  dispatch_storage("route.backward", a.x.dtype, [&]<class S>() {
    for (int64_t t = begin; t < end; ++t) BackwardRow<S>(a, t, sum, dweight);
  });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <atomic>
#include <vector>

namespace ballast::ops::cpu {

HWY_EXPORT(Logits);
HWY_EXPORT(Backward);

void route_forward(Device& device, const RouteForward& a) {
  std::atomic<bool> finite{true};
  device.pool().split(a.x[0], 16, [&](int64_t begin, int64_t end, int) {
    thread_local ref::Selection selection;
    HWY_DYNAMIC_DISPATCH(Logits)(a, begin, end);
    bool ok = true;
    for (int64_t t = begin; t < end; ++t) ok = ref::route_row<float>(a, t, selection) && ok;
    if (!ok) finite = false;
  });
  if (!finite) a.nonfinite.as<int32_t>()[0] = 1;
  ref::count_load(a);
}

void route_backward(Device& device, const RouteBackward& a) {
  constexpr int64_t kBlock = 256;  // rows whose dweight is summed together, whatever the number of workers
  const int64_t rows = a.x[0], width = a.x[1], experts = a.weight[0], size = experts * width;
  const int64_t blocks = (rows + kBlock - 1) / kBlock;
  std::vector<float> partial(static_cast<size_t>(blocks * size), 0.0f);
  device.pool().for_each(blocks, [&](int64_t block, int) {
    thread_local std::vector<float> ds, sum;
    ds.resize(static_cast<size_t>(experts));
    sum.resize(static_cast<size_t>(width));
    const int64_t begin = block * kBlock, end = begin + kBlock < rows ? begin + kBlock : rows;
    for (int64_t t = begin; t < end; ++t) ref::route_dlogits_row<float>(a, t, ds.data());
    HWY_DYNAMIC_DISPATCH(Backward)(a, begin, end, sum.data(), partial.data() + block * size);
  });
  float* dweight = a.dweight.as<float>();
  device.pool().split(size, 1024, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      float total = a.accumulate_dweight ? dweight[i] : 0.0f;
      for (int64_t block = 0; block < blocks; ++block) total += partial[block * size + i];
      dweight[i] = total;
    }
  });
}

}  // namespace ballast::ops::cpu
#endif
