// Vector functions on top of Highway's. A NaN argument gives NaN: Highway's Exp gives 0, which would hide a broken step
// from the guard. Included by per-target sources, as simd-inl.h is.
#if defined(BALLAST_OPS_SIMD_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BALLAST_OPS_SIMD_MATH_INL_H_
#undef BALLAST_OPS_SIMD_MATH_INL_H_
#else
#define BALLAST_OPS_SIMD_MATH_INL_H_
#endif

#include "hwy/contrib/math/math-inl.h"
#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

// e^x for x <= 88; larger x count as 88.
HWY_INLINE VF32 Exp(F32 d, VF32 x) {
  const VF32 y = hn::Exp(d, hn::Min(x, hn::Set(d, 88.0f)));
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

// For any x, infinities too: below -88 it is 6e-39 instead of less.
HWY_INLINE VF32 Sigmoid(F32 d, VF32 x) {
  const VF32 one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, Exp(d, hn::Neg(x))));
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
