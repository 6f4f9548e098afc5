// The matrix products of linear. Column-major, a row-major (R, C) tensor is its transpose, C x R with leading dimension
// the row stride: each product is the transpose of the op's formula.
#pragma once

#include <algorithm>

#include "ops/gemm.h"
#include "ops/linear/linear.h"

namespace ballast::ops {

// A view of one row may carry any stride; a leading dimension is at least the column.
inline int64_t leading_dimension(const Tensor& t) { return std::max(t.stride[0], t[1]); }

// y^T (N x T) = W (N x K) x^T (K x T).
inline Gemm output_product(const LinearForward& a) {
  return {.m = a.weight[0], .n = a.x[0], .k = a.x[1],
          .a = a.weight.data, .b = a.x.data, .d = a.y.data,
          .lda = leading_dimension(a.weight), .ldb = leading_dimension(a.x), .ldd = leading_dimension(a.y),
          .transpose_a = true, .input = a.x.dtype, .output = a.y.dtype, .accumulate = a.accumulate};
}

// dx^T (K x T) = W^T (K x N) dy^T (N x T).
inline Gemm input_product(const LinearBackward& a) {
  return {.m = a.dx[1], .n = a.dy[0], .k = a.dy[1],
          .a = a.weight.data, .b = a.dy.data, .d = a.dx.data,
          .lda = leading_dimension(a.weight), .ldb = leading_dimension(a.dy), .ldd = leading_dimension(a.dx),
          .input = a.dy.dtype, .output = a.dx.dtype, .accumulate = a.accumulate_dx};
}

// dW^T (K x N) = x^T (K x T) dy (T x N).
inline Gemm weight_product(const LinearBackward& a) {
  return {.m = a.dweight[1], .n = a.dy[1], .k = a.dy[0],
          .a = a.x.data, .b = a.dy.data, .d = a.dweight.data,
          .lda = leading_dimension(a.x), .ldb = leading_dimension(a.dy), .ldd = leading_dimension(a.dweight),
          .transpose_b = true, .input = a.dy.dtype, .output = a.dweight.dtype, .accumulate = a.accumulate_dweight};
}

}  // namespace ballast::ops
