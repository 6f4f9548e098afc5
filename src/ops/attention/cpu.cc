// attention on the CPU: one worker takes a (segment, head) through blocks of queries against the keys up to the causal
// bound. K = [k_nope | k_rope], V and the queries are packed, padded with zero rows to multiples of 32, so that a block
// is two products of few different shapes (backward: five), with the softmax between them. Backward recomputes the
// probabilities from lse. dk_rope is written per head and summed in head order.
#include "ops/attention/backends.h"
#include "ops/attention/rows_cpu.h"
#include "ops/matmul_cpu.h"
#include "ops/op.h"
#include "ops/scratch_cpu.h"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace ballast::ops::cpu {
namespace {

constexpr int64_t kGrain = 32;   // block edges are multiples of it
constexpr int64_t kBlock = 64;   // queries: a block's scores and its keys stay in the L2 cache

int64_t padded(int64_t n) { return (n + kGrain - 1) / kGrain * kGrain; }

// What a worker keeps. S: storage type.
template <class S>
struct Memory {
  Scratch<S> k, v, q, d_o, p, ds;
  Scratch<float> score, dp, out, dk, dv;
};

// Where the products' second operand goes: f32 probabilities replace their scores, which keeps a block in the L2 cache.
template <class S>
S* over(float* score, Scratch<S>& own, size_t area) {
  if constexpr (std::is_same_v<S, float>) return score;
  else return own.at_least(area);
}

template <class S>
Memory<S>& memory() {
  static thread_local Memory<S> m;
  return m;
}

struct Segment {
  int64_t q0, n_q, kv0, n_kv;
  // Keys that the first `queries` queries see together.
  int64_t bound(int64_t queries) const { return std::max<int64_t>(0, n_kv - n_q + queries); }
};

Segment segment(const Tensor& q_offs, const Tensor& kv_offs, int64_t s) {
  const int32_t *q = q_offs.as<int32_t>() + s, *kv = kv_offs.as<int32_t>() + s;
  return {q[0], q[1] - q[0], kv[0], kv[1] - kv[0]};
}

// Copies rows [begin, begin + n) of one head of t (T, H, D), or of t (T, D), to to + offset with rows of `width`
// elements, and zeroes the rows up to padded(n).
template <class S>
void pack(const Tensor& t, int64_t head, int64_t begin, int64_t n, S* to, int64_t width, int64_t offset) {
  const int64_t last = t[t.rank - 1];
  const S* from = t.as<S>() + begin * t.stride[0] + (t.rank == 3 ? head * t.stride[1] : 0);
  for (int64_t i = 0; i < n; ++i) std::copy_n(from + i * t.stride[0], last, to + i * width + offset);
  for (int64_t i = n; i < padded(n); ++i) std::fill_n(to + i * width + offset, last, S());
}

// One head of rows [begin, begin + n) of t (T, H, D) = scale[i] * from; without scale, from.
template <class S>
void unpack(const float* from, int64_t width, const float* scale, const Tensor& t, int64_t head, int64_t begin,
            int64_t n) {
  store_rows(from, width, scale, t.as<S>() + begin * t.stride[0] + (t.rank == 3 ? head * t.stride[1] : 0), t.stride[0],
             n, t[t.rank - 1]);
}

template <class S>
Matmul product(int64_t m, int64_t n, int64_t k, bool a_transposed, bool b_transposed, bool accumulate = false) {
  return {.m = m, .n = n, .k = k, .lda = a_transposed ? m : k, .ldb = b_transposed ? k : n, .ldc = n,
          .a_transposed = a_transposed, .b_transposed = b_transposed, .in = dtype_of<S>(), .out = DType::f32,
          .accumulate = accumulate};
}

template <class S, class Args>
void pack_keys(const Args& a, const Segment& s, int64_t head, Memory<S>& m) {
  const int64_t dn = a.k_nope[2], d = a.q[2], rows = padded(s.n_kv);
  S* k = m.k.at_least(static_cast<size_t>(rows * d));
  pack(a.k_nope, head, s.kv0, s.n_kv, k, d, 0);
  pack(a.k_rope, 0, s.kv0, s.n_kv, k, d, dn);
  pack(a.v, head, s.kv0, s.n_kv, m.v.at_least(static_cast<size_t>(rows * a.v[2])), a.v[2], 0);
}

template <class S>
void forward_head(const AttentionForward& a, const Segment& s, int64_t head) {
  Memory<S>& m = memory<S>();
  const int64_t d = a.q[2], dv = a.v[2];
  pack_keys(a, s, head, m);
  float* lse = a.lse.as<float>() + head * a.lse.stride[0] + s.q0;
  float reciprocal[kBlock];
  for (int64_t begin = 0; begin < s.n_q; begin += kBlock) {
    const int64_t n = std::min(kBlock, s.n_q - begin), rows = padded(n), keys = padded(s.bound(begin + n));
    const auto area = static_cast<size_t>(rows * keys);
    float* score = m.score.at_least(area);
    S* p = over(score, m.p, area);
    float* out = m.out.at_least(static_cast<size_t>(rows * dv));
    S* q = m.q.at_least(static_cast<size_t>(rows * d));
    pack(a.q, head, s.q0 + begin, n, q, d, 0);
    if (keys > 0) {
      matmul(product<S>(rows, keys, d, false, true), q, m.k.at_least(0), score);
      softmax_rows({.score = score, .rows = rows, .queries = n, .keys = keys, .first = s.n_kv - s.n_q + begin + 1,
                    .scale = static_cast<float>(a.scale)}, p, lse + begin, reciprocal);
      matmul(product<S>(rows, dv, keys, false, false), p, m.v.at_least(0), out);
    } else {
      std::fill_n(out, rows * dv, 0.0f);
      std::fill_n(reciprocal, n, 0.0f);
      std::fill_n(lse + begin, n, -std::numeric_limits<float>::infinity());
    }
    unpack<S>(out, dv, reciprocal, a.o, head, s.q0 + begin, n);
  }
}

template <class S>
void zero_rows(const Tensor& t, int64_t begin, int64_t end) {
  const int64_t heads = t.rank == 3 ? t[1] : 1;
  for (int64_t i = begin; i < end; ++i)
    for (int64_t h = 0; h < heads; ++h)
      std::fill_n(t.as<S>() + i * t.stride[0] + (t.rank == 3 ? h * t.stride[1] : 0), t[t.rank - 1], S());
}

// Blocks from the last to the first: the last sees all keys, so its products overwrite dK and dV and the others add.
template <class S>
void backward_head(const AttentionBackward& a, const Segment& s, int64_t head, float* dk_rope) {
  Memory<S>& m = memory<S>();
  const int64_t d = a.q[2], dn = a.k_nope[2], dr = a.k_rope[1], dv = a.v[2], all = padded(s.n_kv);
  pack_keys(a, s, head, m);
  float* dk = m.dk.at_least(static_cast<size_t>(all * d));
  float* dvs = m.dv.at_least(static_cast<size_t>(all * dv));
  if (s.n_q == 0) {
    std::fill_n(dk, all * d, 0.0f);
    std::fill_n(dvs, all * dv, 0.0f);
  }
  for (int64_t begin = (s.n_q - 1) / kBlock * kBlock; begin >= 0 && s.n_q > 0; begin -= kBlock) {
    const int64_t n = std::min(kBlock, s.n_q - begin), rows = padded(n), keys = padded(s.bound(begin + n));
    const bool add = begin + n < s.n_q;
    const auto area = static_cast<size_t>(rows * keys);
    float *score = m.score.at_least(area), *dp = m.dp.at_least(area);
    S *p = over(score, m.p, area), *ds = over(dp, m.ds, area), *q = m.q.at_least(static_cast<size_t>(rows * d));
    S* d_o = m.d_o.at_least(static_cast<size_t>(rows * dv));
    float* dq = m.out.at_least(static_cast<size_t>(rows * d));
    const int64_t first = s.q0 + begin;
    if (keys == 0) {
      zero_rows<S>(a.dq.slice(1, head, head + 1), first, first + n);
      continue;
    }
    pack(a.q, head, first, n, q, d, 0);
    pack(a.d_o, head, first, n, d_o, dv, 0);
    matmul(product<S>(rows, keys, d, false, true), q, m.k.at_least(0), score);
    matmul(product<S>(rows, keys, dv, false, true), d_o, m.v.at_least(0), dp);
    const S* o = a.o.as<S>() + first * a.o.stride[0] + head * a.o.stride[1];
    softmax_backward_rows({.score = score, .rows = rows, .queries = n, .keys = keys,
                           .first = s.n_kv - s.n_q + begin + 1, .scale = static_cast<float>(a.scale)},
                          a.lse.as<float>() + head * a.lse.stride[0] + first, dp, d_o, o, a.o.stride[0], dv, p, ds);
    matmul(product<S>(keys, dv, rows, true, false, add), p, d_o, dvs);
    matmul(product<S>(rows, d, keys, false, false), ds, m.k.at_least(0), dq);
    matmul(product<S>(keys, d, rows, true, false, add), ds, q, dk);
    unpack<S>(dq, d, nullptr, a.dq, head, first, n);
  }
  unpack<S>(dk, d, nullptr, a.dk_nope, head, s.kv0, s.n_kv);
  unpack<S>(dvs, dv, nullptr, a.dv, head, s.kv0, s.n_kv);
  for (int64_t i = 0; i < s.n_kv; ++i) std::copy_n(dk + i * d + dn, dr, dk_rope + (s.kv0 + i) * dr);
}

// Rows of t outside of all segments.
template <class S>
void zero_outside(const Tensor& offs, const Tensor& t) {
  const int32_t* o = offs.as<int32_t>();
  zero_rows<S>(t, 0, o[0]);
  zero_rows<S>(t, o[offs[0] - 1], t[0]);
}

template <class S>
void forward(Device& device, const AttentionForward& a) {
  const int64_t heads = a.q[1], segments = a.q_offs[0] - 1;
  const int32_t* offs = a.q_offs.as<int32_t>();
  zero_outside<S>(a.q_offs, a.o);
  for (int64_t h = 0; h < heads; ++h) {
    float* lse = a.lse.as<float>() + h * a.lse.stride[0];
    std::fill(lse, lse + offs[0], -std::numeric_limits<float>::infinity());
    std::fill(lse + offs[segments], lse + a.q[0], -std::numeric_limits<float>::infinity());
  }
  device.pool().for_each(segments * heads, [&](int64_t task, int) {
    forward_head<S>(a, segment(a.q_offs, a.kv_offs, task / heads), task % heads);
  });
}

template <class S>
void backward(Device& device, const AttentionBackward& a) {
  static thread_local Scratch<float> per_head;
  const int64_t heads = a.q[1], segments = a.q_offs[0] - 1, n_kv = a.k_rope[0], dr = a.k_rope[1];
  const int32_t* offs = a.kv_offs.as<int32_t>();
  float* dk_rope = per_head.at_least(static_cast<size_t>(heads * n_kv * dr));
  zero_outside<S>(a.q_offs, a.dq);
  for (const Tensor& t : {a.dk_nope, a.dk_rope, a.dv}) zero_outside<S>(a.kv_offs, t);
  device.pool().for_each(segments * heads, [&](int64_t task, int) {
    const int64_t head = task % heads;
    backward_head<S>(a, segment(a.q_offs, a.kv_offs, task / heads), head, dk_rope + head * n_kv * dr);
  });
  device.pool().split(offs[segments] - offs[0], 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t j = offs[0] + begin; j < offs[0] + end; ++j) {
      for (int64_t h = 1; h < heads; ++h)
        for (int64_t i = 0; i < dr; ++i) dk_rope[j * dr + i] += dk_rope[(h * n_kv + j) * dr + i];
    }
    unpack<S>(dk_rope + (offs[0] + begin) * dr, dr, nullptr, a.dk_rope, 0, offs[0] + begin, end - begin);
  });
}

}  // namespace

void attention_forward(Device& device, const AttentionForward& a) {
  dispatch_storage("attention.forward", a.q.dtype, [&]<class S>() { forward<S>(device, a); });
}

void attention_backward(Device& device, const AttentionBackward& a) {
  dispatch_storage("attention.backward", a.q.dtype, [&]<class S>() { backward<S>(device, a); });
}

}  // namespace ballast::ops::cpu
