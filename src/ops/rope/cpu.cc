// rope on the CPU: per token, one vector of pairs at a time: its sines and cosines are computed once and turn that part
// of every head. Tokens are split over the workers.
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rope/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "hwy/contrib/math/math-inl.h"
#include "ops/simd-inl.h"

#include "ops/rope/backends.h"
#include "ops/split_rows_cpu.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

// position * inv_freq modulo 2 pi, in [-pi, pi]: in double, or a position of 128k would cost 14 of f32's 24 bits.
HWY_INLINE VF32 Angles(F32 d, double position, VF32 inv_freq) {
  constexpr double kTurn = 6.283185307179586;
#if HWY_TARGET == HWY_SCALAR  // has no halves of vectors
  const double angle = position * hn::GetLane(inv_freq);
  return hn::Set(d, static_cast<float>(angle - kTurn * std::nearbyint(angle / kTurn)));
#else
  const hn::Half<F32> dh;
  const hn::RepartitionToWide<F32> dd;
  const auto reduce = [&](hn::Vec<hn::Half<F32>> freq) HWY_ATTR {
    const auto angle = hn::Mul(hn::Set(dd, position), hn::PromoteTo(dd, freq));
    const auto turns = hn::Round(hn::Mul(angle, hn::Set(dd, 1 / kTurn)));
    return hn::DemoteTo(dh, hn::NegMulAdd(turns, hn::Set(dd, kTurn), angle));
  };
  return hn::Combine(d, reduce(hn::UpperHalf(dh, inv_freq)), reduce(hn::LowerHalf(dh, inv_freq)));
#endif
}

// (x[0], x[1]), (x[2], x[3]), ... as two vectors of first and second elements.
HWY_INLINE void LoadPairs(F32 d, const float* x, VF32& even, VF32& odd) { hn::LoadInterleaved2(d, x, even, odd); }
HWY_INLINE void LoadPairs(F32 d, const bf16* x, VF32& even, VF32& odd) {
  const hn::RebindToUnsigned<F32> du;
  const auto both = hn::LoadU(du, reinterpret_cast<const uint32_t*>(x));  // the first of a pair is the lower half
  even = hn::BitCast(d, hn::ShiftLeft<16>(both));
  odd = hn::BitCast(d, hn::And(both, hn::Set(du, 0xffff0000u)));
}
HWY_INLINE void StorePairs(F32 d, VF32 even, VF32 odd, float* x) { hn::StoreInterleaved2(even, odd, d, x); }
HWY_INLINE void StorePairs(F32 d, VF32 even, VF32 odd, bf16* x) {
  const hn::RebindToUnsigned<F32> du;
  const auto low = hn::ShiftRight<16>(RoundToBf16(d, even)), high = RoundToBf16(d, odd);
  hn::StoreU(hn::Or(low, hn::And(high, hn::Set(du, 0xffff0000u))), du, reinterpret_cast<uint32_t*>(x));
}

template <class S>
HWY_INLINE void Turn(F32 d, VF32 c, VF32 s, S* x) {
  VF32 even, odd;
  LoadPairs(d, x, even, odd);
  StorePairs(d, hn::NegMulAdd(odd, s, hn::Mul(even, c)), hn::MulAdd(even, s, hn::Mul(odd, c)), x);
}

template <class S>
void TurnToken(const Rope& a, int64_t t) {
  const F32 d;
  const size_t pairs = static_cast<size_t>(a.x[2] / 2), lanes = hn::Lanes(d);
  const int64_t heads = a.x[1];
  const double position = (a.inverse ? -1.0 : 1.0) * a.positions.as<int32_t>()[t * a.positions.stride[0]];
  const float* inv_freq = a.inv_freq.as<float>();
  const VF32 factor = hn::Set(d, static_cast<float>(a.factor));
  S* x = a.x.as<S>() + t * a.x.stride[0];
  for (size_t i = 0; i < pairs; i += lanes) {
    const size_t n = pairs - i < lanes ? pairs - i : lanes;
    const VF32 angle = Angles(d, position, n == lanes ? hn::LoadU(d, inv_freq + i) : LoadTail(d, inv_freq + i, n));
    const VF32 c = hn::Mul(factor, hn::Cos(d, angle)), s = hn::Mul(factor, hn::Sin(d, angle));
    for (int64_t h = 0; h < heads; ++h) {
      S* part = x + h * a.x.stride[1] + 2 * i;
      if (n == lanes) {
        Turn(d, c, s, part);
      } else {
        HWY_ALIGN S buffer[2 * HWY_MAX_BYTES / sizeof(float)] = {};
        std::memcpy(static_cast<void*>(buffer), part, 2 * n * sizeof(S));
        Turn(d, c, s, buffer);
        std::memcpy(static_cast<void*>(part), buffer, 2 * n * sizeof(S));
      }
    }
  }
}

void Turns(const Rope& a, int64_t begin, int64_t end) {
  dispatch_storage("rope", a.x.dtype, [&]<class S>() {
    for (int64_t t = begin; t < end; ++t) TurnToken<S>(a, t);
  });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ballast::ops::cpu {

HWY_EXPORT(Turns);

void rope(Device& device, const Rope& a) {
  split_rows(device, a.x[0], 16, a, HWY_DYNAMIC_DISPATCH(Turns));
}

}  // namespace ballast::ops::cpu
#endif
