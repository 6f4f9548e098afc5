// sample on the CPU: the exponentials are vectorized; the draw from them is the reference's.
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/sample/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd_math-inl.h"

#include "ops/sample/backends.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

// NaN as minus infinity.
HWY_INLINE VF32 Ordered(F32 d, VF32 z) {
  return hn::IfThenElse(hn::IsNaN(z), hn::Set(d, -std::numeric_limits<float>::infinity()), z);
}

// The first of the largest logits; 0 when there is none.
int32_t Best(const float* z, size_t n) {
  const F32 d;
  const size_t lanes = hn::Lanes(d);
  VF32 m = hn::Set(d, -std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) m = hn::Max(m, Ordered(d, hn::LoadU(d, z + i)));
  float largest = hn::GetLane(hn::MaxOfLanes(d, m));
  for (; i < n; ++i) largest = z[i] > largest ? z[i] : largest;
  for (size_t v = 0; v < n; ++v)
    if (z[v] == largest) return static_cast<int32_t>(v);
  return 0;
}

// mass[v] = exp((z[v] - shift) / temperature)
void Masses(const float* z, size_t n, float shift, float temperature, float* mass) {
  const F32 d;
  ForEachVector(d, n, [&](auto load, auto store) HWY_ATTR {
    store(Exp(d, hn::Div(hn::Sub(Ordered(d, load(z)), hn::Set(d, shift)), hn::Set(d, temperature))), mass);
  });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "ops/sample/ref.h"

namespace ballast::ops::cpu {
namespace {

HWY_EXPORT(Best);
HWY_EXPORT(Masses);

int32_t sample_row(const Sample& a, int64_t b) {
  thread_local std::vector<float> mass;
  thread_local std::vector<ref::Candidate> kept;
  const int32_t vocab = static_cast<int32_t>(a.logits[1]);
  const float* z = a.logits.as<float>() + b * a.logits.stride[0];
  const float temperature = a.temperature.at<float>(b);
  const int32_t best = HWY_DYNAMIC_DISPATCH(Best)(z, static_cast<size_t>(vocab));
  if (!(temperature > 0) || !std::isfinite(z[best])) return best;
  mass.resize(static_cast<size_t>(vocab));
  HWY_DYNAMIC_DISPATCH(Masses)(z, static_cast<size_t>(vocab), z[best], temperature, mass.data());
  return ref::draw(vocab, [p = mass.data()](int32_t v) { return double(p[v]); }, double(a.top_p.at<float>(b)),
                   ref::uniform_draw(a.key, b), best, kept);
}

}  // namespace

void sample(Device& device, const Sample& a) {
  device.pool().for_each(a.logits[0], [&](int64_t b, int) { a.token.at<int32_t>(b) = sample_row(a, b); });
}

}  // namespace ballast::ops::cpu
#endif
