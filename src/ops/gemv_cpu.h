// Products of a few rows with a matrix, for decoding: bound by reading the weights once. And conversions of rows.
#pragma once

#include "core/tensor.h"

namespace ballast::ops::cpu {

constexpr int64_t kGemvRows = 8;  // up to this many rows they beat oneDNN's matmul

// y[t, n] (+)= x[t] . weight[n] for every row t of x (T, K) and n in [begin, end). x and weight share a storage type, y
// has that or f32. A result's bits depend neither on T nor on the range.
void gemv(const Tensor& x, const Tensor& weight, const Tensor& y, bool accumulate, int64_t begin, int64_t end);

// rows x width elements between matrices with the given row strides; bf16 is rounded to nearest even.
void widen(const bf16* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows, int64_t width);
void narrow(const float* from, int64_t from_stride, bf16* to, int64_t to_stride, int64_t rows, int64_t width);

}  // namespace ballast::ops::cpu
