#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attention/rows_cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "ops/simd-inl.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ops/attention/rows_cpu.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

// 2^y for y <= 0, to 1.5e-7 of the result; 0 below 2^-126; NaN stays NaN. With y = n + f, n an integer and f in
// [-1/2, 1/2]: 2^n by its bits, 2^f by its minimax polynomial of relative error 7.5e-8.
HWY_INLINE VF32 Exp2(F32 d, VF32 y) {
  const hn::RebindToUnsigned<F32> du;
  y = hn::Max(hn::Set(d, -126.0f), y);  // in this order a NaN is kept on x86
  const VF32 magic = hn::Set(d, 12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  const VF32 shifted = hn::Add(y, magic), f = hn::Sub(y, hn::Sub(shifted, magic));
  VF32 p = hn::Set(d, 0.0013276472454890609f);
  p = hn::MulAdd(p, f, hn::Set(d, 0.009675541892647743f));
  p = hn::MulAdd(p, f, hn::Set(d, 0.05550713092088699f));
  p = hn::MulAdd(p, f, hn::Set(d, 0.24022120237350464f));
  p = hn::MulAdd(p, f, hn::Set(d, 0.6931469440460205f));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0000001192092896f));
  const auto exponent = hn::ShiftLeft<23>(hn::Add(hn::BitCast(du, shifted), hn::Set(du, 127)));
  return hn::Mul(p, hn::BitCast(d, exponent));
}

constexpr float kLog2E = 1.44269504f;

int64_t VisibleKeys(const cpu::ScoreBlock& b, int64_t row) {
  if (row >= b.queries || b.first + row <= 0) return 0;
  return b.first + row < b.keys ? b.first + row : b.keys;
}

template <class S>
void SoftmaxRow(const float* score, int64_t n, float scale, S* p, float* lse, float* reciprocal) {
  const F32 d;
  const size_t lanes = hn::Lanes(d), size = static_cast<size_t>(n), full = size / lanes * lanes;
  VF32 top = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (size_t j = 0; j < full; j += lanes) top = hn::Max(top, hn::LoadU(d, score + j));
  float highest = hn::GetLane(hn::MaxOfLanes(d, top));
  for (size_t j = full; j < size; ++j) highest = score[j] > highest ? score[j] : highest;
  const VF32 factor = hn::Set(d, scale * kLog2E), shift = hn::Set(d, -highest * (scale * kLog2E));
  VF32 sum = hn::Zero(d);
  for (size_t j = 0; j < full; j += lanes) {
    const VF32 e = Exp2(d, hn::MulAdd(hn::LoadU(d, score + j), factor, shift));
    sum = hn::Add(sum, e);
    StoreFloats(e, d, p + j);
  }
  if (full < size) {
    const VF32 e = Exp2(d, hn::MulAdd(LoadTail(d, score + full, size - full), factor, shift));
    sum = hn::Add(sum, hn::IfThenElseZero(hn::FirstN(d, size - full), e));
    StoreTail(e, d, p + full, size - full);
  }
  const float total = hn::GetLane(hn::SumOfLanes(d, sum));
  *lse = highest * scale + std::log(total);
  *reciprocal = 1.0f / total;
}

template <class S>
void SoftmaxOf(const cpu::ScoreBlock& b, S* p, float* lse, float* reciprocal) {
  for (int64_t i = 0; i < b.rows; ++i) {
    const int64_t n = VisibleKeys(b, i);
    S* row = p + i * b.keys;
    if (n > 0) {
      SoftmaxRow(b.score + i * b.keys, n, b.scale, row, lse + i, reciprocal + i);
    } else if (i < b.queries) {
      lse[i] = -std::numeric_limits<float>::infinity();
      reciprocal[i] = 0;
    }
    std::memset(static_cast<void*>(row + n), 0, static_cast<size_t>(b.keys - n) * sizeof(S));
  }
}

template <class S>
void SoftmaxBackwardOf(const cpu::ScoreBlock& b, const float* lse, const float* dp, const S* d_o, const S* o,
                       int64_t o_stride, int64_t width, S* p, S* ds) {
  const F32 d;
  for (int64_t i = 0; i < b.rows; ++i) {
    const int64_t n = VisibleKeys(b, i);
    const float *score_row = b.score + i * b.keys, *dp_row = dp + i * b.keys;
    S *p_row = p + i * b.keys, *ds_row = ds + i * b.keys;
    if (n > 0) {
      VF32 dot = hn::Zero(d);
      ForEachVector(d, static_cast<size_t>(width), [&](auto load, auto) HWY_ATTR {
        dot = hn::MulAdd(load(d_o + i * width), load(o + i * o_stride), dot);
      });
      const VF32 mean = hn::SumOfLanes(d, dot), scale = hn::Set(d, b.scale);
      const VF32 factor = hn::Set(d, b.scale * kLog2E), shift = hn::Set(d, -lse[i] * kLog2E);
      ForEachVector(d, static_cast<size_t>(n), [&](auto load, auto store) HWY_ATTR {
        const VF32 e = Exp2(d, hn::MulAdd(load(score_row), factor, shift));
        store(e, p_row);
        store(hn::Mul(hn::Mul(e, scale), hn::Sub(load(dp_row), mean)), ds_row);
      });
    }
    std::memset(static_cast<void*>(p_row + n), 0, static_cast<size_t>(b.keys - n) * sizeof(S));
    std::memset(static_cast<void*>(ds_row + n), 0, static_cast<size_t>(b.keys - n) * sizeof(S));
  }
}

