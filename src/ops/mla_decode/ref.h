// The definition of mla_decode. Scratch of one (row, head): [query in the latent (r) | weighted latent (r) | scores
// (C)].
#pragma once

#include <limits>

#include "ops/math.h"
#include "ops/mla_decode/mla_decode.h"

namespace ballast::ops::ref {

template <class T>
void mla_decode_head(const MlaDecode& a, int64_t b, int64_t h) {
  using std::exp;
  const int64_t rank = a.kv_b[1], dr = a.cache[2] - rank, dn = a.q[2] - dr, dv = a.o[2];
  const int64_t positions = a.length.at<int32_t>(b);
  const T *q = &a.q.at<T>(b, h, 0), *q_rope = q + dn;
  T *q_latent = &a.scratch.at<T>(b, h, 0), *latent = q_latent + rank, *score = latent + rank;
  for (int64_t i = 0; i < rank; ++i) {
    q_latent[i] = latent[i] = T(0);
    for (int64_t n = 0; n < dn; ++n) q_latent[i] += q[n] * a.kv_b.at<T>(h * (dn + dv) + n, i);
  }
  double highest = -std::numeric_limits<double>::infinity();
  for (int64_t j = 0; j < positions; ++j) {
    const T* c = &a.cache.at<T>(b, j, 0);
    T sum(0);
    for (int64_t i = 0; i < rank; ++i) sum += q_latent[i] * c[i];
    for (int64_t i = 0; i < dr; ++i) sum += q_rope[i] * c[rank + i];
    score[j] = T(a.scale) * sum;
    if (real_part(score[j]) > highest) highest = real_part(score[j]);
  }
  T total(0);
  for (int64_t j = 0; j < positions; ++j) total += score[j] = exp(score[j] - T(highest));
  for (int64_t j = 0; j < positions; ++j)
    for (int64_t i = 0; i < rank; ++i) latent[i] += score[j] / total * a.cache.at<T>(b, j, i);
  for (int64_t n = 0; n < dv; ++n) {
    T sum(0);
    for (int64_t i = 0; i < rank; ++i) sum += a.kv_b.at<T>(h * (dn + dv) + dn + n, i) * latent[i];
    a.o.at<T>(b, h, n) = sum;
  }
}

template <class T>
void mla_decode(const MlaDecode& a) {
  for (int64_t b = 0; b < a.q[0]; ++b)
    for (int64_t h = 0; h < a.q[1]; ++h) mla_decode_head<T>(a, b, h);
}

}  // namespace ballast::ops::ref
