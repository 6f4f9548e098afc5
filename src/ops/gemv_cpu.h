// Products of a few rows with a matrix, for decoding: bound by reading the weights once. And conversions of rows.
#pragma once

#include "core/fp8.h"
#include "core/tensor.h"

namespace ballast::ops::cpu {

constexpr int64_t kGemvRows = 8;  // up to this many rows they beat oneDNN's matmul

// y[t, n] (+)= x[t] . weight[n] for every row t of x (T, K) and n in [begin, end). x and weight share a storage type, or
// weight is bf16 and x f32; y has x's type or f32. A result's bits depend neither on T nor on the range.
void gemv(const Tensor& x, const Tensor& weight, const Tensor& y, bool accumulate, int64_t begin, int64_t end);

// The same with weights in FP8 (core/fp8.h): codes (N, K), and a scale per 128 x 128 block. Codes are multiplied as they
// are, by x times the scales of 128 rows of weights: a value is not rounded to x's type, as a copy of the weights would be.
void gemv_fp8(const Tensor& x, const e4m3* codes, const float* scales, const Tensor& y, int64_t begin, int64_t end);

// Rows [begin, end) of such a matrix, code * scale in f32, as f32 or bf16 to out (end - begin, K), contiguous.
void dequantize(const e4m3* codes, const float* scales, int64_t begin, int64_t end, const Tensor& out);

// rows x width elements between matrices with the given row strides; bf16 is rounded to nearest even.
void widen(const bf16* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows, int64_t width);
void narrow(const float* from, int64_t from_stride, bf16* to, int64_t to_stride, int64_t rows, int64_t width);

}  // namespace ballast::ops::cpu
