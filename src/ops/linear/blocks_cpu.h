// How the three products of a linear layer are cut into tasks. Blocks depend on shapes alone, never on the number of
// workers; so do the results.
#pragma once

#include <algorithm>

#include "core/tensor.h"
#include "ops/matmul_cpu.h"

namespace ballast::ops::cpu {

// [0, count) in equal parts, each a multiple of grain but the last.
struct Blocks {
  int64_t count = 0, size = 1;
  Blocks(int64_t count, int64_t parts, int64_t grain) : count(count) {
    parts = std::max<int64_t>(1, parts);
    size = std::max(grain, ((count + parts - 1) / parts + grain - 1) / grain * grain);
  }
  int64_t parts() const { return (count + size - 1) / size; }
  int64_t begin(int64_t i) const { return i * size; }
  int64_t end(int64_t i) const { return std::min(count, (i + 1) * size); }
};

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Rows [begin, end) of y = x W^T, columns [n0, n1).
inline void forward_block(const Tensor& x, const Tensor& weight, const Tensor& y, bool accumulate, int64_t begin,
                          int64_t end, int64_t n0, int64_t n1) {
  const Tensor xs = x.rows(begin, end), ws = weight.rows(n0, n1), ys = y.rows(begin, end).cols(n0, n1);
  matmul({.m = end - begin, .n = n1 - n0, .k = x[1], .lda = x.stride[0], .ldb = weight.stride[0], .ldc = y.stride[0],
          .b_transposed = true, .in = x.dtype, .out = y.dtype, .accumulate = accumulate},
         xs.data, ws.data, ys.data);
}

// Rows [begin, end) of dx = dy W.
inline void dgrad_block(const Tensor& dy, const Tensor& weight, const Tensor& dx, bool accumulate, int64_t begin,
                        int64_t end) {
  const Tensor dys = dy.rows(begin, end), dxs = dx.rows(begin, end);
  matmul({.m = end - begin, .n = dx[1], .k = dy[1], .lda = dy.stride[0], .ldb = weight.stride[0], .ldc = dx.stride[0],
          .in = dy.dtype, .out = dx.dtype, .accumulate = accumulate},
         dys.data, weight.data, dxs.data);
}

// Rows [n0, n1) of dW = dy^T x: tokens in fixed chunks, so that ragged counts need few primitives.
inline void wgrad_block(const Tensor& dy, const Tensor& x, const Tensor& dweight, bool accumulate, int64_t n0,
                        int64_t n1) {
  constexpr int64_t kTokens = 2048;
  for (int64_t begin = 0; begin < dy[0]; begin += kTokens) {
    const int64_t end = std::min(dy[0], begin + kTokens);
    const Tensor dys = dy.rows(begin, end).cols(n0, n1), xs = x.rows(begin, end), dws = dweight.rows(n0, n1);
    matmul({.m = n1 - n0, .n = x[1], .k = end - begin, .lda = dy.stride[0], .ldb = x.stride[0],
            .ldc = dweight.stride[0], .a_transposed = true, .in = dy.dtype, .out = dweight.dtype,
            .accumulate = accumulate || begin > 0},
           dys.data, xs.data, dws.data);
  }
}

}  // namespace ballast::ops::cpu
