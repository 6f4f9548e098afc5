// mla_decode on the CPU: a worker takes one row and a pair of heads, so that a cache entry, once read and widened,
// serves both. Sums over the cache go over fixed positions in order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/mla_decode/cpu.cc"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"
#include "hwy/contrib/math/math-inl.h"
#include "ops/simd-inl.h"

#include <limits>

#include "ops/mla_decode/backends.h"

HWY_BEFORE_NAMESPACE();
namespace ballast::ops::HWY_NAMESPACE {

// to (n) += factor * row, for each of kHeads vectors.
template <int kHeads, class S>
HWY_INLINE void AddRow(const S* row, const float* factor, float* const* to, int64_t n) {
  const F32 d;
  ForEachVector(d, static_cast<size_t>(n), [&](auto load, auto store) HWY_ATTR {
    const VF32 v = load(row);
#pragma GCC unroll 2
    for (int h = 0; h < kHeads; ++h)
      store(hn::MulAdd(hn::Set(d, factor[h]), v, load(static_cast<const float*>(to[h]))), to[h]);
  });
}

template <int kHeads, class S, class Q>
HWY_INLINE void Dots(const S* row, const Q* const* q, int64_t n, float* out) {
  const F32 d;
  VF32 sum[kHeads];
  for (int h = 0; h < kHeads; ++h) sum[h] = hn::Zero(d);
  ForEachVector(d, static_cast<size_t>(n), [&](auto load, auto) HWY_ATTR {
    const VF32 v = load(row);
#pragma GCC unroll 2
    for (int h = 0; h < kHeads; ++h) sum[h] = hn::MulAdd(v, load(q[h]), sum[h]);
  });
  for (int h = 0; h < kHeads; ++h) out[h] = hn::GetLane(hn::SumOfLanes(d, sum[h]));
}

// score (n) becomes softmax(score).
HWY_INLINE void Softmax(float* score, int64_t n, float highest) {
  const F32 d;
  VF32 sum = hn::Zero(d);
  const VF32 shift = hn::Set(d, highest);
  ForEachVector(d, static_cast<size_t>(n), [&](auto load, auto store) HWY_ATTR {
    store(hn::Exp(d, hn::Sub(load(static_cast<const float*>(score)), shift)), score);
  });
  ForEachVector(d, static_cast<size_t>(n), [&](auto load, auto) HWY_ATTR {
    sum = hn::Add(sum, load(static_cast<const float*>(score)));
  });
  const VF32 scale = hn::Set(d, 1.0f / hn::GetLane(hn::SumOfLanes(d, sum)));
  ForEachVector(d, static_cast<size_t>(n), [&](auto load, auto store) HWY_ATTR {
    store(hn::Mul(load(static_cast<const float*>(score)), scale), score);
  });
}

template <int kHeads, class S>
void DecodeHeads(const MlaDecode& a, int64_t b, int64_t head) {
  const int64_t rank = a.kv_b[1], dr = a.cache[2] - rank, dn = a.q[2] - dr, dv = a.o[2];
  const int64_t positions = a.length.as<int32_t>()[b];
  CHECK(positions <= a.cache[1]);
  const S *q[kHeads], *q_rope[kHeads], *up[kHeads];
  float *q_latent[kHeads], *latent[kHeads], *score[kHeads];
  S* o[kHeads];
  for (int h = 0; h < kHeads; ++h) {
    q[h] = a.q.as<S>() + b * a.q.stride[0] + (head + h) * a.q.stride[1];
    q_rope[h] = q[h] + dn;
    up[h] = a.kv_b.as<S>() + (head + h) * (dn + dv) * a.kv_b.stride[0];
    q_latent[h] = a.scratch.as<float>() + b * a.scratch.stride[0] + (head + h) * a.scratch.stride[1];
    latent[h] = q_latent[h] + rank;
    score[h] = latent[h] + rank;
    o[h] = a.o.as<S>() + b * a.o.stride[0] + (head + h) * a.o.stride[1];
    std::memset(q_latent[h], 0, static_cast<size_t>(2 * rank) * sizeof(float));
    for (int64_t n = 0; n < dn; ++n) {
      const float factor = static_cast<float>(q[h][n]);
      AddRow<1>(up[h] + n * a.kv_b.stride[0], &factor, &q_latent[h], rank);
    }
  }
  const S* cache = a.cache.as<S>() + b * a.cache.stride[0];
  float highest[kHeads];
  for (int h = 0; h < kHeads; ++h) highest[h] = -std::numeric_limits<float>::infinity();
  for (int64_t j = 0; j < positions; ++j) {
    const S* c = cache + j * a.cache.stride[1];
    float content[kHeads], position[kHeads];
    Dots<kHeads>(c, q_latent, rank, content);
    Dots<kHeads>(c + rank, q_rope, dr, position);
    for (int h = 0; h < kHeads; ++h) {
      score[h][j] = static_cast<float>(a.scale) * (content[h] + position[h]);
      highest[h] = score[h][j] > highest[h] ? score[h][j] : highest[h];
    }
  }
  for (int h = 0; h < kHeads && positions > 0; ++h) Softmax(score[h], positions, highest[h]);
  for (int64_t j = 0; j < positions; ++j) {
    float p[kHeads];
    for (int h = 0; h < kHeads; ++h) p[h] = score[h][j];
    AddRow<kHeads>(cache + j * a.cache.stride[1], p, latent, rank);
  }
  for (int h = 0; h < kHeads; ++h) {
    for (int64_t n = 0; n < dv; ++n) {
      float sum;
      Dots<1>(up[h] + (dn + n) * a.kv_b.stride[0], &latent[h], rank, &sum);
      o[h][n] = S(sum);
    }
  }
}

void Decode(const MlaDecode& a, int64_t b, int64_t head, int64_t count) {
  dispatch_storage("mla_decode", a.q.dtype, [&]<class S>() {
    if (count == 2) DecodeHeads<2, S>(a, b, head);
    else DecodeHeads<1, S>(a, b, head);
  });
}

}  // namespace ballast::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ballast::ops::cpu {

HWY_EXPORT(Decode);

void mla_decode(Device& device, const MlaDecode& a) {
  const int64_t heads = a.q[1], pairs = (heads + 1) / 2;
  device.pool().for_each(a.q[0] * pairs, [&](int64_t task, int) {
    const int64_t head = task % pairs * 2;
    HWY_DYNAMIC_DISPATCH(Decode)(a, task / pairs, head, head + 1 < heads ? 2 : 1);
  });
}

}  // namespace ballast::ops::cpu
#endif
