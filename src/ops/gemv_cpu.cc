#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/gemv_cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include "ops/gemv_cpu.h"
#include "ops/op.h"
#include "ops/scratch_cpu.h"

#include <limits>

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
    // The next tile, evenly: of a mapped file's pages the hardware's prefetchers know little.
    if constexpr (std::is_same_v<S, e4m3>) hwy::Prefetch(weight + kRows * (2 * width + k));
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

// All rows of x against rows [begin, end) of the weights.
template <class S, class Y>
HWY_INLINE void Strips(const float* x, int64_t rows, int64_t padded, const S* weight, int64_t width, Y* y,
                       int64_t y_stride, bool accumulate, int64_t begin, int64_t end) {
  int64_t t = 0;
  for (; t + 4 <= rows; t += 4)
    Strip<4>(x + t * padded, padded, weight, width, y + t * y_stride, y_stride, accumulate, begin, end);
  for (; t + 2 <= rows; t += 2)
    Strip<2>(x + t * padded, padded, weight, width, y + t * y_stride, y_stride, accumulate, begin, end);
  for (; t < rows; ++t)
    Strip<1>(x + t * padded, padded, weight, width, y + t * y_stride, y_stride, accumulate, begin, end);
}

// x as f32 for Tile: its rows `padded` elements apart and zero at the end. The buffer has room for `copies` of them.
struct WideRows {
  int64_t rows, width, padded;
  float* data;

  template <class X>
  WideRows(const Tensor& x, const X* from, int copies, cpu::Scratch<float>& scratch) : rows(x[0]), width(x[1]) {
    const F32 d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    padded = (width + lanes - 1) / lanes * lanes;
    data = scratch.at_least(static_cast<size_t>(copies * rows * padded));
    for (int64_t t = 0; t < rows; ++t) {
      hn::Store(hn::Zero(d), d, data + t * padded + padded - lanes);
      ConvertRows(from + t * x.stride[0], 0, data + t * padded, 0, 1, width);
    }
  }
};

template <class X, class S, class Y>
void GemvOf(const Tensor& x, const Tensor& weight, const Tensor& y, bool accumulate, int64_t begin, int64_t end,
            cpu::Scratch<float>& scratch) {
  const WideRows wide(x, x.as<X>(), 1, scratch);
  constexpr int64_t kBlock = 48;  // rows of weights that stay in the first-level cache while the tokens pass
  for (int64_t n = begin; n < end; n += kBlock)
    Strips(wide.data, wide.rows, wide.padded, weight.as<S>(), wide.width, y.as<Y>(), y.stride[0], accumulate, n,
           n + kBlock < end ? n + kBlock : end);
}

void Gemv(const Tensor& x, const Tensor& weight, const Tensor& y, bool accumulate, int64_t begin, int64_t end,
          cpu::Scratch<float>& scratch) {
  if (weight.dtype == DType::f32) return GemvOf<float, float, float>(x, weight, y, accumulate, begin, end, scratch);
  if (x.dtype == DType::f32) return GemvOf<float, bf16, float>(x, weight, y, accumulate, begin, end, scratch);
  if (y.dtype == DType::f32) return GemvOf<bf16, bf16, float>(x, weight, y, accumulate, begin, end, scratch);
  GemvOf<bf16, bf16, bf16>(x, weight, y, accumulate, begin, end, scratch);
}

// Whether one of these codes is NaN: a product then is, whatever x holds.
HWY_INLINE bool HasNan(const uint8_t* codes, int64_t n) {
  const hn::ScalableTag<uint8_t> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto magnitude = hn::Set(d, uint8_t{0x7f});
  auto largest = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) largest = hn::Max(largest, hn::And(hn::LoadU(d, codes + i), magnitude));
  bool found = !hn::AllFalse(d, hn::Eq(largest, magnitude));
  for (; i < n; ++i) found |= (codes[i] & 0x7f) == 0x7f;
  return found;
}

// to[t] = x[t] times the scales of a row of blocks, and what LoadFloats left out.
HWY_INLINE void ScaleRows(const WideRows& x, const float* scales, float* to) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t t = 0; t < x.rows; ++t)
    for (int64_t k = 0; k < x.padded; k += kFp8Block) {
      const auto scale = hn::Set(d, scales[k / kFp8Block] * kE4m3Unit);
      const int64_t last = k + kFp8Block < x.padded ? k + kFp8Block : x.padded, at = t * x.padded;
      for (int64_t i = k; i < last; i += lanes) hn::Store(hn::Mul(hn::Load(d, x.data + at + i), scale), d, to + at + i);
    }
}