template <class S>
void StoreRowsOf(const float* from, int64_t from_stride, const float* scale, S* to, int64_t to_stride, int64_t n,
                 int64_t width) {
  const F32 d;
  for (int64_t i = 0; i < n; ++i) {
    const VF32 factor = hn::Set(d, scale ? scale[i] : 1.0f);
    ForEachVector(d, static_cast<size_t>(width), [&](auto load, auto store) HWY_ATTR {
      store(hn::Mul(load(from + i * from_stride), factor), to + i * to_stride);
    });
  }
}

// Dispatch tables need plain functions.
void SoftmaxF32(const cpu::ScoreBlock& b, float* p, float* lse, float* r) { SoftmaxOf(b, p, lse, r); }
void SoftmaxBf16(const cpu::ScoreBlock& b, bf16* p, float* lse, float* r) { SoftmaxOf(b, p, lse, r); }
void SoftmaxBackwardF32(const cpu::ScoreBlock& b, const float* lse, const float* dp, const float* d_o, const float* o,
                        int64_t o_stride, int64_t width, float* p, float* ds) {
  SoftmaxBackwardOf(b, lse, dp, d_o, o, o_stride, width, p, ds);
}
void SoftmaxBackwardBf16(const cpu::ScoreBlock& b, const float* lse, const float* dp, const bf16* d_o, const bf16* o,
                         int64_t o_stride, int64_t width, bf16* p, bf16* ds) {
  SoftmaxBackwardOf(b, lse, dp, d_o, o, o_stride, width, p, ds);
}
void StoreF32(const float* from, int64_t from_stride, const float* scale, float* to, int64_t to_stride, int64_t n,
              int64_t width) {
  StoreRowsOf(from, from_stride, scale, to, to_stride, n, width);
}
void StoreBf16(const float* from, int64_t from_stride, const float* scale, bf16* to, int64_t to_stride, int64_t n,
               int64_t width) {
  StoreRowsOf(from, from_stride, scale, to, to_stride, n, width);
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ballast::ops::cpu {

HWY_EXPORT(SoftmaxF32);
HWY_EXPORT(SoftmaxBf16);
HWY_EXPORT(SoftmaxBackwardF32);
HWY_EXPORT(SoftmaxBackwardBf16);
HWY_EXPORT(StoreF32);
HWY_EXPORT(StoreBf16);

void softmax_rows(const ScoreBlock& b, float* p, float* lse, float* reciprocal) {
  HWY_DYNAMIC_DISPATCH(SoftmaxF32)(b, p, lse, reciprocal);
}
void softmax_rows(const ScoreBlock& b, bf16* p, float* lse, float* reciprocal) {
  HWY_DYNAMIC_DISPATCH(SoftmaxBf16)(b, p, lse, reciprocal);
}
void softmax_backward_rows(const ScoreBlock& b, const float* lse, const float* dp, const float* d_o, const float* o,
                           int64_t o_stride, int64_t width, float* p, float* ds) {
  HWY_DYNAMIC_DISPATCH(SoftmaxBackwardF32)(b, lse, dp, d_o, o, o_stride, width, p, ds);
}
void softmax_backward_rows(const ScoreBlock& b, const float* lse, const float* dp, const bf16* d_o, const bf16* o,
                           int64_t o_stride, int64_t width, bf16* p, bf16* ds) {
  HWY_DYNAMIC_DISPATCH(SoftmaxBackwardBf16)(b, lse, dp, d_o, o, o_stride, width, p, ds);
}
void store_rows(const float* from, int64_t from_stride, const float* scale, float* to, int64_t to_stride, int64_t n,
                int64_t width) {
  HWY_DYNAMIC_DISPATCH(StoreF32)(from, from_stride, scale, to, to_stride, n, width);
}
void store_rows(const float* from, int64_t from_stride, const float* scale, bf16* to, int64_t to_stride, int64_t n,
                int64_t width) {
  HWY_DYNAMIC_DISPATCH(StoreBf16)(from, from_stride, scale, to, to_stride, n, width);
}

}  // namespace ballast::ops::cpu
#endif
