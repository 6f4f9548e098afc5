// squared_norm on the CPU: summed in double per fixed block, the blocks in order, so neither the number of workers nor
// which of them takes a block shows in the result.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/sqnorm/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include "ops/sqnorm/backends.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

double SumOfSquares(const float* x, size_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const size_t lanes = hn::Lanes(d);
  auto a = hn::Zero(d), b = a;
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto u = hn::PromoteTo(d, hn::LoadU(df, x + i)), v = hn::PromoteTo(d, hn::LoadU(df, x + i + lanes));
    a = hn::MulAdd(u, u, a);
    b = hn::MulAdd(v, v, b);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(a, b)));
  for (; i < n; ++i) sum += double(x[i]) * double(x[i]);
  return sum;
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <vector>

namespace ballast::ops::cpu {

HWY_EXPORT(SumOfSquares);

void squared_norm(Device& device, const SquaredNorm& a) {
  constexpr int64_t kBlock = 65536;
  const int64_t n = a.x[0], blocks = (n + kBlock - 1) / kBlock;
  const float* x = a.x.as<float>();
  std::vector<double> partial(static_cast<size_t>(blocks));
  device.pool().for_each(blocks, [&](int64_t block, int) {
    const int64_t begin = block * kBlock, rest = n - begin;
    partial[block] = HWY_DYNAMIC_DISPATCH(SumOfSquares)(x + begin, static_cast<size_t>(rest < kBlock ? rest : kBlock));
  });
  double sum = a.accumulate ? double(a.out.at<float>(0)) : 0.0;
  for (const double p : partial) sum += p;
  a.out.at<float>(0) = static_cast<float>(sum);
}

}  // namespace ballast::ops::cpu
#endif
