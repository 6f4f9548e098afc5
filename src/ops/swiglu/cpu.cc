// swiglu on the CPU: one pass, rows split over the workers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/swiglu/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd_math-inl.h"

#include "ops/swiglu/backends.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

template <class S>
void ForwardRow(const SwigluForward& a, int64_t t) {
  const F32 d;
  const size_t width = static_cast<size_t>(a.h[1]);
  const S* gate = a.gate_up.as<S>() + t * a.gate_up.stride[0];
  const S* up = gate + width;
  S* h = a.h.as<S>() + t * a.h.stride[0];
  ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR {
    const VF32 g = load(gate);
    store(hn::Mul(hn::Mul(g, Sigmoid(d, g)), load(up)), h);
  });
}

// silu'(g) = s + silu(g) (1 - s), s = sigmoid(g).
template <class S>
void BackwardRow(const SwigluBackward& a, int64_t t) {
  const F32 d;
  const size_t width = static_cast<size_t>(a.dh[1]);
  const S* gate = a.gate_up.as<S>() + t * a.gate_up.stride[0];
  const S* up = gate + width;
  const S* dh = a.dh.as<S>() + t * a.dh.stride[0];
  S* dgate = a.dgate_up.as<S>() + t * a.dgate_up.stride[0];
  S* dup = dgate + width;
  ForEachVector(d, width, [&](auto load, auto store) HWY_ATTR {
    const VF32 g = load(gate), u = load(up), dy = load(dh);
    const VF32 s = Sigmoid(d, g), silu = hn::Mul(g, s);
    store(hn::Mul(hn::Mul(dy, u), hn::MulAdd(silu, hn::Sub(hn::Set(d, 1.0f), s), s)), dgate);
    store(hn::Mul(dy, silu), dup);
  });
}

void Forward(const SwigluForward& a, int64_t begin, int64_t end) {
  dispatch_storage("swiglu.forward", a.h.dtype, [&]<class S>() {
    for (int64_t t = begin; t < end; ++t) ForwardRow<S>(a, t);
  });
}

void Backward(const SwigluBackward& a, int64_t begin, int64_t end) {
  dispatch_storage("swiglu.backward", a.dh.dtype, [&]<class S>() {
    for (int64_t t = begin; t < end; ++t) BackwardRow<S>(a, t);
  });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <cstring>

namespace ballast::ops::cpu {
namespace {

HWY_EXPORT(Forward);
HWY_EXPORT(Backward);

void zero_rows(const Tensor& x, int64_t begin, int64_t end) {
  const size_t element = size_of(x.dtype);
  for (int64_t t = begin; t < end; ++t)
    std::memset(static_cast<char*>(x.data) + static_cast<size_t>(t * x.stride[0]) * element, 0,
                static_cast<size_t>(x[1]) * element);
}

// The rows of [begin, end) that belong to a group go through rows(b, e), the padding rows through padding(b, e).
template <class Rows, class Padding>
void visit_groups(const Tensor& offs, const Tensor& count, int64_t begin, int64_t end, Rows&& rows, Padding&& padding) {
  if (!offs) return rows(begin, end);
  const int32_t* first = offs.as<int32_t>();
  const int64_t experts = count[0];
  // The group in which begin lies: the last one that starts at or before it.
  for (int64_t e = std::upper_bound(first, first + experts, begin) - first - 1; e < experts && first[e] < end; ++e) {
    const int64_t used = first[e] + count.as<int32_t>()[e];
    const int64_t row_begin = std::max<int64_t>(begin, first[e]), row_end = std::min<int64_t>(end, used);
    const int64_t padding_begin = std::max<int64_t>(begin, used), padding_end = std::min<int64_t>(end, first[e + 1]);
    if (row_begin < row_end) rows(row_begin, row_end);
    if (padding_begin < padding_end) padding(padding_begin, padding_end);
  }
}

int64_t used_rows(const Tensor& x, const Tensor& offs) { return offs ? offs.as<int32_t>()[offs[0] - 1] : x[0]; }

}  // namespace

void swiglu_forward(Device& device, const SwigluForward& a) {
  device.pool().split(used_rows(a.h, a.offs), 16, [&](int64_t begin, int64_t end, int) {
    visit_groups(
        a.offs, a.count, begin, end, [&](int64_t b, int64_t e) { HWY_DYNAMIC_DISPATCH(Forward)(a, b, e); },
        [&](int64_t b, int64_t e) { zero_rows(a.h, b, e); });
  });
}

void swiglu_backward(Device& device, const SwigluBackward& a) {
  device.pool().split(used_rows(a.dh, a.offs), 16, [&](int64_t begin, int64_t end, int) {
    visit_groups(
        a.offs, a.count, begin, end, [&](int64_t b, int64_t e) { HWY_DYNAMIC_DISPATCH(Backward)(a, b, e); },
        [&](int64_t b, int64_t e) { zero_rows(a.dgate_up, b, e); });
  });
}

}  // namespace ballast::ops::cpu
#endif
