// permute on the CPU: a counting sort on one worker (a few integers per slot), then row copies on all of them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/permute/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include "ops/permute/backends.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

template <class S>
void SumRow(const PermuteBackward& a, int64_t t) {
  const F32 d;
  const int64_t k = a.row_of[1];
  const int32_t* row_of = a.row_of.as<int32_t>() + t * k;
  S* dx = a.dx.as<S>() + t * a.dx.stride[0];
  const S* rows = a.drows.as<S>();
  const int64_t stride = a.drows.stride[0];
  ForEachVector(d, static_cast<size_t>(a.dx[1]), [&](auto load, auto store) HWY_ATTR {
    VF32 sum = a.accumulate ? load(static_cast<const S*>(dx)) : hn::Zero(d);
    for (int64_t j = 0; j < k; ++j)
      if (row_of[j] >= 0) sum = hn::Add(sum, load(rows + row_of[j] * stride));
    store(sum, dx);
  });
}

void Backward(const PermuteBackward& a, int64_t begin, int64_t end) {
  dispatch_storage("permute.backward", a.dx.dtype, [&]<class S>() {
    for (int64_t t = begin; t < end; ++t) SumRow<S>(a, t);
  });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cstring>
#include <vector>

namespace ballast::ops::cpu {

HWY_EXPORT(Backward);

void permute_forward(Device& device, const PermuteForward& a) {
  const int64_t slots = a.ids.size(), k = a.ids[1], experts = a.out.experts();
  const int32_t* ids = a.ids.as<int32_t>();
  int32_t *offs = a.out.offs.as<int32_t>(), *count = a.out.count.as<int32_t>();
  int32_t *row_of = a.row_of.as<int32_t>(), *slot_of = a.slot_of.as<int32_t>();
  const auto local = [&](int64_t slot) {
    return ids[slot] >= a.expert_begin && ids[slot] < a.expert_end ? ids[slot] - a.expert_begin : -1;
  };
  std::memset(count, 0, sizeof(int32_t) * static_cast<size_t>(experts));
  for (int64_t slot = 0; slot < slots; ++slot)
    if (const int32_t e = local(slot); e >= 0) ++count[e];
  offs[0] = 0;
  for (int64_t e = 0; e < experts; ++e)
    offs[e + 1] = offs[e] + (count[e] + a.out.align - 1) / a.out.align * a.out.align;
  thread_local std::vector<int32_t> next;
  next.assign(offs, offs + experts);
  for (int64_t slot = 0; slot < slots; ++slot) {
    const int32_t e = local(slot);
    row_of[slot] = e >= 0 ? next[e]++ : -1;
    if (e >= 0) slot_of[row_of[slot]] = static_cast<int32_t>(slot);
  }
  for (int64_t e = 0; e < experts; ++e)
    for (int32_t row = offs[e] + count[e]; row < offs[e + 1]; ++row) slot_of[row] = -1;

  const size_t element = size_of(a.x.dtype), width = static_cast<size_t>(a.x[1]) * element;
  const char* x = static_cast<const char*>(a.x.data);
  char* rows = static_cast<char*>(a.out.rows.data);
  const size_t x_stride = static_cast<size_t>(a.x.stride[0]) * element;
  const size_t row_stride = static_cast<size_t>(a.out.rows.stride[0]) * element;
  device.pool().split(offs[experts], 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; ++row) {
      if (slot_of[row] < 0) std::memset(rows + row * row_stride, 0, width);
      else std::memcpy(rows + row * row_stride, x + slot_of[row] / k * x_stride, width);
    }
  });
}

void permute_backward(Device& device, const PermuteBackward& a) {
  device.pool().split(a.dx[0], 16, [&](int64_t begin, int64_t end, int) {
    HWY_DYNAMIC_DISPATCH(Backward)(a, begin, end);
  });
}

}  // namespace ballast::ops::cpu
#endif