template <class X, class Y>
void GemvFp8Of(const Tensor& x, const e4m3* codes, const float* scales, const Tensor& y, int64_t begin, int64_t end,
               cpu::Scratch<float>& scratch) {
  const WideRows wide(x, x.as<X>(), 2, scratch);
  float* scaled = wide.data + wide.rows * wide.padded;
  const int64_t blocks = (wide.width + kFp8Block - 1) / kFp8Block;
  constexpr int64_t kBlock = 4;  // rows of weights between the look for NaN and the products: first-level cache
  for (int64_t n = begin; n < end;) {
    if (n == begin || n % kFp8Block == 0) ScaleRows(wide, scales + n / kFp8Block * blocks, scaled);
    int64_t last = (n / kBlock + 1) * kBlock;
    last = last < end ? last : end;
    const bool nan = HasNan(reinterpret_cast<const uint8_t*>(codes + n * wide.width), (last - n) * wide.width);
    Strips(scaled, wide.rows, wide.padded, codes, wide.width, y.as<Y>(), y.stride[0], false, n, last);
    for (int64_t r = n; r < last && nan; ++r)
      if (HasNan(reinterpret_cast<const uint8_t*>(codes + r * wide.width), wide.width))
        for (int64_t t = 0; t < wide.rows; ++t) y.as<Y>()[t * y.stride[0] + r] = Y(std::numeric_limits<float>::quiet_NaN());
    n = last;
  }
}

void GemvFp8(const Tensor& x, const e4m3* codes, const float* scales, const Tensor& y, int64_t begin, int64_t end,
             cpu::Scratch<float>& scratch) {
  if (x.dtype == DType::f32) return GemvFp8Of<float, float>(x, codes, scales, y, begin, end, scratch);
  GemvFp8Of<bf16, bf16>(x, codes, scales, y, begin, end, scratch);
}

template <class T>
void DequantizeOf(const e4m3* codes, const float* scales, int64_t begin, int64_t end, int64_t width, T* out) {
  const F32 d;
  const int64_t blocks = (width + kFp8Block - 1) / kFp8Block;
  for (int64_t r = begin; r < end; ++r)
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t first = b * kFp8Block, n = width - first < kFp8Block ? width - first : kFp8Block;
      const auto scale = hn::Set(d, scales[r / kFp8Block * blocks + b]);
      const e4m3* from = codes + r * width + first;
      T* to = out + (r - begin) * width + first;
      hwy::Prefetch(from + width);
      ForEachVector(d, static_cast<size_t>(n), [&](auto load, auto store) HWY_ATTR {
        const auto code = load(from);
        const auto value = hn::Mul(hn::Mul(code, hn::Set(d, kE4m3Unit)), scale);
        const auto is_nan = hn::Eq(hn::Abs(code), hn::Set(d, kNanCode));
        store(hn::IfThenElse(is_nan, hn::Set(d, std::numeric_limits<float>::quiet_NaN()), value), to);
      });
    }
}

void Dequantize(const e4m3* codes, const float* scales, int64_t begin, int64_t end, const Tensor& out) {
  if (out.dtype == DType::f32) return DequantizeOf(codes, scales, begin, end, out[1], out.as<float>());
  DequantizeOf(codes, scales, begin, end, out[1], out.as<bf16>());
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ballast::ops::cpu {

HWY_EXPORT(Gemv);
HWY_EXPORT(GemvFp8);
HWY_EXPORT(Dequantize);
HWY_EXPORT(Widen);
HWY_EXPORT(Narrow);

void gemv(const Tensor& x, const Tensor& weight, const Tensor& y, bool accumulate, int64_t begin, int64_t end) {
  static thread_local Scratch<float> wide;
  HWY_DYNAMIC_DISPATCH(Gemv)(x, weight, y, accumulate, begin, end, wide);
}

void gemv_fp8(const Tensor& x, const e4m3* codes, const float* scales, const Tensor& y, int64_t begin, int64_t end) {
  static thread_local Scratch<float> wide;
  HWY_DYNAMIC_DISPATCH(GemvFp8)(x, codes, scales, y, begin, end, wide);
}

void dequantize(const e4m3* codes, const float* scales, int64_t begin, int64_t end, const Tensor& out) {
  HWY_DYNAMIC_DISPATCH(Dequantize)(codes, scales, begin, end, out);
}

void widen(const bf16* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(Widen)(from, from_stride, to, to_stride, rows, width);
}

void narrow(const float* from, int64_t from_stride, bf16* to, int64_t to_stride, int64_t rows, int64_t width) {
  HWY_DYNAMIC_DISPATCH(Narrow)(from, from_stride, to, to_stride, rows, width);
}

}  // namespace ballast::ops::cpu
#endif
