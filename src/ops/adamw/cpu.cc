// adamw on the CPU: one vectorized pass over the arrays, split over the workers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/adamw/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include "ops/adamw/backends.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

template <class S>
void Update(const AdamW& a, int64_t begin, int64_t end) {
  const F32 d;
  const float* hyper = a.hyper.as<float>();
  const VF32 lr = hn::Set(d, hyper[0]), grad_scale = hn::Set(d, hyper[1]);
  const VF32 bias1 = hn::Set(d, hyper[2]), bias2 = hn::Set(d, hyper[3]);
  const VF32 beta1 = hn::Set(d, float(a.beta1)), rest1 = hn::Set(d, float(1 - a.beta1));
  const VF32 beta2 = hn::Set(d, float(a.beta2)), rest2 = hn::Set(d, float(1 - a.beta2));
  const VF32 eps = hn::Set(d, float(a.eps)), decay = hn::Set(d, float(a.weight_decay));
  float *master = a.master.as<float>() + begin, *m = a.m.as<float>() + begin, *v = a.v.as<float>() + begin;
  const float* grad = a.grad.as<float>() + begin;
  S* param = a.param ? a.param.as<S>() + begin : nullptr;
  ForEachVector(d, static_cast<size_t>(end - begin), [&](auto load, auto store) HWY_ATTR {
    const VF32 g = hn::Mul(load(grad), grad_scale);
    const VF32 m1 = hn::MulAdd(beta1, load(static_cast<const float*>(m)), hn::Mul(rest1, g));
    const VF32 v1 = hn::MulAdd(beta2, load(static_cast<const float*>(v)), hn::Mul(hn::Mul(rest2, g), g));
    const VF32 p = load(static_cast<const float*>(master));
    const VF32 step = hn::Div(hn::Div(m1, bias1), hn::Add(hn::Sqrt(hn::Div(v1, bias2)), eps));
    const VF32 p1 = hn::NegMulAdd(lr, hn::MulAdd(decay, p, step), p);
    store(m1, m);
    store(v1, v);
    store(p1, master);
    if (param) store(p1, param);
  });
}

void Step(const AdamW& a, int64_t begin, int64_t end) {
  dispatch_storage("adamw", a.param ? a.param.dtype : DType::f32, [&]<class S>() { Update<S>(a, begin, end); });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ballast::ops::cpu {

HWY_EXPORT(Step);

void adamw(Device& device, const AdamW& a) {
  if (a.skip.as<int32_t>()[0] != 0) return;
  // Ranges are multiples of the widest vector, so every element is computed by the same instructions on any team.
  device.pool().split(a.master.size(), 4096,
                      [&](int64_t begin, int64_t end, int) { HWY_DYNAMIC_DISPATCH(Step)(a, begin, end); });
}

}  // namespace ballast::ops::cpu
#endif
