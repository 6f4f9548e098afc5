// The definition of attention, forward and vjp: one query and one head at a time.
#pragma once

#include <limits>
#include <vector>

#include "ops/attention/attention.h"
#include "ops/math.h"

namespace ballast::ops::ref {

// Where query i of segment s stands, and the keys it sees: [first, first + keys).
struct Visible {
  int64_t query, first, keys;
};

// f(Visible) for every query of every segment, in order.
template <class F>
void for_each_query(const Tensor& q_offs, const Tensor& kv_offs, F&& f) {
  for (int64_t s = 0; s + 1 < q_offs[0]; ++s) {
    const int64_t q0 = q_offs.at<int32_t>(s), n_q = q_offs.at<int32_t>(s + 1) - q0;
    const int64_t kv0 = kv_offs.at<int32_t>(s), n_kv = kv_offs.at<int32_t>(s + 1) - kv0;
    for (int64_t i = 0; i < n_q; ++i) {
      const int64_t keys = n_kv - n_q + i + 1;
      f(Visible{q0 + i, kv0, keys > 0 ? keys : 0});
    }
  }
}

template <class T>
T dot(const T* a, const T* b, int64_t n) {
  T sum(0);
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// scale * (q_nope . k_nope + q_rope . k_rope) of one query, head and key; Args is forward's or backward's.
template <class T, class Args>
T attention_score(const Args& a, int64_t query, int64_t head, int64_t key) {
  const T* q = &a.q.template at<T>(query, head, 0);
  const int64_t dn = a.k_nope[2], dr = a.k_rope[1];
  return T(a.scale) * (dot(q, &a.k_nope.template at<T>(key, head, 0), dn) +
                       dot(q + dn, &a.k_rope.template at<T>(key, 0), dr));
}

template <class T>
void zero_rows(const Tensor& t) {
  const int64_t last = t[t.rank - 1], middle = t.rank == 3 ? t[1] : 1;
  for (int64_t i = 0; i < t[0]; ++i)
    for (int64_t h = 0; h < middle; ++h)
      for (int64_t j = 0; j < last; ++j) (t.rank == 3 ? t.at<T>(i, h, j) : t.at<T>(i, j)) = T(0);
}

template <class T>
void attention_forward(const AttentionForward& a) {
  using std::exp;
  using std::log;
  std::vector<T> p(static_cast<size_t>(a.k_nope[0]));
  const int64_t heads = a.q[1], dv = a.v[2];
  zero_rows<T>(a.o);
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t i = 0; i < a.q[0]; ++i) a.lse.at<T>(h, i) = T(-std::numeric_limits<double>::infinity());
  for_each_query(a.q_offs, a.kv_offs, [&](const Visible& see) {
    for (int64_t h = 0; h < heads && see.keys > 0; ++h) {
      double highest = -std::numeric_limits<double>::infinity();
      for (int64_t j = 0; j < see.keys; ++j) {
        p[j] = attention_score<T>(a, see.query, h, see.first + j);
        if (real_part(p[j]) > highest) highest = real_part(p[j]);
      }
      T sum(0);
      for (int64_t j = 0; j < see.keys; ++j) sum += p[j] = exp(p[j] - T(highest));
      a.lse.at<T>(h, see.query) = T(highest) + log(sum);
      T* o = &a.o.at<T>(see.query, h, 0);
      for (int64_t j = 0; j < see.keys; ++j) {
        const T* v = &a.v.at<T>(see.first + j, h, 0);
        for (int64_t i = 0; i < dv; ++i) o[i] += p[j] / sum * v[i];
      }
    }
  });
}

// With p = exp(score - lse) and D = dO . O:  dv_j += p_j dO,  ds_j = p_j (dO . v_j - D) scale,
// dq += ds_j k_j,  dk_j += ds_j q.
template <class T>
void attention_backward(const AttentionBackward& a) {
  using std::exp;
  const int64_t heads = a.q[1], dn = a.k_nope[2], dr = a.k_rope[1], dv = a.v[2];
  for (const Tensor& t : {a.dq, a.dk_nope, a.dk_rope, a.dv}) zero_rows<T>(t);
  for (int64_t h = 0; h < heads; ++h) {
    for_each_query(a.q_offs, a.kv_offs, [&](const Visible& see) {
      const T *q = &a.q.at<T>(see.query, h, 0), *d_o = &a.d_o.at<T>(see.query, h, 0);
      T* dq = &a.dq.at<T>(see.query, h, 0);
      const T lse = a.lse.at<T>(h, see.query), D = dot(d_o, &a.o.at<T>(see.query, h, 0), dv);
      for (int64_t j = see.first; j < see.first + see.keys; ++j) {
        const T *k_nope = &a.k_nope.at<T>(j, h, 0), *k_rope = &a.k_rope.at<T>(j, 0), *v = &a.v.at<T>(j, h, 0);
        T *dk_nope = &a.dk_nope.at<T>(j, h, 0), *dk_rope = &a.dk_rope.at<T>(j, 0), *dv_j = &a.dv.at<T>(j, h, 0);
        const T p = exp(attention_score<T>(a, see.query, h, j) - lse);
        const T ds = p * (dot(d_o, v, dv) - D) * T(a.scale);
        for (int64_t i = 0; i < dv; ++i) dv_j[i] += p * d_o[i];
        for (int64_t i = 0; i < dn; ++i) {
          dq[i] += ds * k_nope[i];
          dk_nope[i] += ds * q[i];
        }
        for (int64_t i = 0; i < dr; ++i) {
          dq[dn + i] += ds * k_rope[i];
          dk_rope[i] += ds * q[dn + i];
        }
      }
    });
  }
}

}  // namespace ballast::ops::ref
