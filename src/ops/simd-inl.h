// Highway helpers for kernels over storage types: loads that widen bf16 and e4m3 to f32, stores that round f32 to bf16
// (nearest even; NaN stays NaN), and tails. Included by per-target sources; see ops/rmsnorm/cpu.cc for the pattern.
#if defined(BALLAST_OPS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BALLAST_OPS_SIMD_INL_H_
#undef BALLAST_OPS_SIMD_INL_H_
#else
#define BALLAST_OPS_SIMD_INL_H_
#endif

#include <cstring>

#include "core/dtype.h"
#include "core/fp8.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VF32 = hn::Vec<F32>;

HWY_INLINE VF32 LoadFloats(F32 d, const float* p) { return hn::LoadU(d, p); }
HWY_INLINE VF32 LoadFloats(F32 d, const bf16* p) {
  const hn::Rebind<uint16_t, F32> d16;
  const hn::RebindToUnsigned<F32> d32;
  const auto bits = hn::PromoteTo(d32, hn::LoadU(d16, reinterpret_cast<const uint16_t*>(p)));
  return hn::BitCast(d, hn::ShiftLeft<16>(bits));
}

// Times 2^-8: sign and bits moved to where f16 has them, whose exponent has a bias of 15 and not of 7; f16's subnormals
// take e4m3's. NaN codes come out as +-kNanCode.
constexpr float kE4m3Unit = 0x1p8f, kNanCode = 1.875f;
HWY_INLINE VF32 LoadFloats(F32 d, const e4m3* p) {
  const hn::Rebind<int8_t, F32> d8;
  const hn::Rebind<int16_t, F32> d16;
  const hn::Rebind<hwy::float16_t, F32> half;
  const auto codes = hn::ShiftLeft<7>(hn::PromoteTo(d16, hn::LoadU(d8, reinterpret_cast<const int8_t*>(p))));
  return hn::PromoteTo(d, hn::BitCast(half, hn::And(codes, hn::Set(d16, static_cast<int16_t>(0xBFFF)))));
}

HWY_INLINE void StoreFloats(VF32 v, F32 d, float* p) { hn::StoreU(v, d, p); }
// v rounded to the nearest bf16 (ties to even), which stands in the upper half of each lane.
HWY_INLINE hn::Vec<hn::RebindToUnsigned<F32>> RoundToBf16(F32, VF32 v) {
  const hn::RebindToUnsigned<F32> d32;
  const auto u = hn::BitCast(d32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(d32, 1));
  const auto rounded = hn::Add(u, hn::Add(odd, hn::Set(d32, 0x7fff)));
  const auto quiet = hn::Or(u, hn::Set(d32, 0x400000));
  return hn::IfThenElse(hn::RebindMask(d32, hn::IsNaN(v)), quiet, rounded);
}
HWY_INLINE void StoreFloats(VF32 v, F32 d, bf16* p) {
  const hn::Rebind<uint16_t, F32> d16;
  const hn::Rebind<int32_t, F32> di;
  // After the shift the values fit 16 bits; DemoteTo from i32 saturates to unsigned.
  const auto bits = hn::BitCast(di, hn::ShiftRight<16>(RoundToBf16(d, v)));
  hn::StoreU(hn::DemoteTo(d16, bits), d16, reinterpret_cast<uint16_t*>(p));
}

// The first n < Lanes(d) elements; the others read as zero.
template <class T>
HWY_INLINE VF32 LoadTail(F32 d, const T* p, size_t n) {
  HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(float)] = {};
  std::memcpy(static_cast<void*>(buffer), p, n * sizeof(T));
  return LoadFloats(d, buffer);
}
template <class T>
HWY_INLINE void StoreTail(VF32 v, F32 d, T* p, size_t n) {
  HWY_ALIGN T buffer[HWY_MAX_BYTES / sizeof(float)];
  StoreFloats(v, d, buffer);
  std::memcpy(static_cast<void*>(p), buffer, n * sizeof(T));
}

// f(load, store, i) over [0, n): full vectors, then one tail with matching load and store.
// load(ptr) reads at i from a pointer to the array's start; store(v, ptr) writes at i.
template <class F>
HWY_INLINE void ForEachVector(F32 d, size_t n, F&& f) {
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    f([&](const auto* p) HWY_ATTR { return LoadFloats(d, p + i); },
      [&](VF32 v, auto* p) HWY_ATTR { StoreFloats(v, d, p + i); });
  if (const size_t rest = n - i; rest > 0)
    f([&](const auto* p) HWY_ATTR { return LoadTail(d, p + i, rest); },
      [&](VF32 v, auto* p) HWY_ATTR { StoreTail(v, d, p + i, rest); });
}

// Lambdas do not inherit the target of the function they stand in: mark them HWY_ATTR, as above.

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
