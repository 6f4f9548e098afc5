// One dense matrix product as GPU libraries take it: D = op(A) op(B) + beta D, column-major. An op says which products
// it is made of as plain functions of its arguments, so that tests run them on the host (linear/products_test.cc).
#pragma once

#include "core/tensor.h"

namespace ballast::ops {

// Column-major: element (i, j) of a matrix is data[i + j * ld].
struct Gemm {
  int64_t m = 0, n = 0, k = 0;  // D is m x n; the sum runs over k
  const void *a = nullptr, *b = nullptr;
  void* d = nullptr;
  int64_t lda = 0, ldb = 0, ldd = 0;  // elements
  bool transpose_a = false, transpose_b = false;
  DType input = DType::f32, output = DType::f32;
  bool accumulate = false;  // beta is 1; else 0, and D is not read
};

}  // namespace ballast::ops
