// Vector functions of our own. A NaN argument gives NaN: Highway's Exp gives 0, which would hide a broken step from the
// guard. Included by per-target sources, as simd-inl.h is.
#if defined(BALLAST_OPS_SIMD_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BALLAST_OPS_SIMD_MATH_INL_H_
#undef BALLAST_OPS_SIMD_MATH_INL_H_
#else
#define BALLAST_OPS_SIMD_MATH_INL_H_
#endif

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

// e^x to 1 ulp; 0 below -86.5, and what exceeds 88 counts as 88. Half the instructions of Highway's.
//   x = n ln 2 + r, |r| <= ln 2 / 2;  e^r = 1 + r + r^2 (c2 + ... + c6 r^4), minimax to 4e-9;  n is added to the
//   exponent.
HWY_INLINE VF32 Exp(F32 d, VF32 x) {
  const hn::RebindToUnsigned<F32> du;
  const VF32 y = hn::Min(x, hn::Set(d, 88.0f));
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
  const VF32 magic = hn::Set(d, 12582912.0f);
  const VF32 shifted = hn::MulAdd(y, hn::Set(d, 1.44269504f), magic);
  const VF32 n = hn::Sub(shifted, magic);
  const VF32 r = hn::NegMulAdd(n, hn::Set(d, 1.42860682e-6f), hn::NegMulAdd(n, hn::Set(d, 0.693145752f), y));
  VF32 p = hn::MulAdd(hn::Set(d, 1.381431241e-3f), r, hn::Set(d, 8.368851617e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.166840017e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.666651964e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.999999404e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  const VF32 scaled = hn::BitCast(d, hn::Add(hn::BitCast(du, p), hn::ShiftLeft<23>(hn::BitCast(du, shifted))));
  return hn::IfThenElse(hn::IsNaN(x), x, hn::IfThenElseZero(hn::Ge(x, hn::Set(d, -86.5f)), scaled));
}

// For any x, infinities too: below -88 it stays at 6e-39.
HWY_INLINE VF32 Sigmoid(F32 d, VF32 x) {
  const VF32 one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, Exp(d, hn::Neg(x))));
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
