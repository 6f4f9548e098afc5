#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/gemv_cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include "ops/gemv_cpu.h"
#include "ops/op.h"
#include "ops/scratch_cpu.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

template <class From, class To>
void ConvertRows(const From* from, int64_t from_stride, To* to, int64_t to_stride, int64_t rows, int64_t width) {
  const F32 d;
  for (int64_t r = 0; r < rows; ++r) {
    const From* f = from + r * from_stride;
    To* t = to + r * to_stride;
    ForEachVector(d, static_cast<size_t>(width), [&](auto load, auto store) HWY_ATTR { store(load(f), t); });
  }
}

void Widen(const bf16* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows, int64_t width) {
  ConvertRows(from, from_stride, to, to_stride, rows, width);
}
void Narrow(const float* from, int64_t from_stride, bf16* to, int64_t to_stride, int64_t rows, int64_t width) {
  ConvertRows(from, from_stride, to, to_stride, rows, width);
}

// total[i] = sum of the lanes of the i-th vector: a transposing reduction, four at the price of two.
HWY_INLINE void Sums(VF32 a, VF32 b, VF32 c, VF32 e, float* total) {
#if HWY_TARGET == HWY_SCALAR
  const VF32 all[] = {a, b, c, e};
  for (int i = 0; i < 4; ++i) total[i] = hn::GetLane(all[i]);
#else
  const F32 d;
  const hn::Repartition<uint64_t, F32> pairs;
  const VF32 ab = hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b));
  const VF32 ce = hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e));
  const auto low = hn::BitCast(pairs, ab), high = hn::BitCast(pairs, ce);
  const VF32 all = hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, low, high)),
                           hn::BitCast(d, hn::InterleaveUpper(pairs, low, high)));
  HWY_ALIGN float blocks[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(all, d, blocks);
  const hn::FixedTag<float, 4> d4;
  auto sum = hn::Load(d4, blocks);
  for (size_t i = 4; i < hn::Lanes(d); i += 4) sum = hn::Add(sum, hn::Load(d4, blocks + i));
  hn::StoreU(sum, d4, total);
#endif
}

// One tile: kRows rows of the weights against kTokens rows of x, which are f32, `padded` elements apart and zero from
// width to padded. Every (n, t) sum goes over k in the same order whatever the tile. Unrolled, or the
// sums would live in memory.
template <int kRows, int kTokens, class S, class Y>
HWY_INLINE void Tile(const float* x, int64_t padded, const S* weight, int64_t width, Y* y, int64_t y_stride,
                     bool accumulate) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  VF32 sum[kRows][kTokens];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int t = 0; t < kTokens; ++t) sum[r][t] = hn::Zero(d);
  int64_t k = 0;
  for (; k + lanes <= width; k += lanes) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const VF32 w = LoadFloats(d, weight + r * width + k);
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t) sum[r][t] = hn::MulAdd(w, hn::Load(d, x + t * padded + k), sum[r][t]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows && k < width; ++r) {
    const VF32 w = LoadTail(d, weight + r * width + k, static_cast<size_t>(width - k));
#pragma GCC unroll 4
    for (int t = 0; t < kTokens; ++t) sum[r][t] = hn::MulAdd(w, hn::Load(d, x + t * padded + k), sum[r][t]);
  }
#pragma GCC unroll 4
  for (int t = 0; t < kTokens; ++t) {
    float total[4];
    const VF32 zero = hn::Zero(d);
    Sums(sum[0][t], kRows > 1 ? sum[1 % kRows][t] : zero, kRows > 2 ? sum[2 % kRows][t] : zero,
         kRows > 3 ? sum[3 % kRows][t] : zero, total);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      Y& out = y[t * y_stride + r];
      out = Y(accumulate ? static_cast<float>(out) + total[r] : total[r]);
    }
  }
}

template <int kTokens, class S, class Y>
void Strip(const float* x, int64_t padded, const S* weight, int64_t width, Y* y, int64_t y_stride, bool accumulate,
           int64_t begin, int64_t end) {
  constexpr int kRows = kTokens == 4 && HWY_TARGET != HWY_AVX3 ? 3 : 4;  // the sums fit 32 registers there, else 16
  int64_t n = begin;
  for (; n + kRows <= end; n += kRows)
    Tile<kRows, kTokens>(x, padded, weight + n * width, width, y + n, y_stride, accumulate);
  for (; n < end; ++n) Tile<1, kTokens>(x, padded, weight + n * width, width, y + n, y_stride, accumulate);
}

template <class S, class Y>
void GemvOf(const Tensor& x, const Tensor& weight, const Tensor& y, bool accumulate, int64_t begin, int64_t end,
            cpu::Scratch<float>& scratch) {
  const F32 d;
  const int64_t rows = x[0], width = x[1], lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t padded = (width + lanes - 1) / lanes * lanes;
  float* wide = scratch.at_least(static_cast<size_t>(rows * padded));
  for (int64_t t = 0; t < rows; ++t) {
    hn::Store(hn::Zero(d), d, wide + t * padded + padded - lanes);
    ConvertRows(x.as<S>() + t * x.stride[0], 0, wide + t * padded, 0, 1, width);
  }
  const S* w = weight.as<S>();
  Y* out = y.as<Y>();
  const int64_t stride = y.stride[0];
  constexpr int64_t kBlock = 48;  // rows of weights that stay in the first-level cache while the tokens pass
  for (int64_t n = begin; n < end; n += kBlock) {
    const int64_t last = n + kBlock < end ? n + kBlock : end;
    int64_t t = 0;
    for (; t + 4 <= rows; t += 4)
      Strip<4>(wide + t * padded, padded, w, width, out + t * stride, stride, accumulate, n, last);
    for (; t + 2 <= rows; t += 2)
      Strip<2>(wide + t * padded, padded, w, width, out + t * stride, stride, accumulate, n, last);
    for (; t < rows; ++t) Strip<1>(wide + t * padded, padded, w, width, out + t * stride, stride, accumulate, n, last);
  }
}

void Gemv(const Tensor& x, const Tensor& weight, const Tensor& y, bool accumulate, int64_t begin, int64_t end,
          cpu::Scratch<float>& scratch) {
  if (x.dtype == DType::f32) return GemvOf<float, float>(x, weight, y, accumulate, begin, end, scratch);
  if (y.dtype == DType::f32) return GemvOf<bf16, float>(x, weight, y, accumulate, begin, end, scratch);
  GemvOf<bf16, bf16>(x, weight, y, accumulate, begin, end, scratch);
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ballast::ops::cpu {

HWY_EXPORT(Gemv);
HWY_EXPORT(Widen);
HWY_EXPORT(Narrow);

void gemv(const Tensor& x, const Tensor& weight, const Tensor& y, bool accumulate, int64_t begin, int64_t end) {
  static thread_local Scratch<float> wide;
  HWY_DYNAMIC_DISPATCH(Gemv)(x, weight, y, accumulate, begin, end, wide);
}

void widen(const bf16* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(Widen)(from, from_stride, to, to_stride, rows, width);
}

void narrow(const float* from, int64_t from_stride, bf16* to, int64_t to_stride, int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(Narrow)(from, from_stride, to, to_stride, rows, width);
}

}  // namespace ballast::ops::cpu
#endif
