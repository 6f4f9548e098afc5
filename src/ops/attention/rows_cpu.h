// The elementwise half of attention on the CPU: softmax over a block of scores, its gradient, and stores.
#pragma once

#include "core/tensor.h"

namespace ballast::ops::cpu {

// A block of products q . k (rows, keys), dense. Row i of the first `queries` sees keys [0, first + i), at most `keys`;
// the other rows are padding.
struct ScoreBlock {
  const float* score;
  int64_t rows, queries, keys, first;
  float scale;
};

// p (rows, keys) = exp(scale * score - maximum of the row), zero where the row does not see the key and in padding.
// reciprocal[i] = 1 / (sum of row i), 0 where it sees nothing; lse[i] = maximum + log(sum). p may be the scores.
void softmax_rows(const ScoreBlock& b, float* p, float* lse, float* reciprocal);
void softmax_rows(const ScoreBlock& b, bf16* p, float* lse, float* reciprocal);

// p = exp(scale * score - lse), ds = p * (dp - d_o . o) * scale, zero as above. d_o (queries, width) is dense. p may be
// the scores, and ds dp.
void softmax_backward_rows(const ScoreBlock& b, const float* lse, const float* dp, const float* d_o, const float* o,
                           int64_t o_stride, int64_t width, float* p, float* ds);
void softmax_backward_rows(const ScoreBlock& b, const float* lse, const float* dp, const bf16* d_o, const bf16* o,
                           int64_t o_stride, int64_t width, bf16* p, bf16* ds);

// to[i] = scale[i] * from[i] for n rows of `width` elements; without scale, from[i].
void store_rows(const float* from, int64_t from_stride, const float* scale, float* to, int64_t to_stride, int64_t n,
                int64_t width);
void store_rows(const float* from, int64_t from_stride, const float* scale, bf16* to, int64_t to_stride, int64_t n,
                int64_t width);

}  // namespace ballast::ops::cpu
