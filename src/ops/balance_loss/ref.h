// The definition of balance_loss, forward and vjp.
#pragma once

#include <vector>

#include "ops/balance_loss/balance_loss.h"
#include "ops/math.h"

namespace ballast::ops::ref {

inline bool row_counts(const Tensor& valid, int64_t t) { return !valid || valid.at<int32_t>(t) != 0; }

inline int64_t rows_that_count(const Tensor& offs, const Tensor& valid, int64_t segment) {
  int64_t n = 0;
  for (int64_t t = offs.at<int32_t>(segment); t < offs.at<int32_t>(segment + 1); ++t) n += row_counts(valid, t);
  return n;
}

inline int64_t segments_that_count(const Tensor& offs, const Tensor& valid) {
  int64_t n = 0;
  for (int64_t s = 0; s + 1 < offs[0]; ++s) n += rows_that_count(offs, valid, s) > 0;
  return n;
}

// Is e among the K largest of score(0) ... score(E-1), the lower id first among equals?
template <class F>
bool in_top_k(F&& score, int64_t experts, int64_t e, int64_t k) {
  int64_t better = 0;
  for (int64_t j = 0; j < experts; ++j) better += score(j) > score(e) || (score(j) == score(e) && j < e);
  return better < k;
}

// What the scores of row t are divided by: s' = s / score_sum.
template <class T>
T score_sum(Score kind, const Tensor& scores, int64_t t) {
  if (kind == Score::softmax) return T(1);
  T sum(1e-20);
  for (int64_t e = 0; e < scores[1]; ++e) sum += scores.at<T>(t, e);
  return sum;
}

template <class T>
void balance_loss_forward(const BalanceLossForward& a) {
  const int64_t experts = a.scores[1], segments = a.offs[0] - 1, counted = segments_that_count(a.offs, a.valid);
  T loss(0);
  for (int64_t s = 0; s < segments; ++s) {
    std::vector<int64_t> chosen(experts, 0);
    std::vector<T> mean(experts, T(0));
    const int64_t rows = rows_that_count(a.offs, a.valid, s);
    for (int64_t t = a.offs.at<int32_t>(s); t < a.offs.at<int32_t>(s + 1); ++t) {
      if (!row_counts(a.valid, t)) continue;
      const T sum = score_sum<T>(a.score, a.scores, t);
      const auto score = [&](int64_t e) { return real_part(a.scores.at<T>(t, e)); };
      for (int64_t e = 0; e < experts; ++e) {
        chosen[e] += in_top_k(score, experts, e, a.experts_per_token);
        mean[e] += a.scores.at<T>(t, e) / sum / T(double(rows));
      }
    }
    int64_t tokens = rows;
    if (a.running) {
      for (int64_t e = 0; e < experts; ++e) chosen[e] = a.running.at<int64_t>(e) += chosen[e];
      tokens = a.running.at<int64_t>(experts) += rows;
    }
    for (int64_t e = 0; e < experts; ++e) {
      const double f =
          tokens == 0 ? 0 : double(experts) * double(chosen[e]) / (double(a.experts_per_token) * double(tokens));
      a.f.at<T>(s, e) = T(f);
      if (rows > 0) loss += T(f) * mean[e];
    }
  }
  a.loss.at<T>(0) = counted == 0 ? T(0) : T(a.alpha / double(counted)) * loss;
}

// With g = alpha dloss / (segments * T_s):  softmax ds = g f;  sigmoid ds = g / sum(s) * (f - sum over m of f_m s'_m).
template <class T>
void balance_loss_backward(const BalanceLossBackward& a) {
  const int64_t experts = a.scores[1], segments = a.offs[0] - 1, counted = segments_that_count(a.offs, a.valid);
  for (int64_t t = 0; t < a.scores[0] && !a.accumulate; ++t)
    for (int64_t e = 0; e < experts; ++e) a.dscores.at<T>(t, e) = T(0);
  for (int64_t s = 0; s < segments; ++s) {
    const int64_t rows = rows_that_count(a.offs, a.valid, s);
    for (int64_t t = a.offs.at<int32_t>(s); t < a.offs.at<int32_t>(s + 1); ++t) {
      if (!row_counts(a.valid, t)) continue;
      const T sum = score_sum<T>(a.score, a.scores, t);
      T mean(0);
      for (int64_t e = 0; e < experts && a.score == Score::sigmoid; ++e)
        mean += a.f.at<T>(s, e) * a.scores.at<T>(t, e) / sum;
      const T g = T(a.alpha / double(counted * rows)) * a.dloss.at<T>(0) / sum;
      for (int64_t e = 0; e < experts; ++e) a.dscores.at<T>(t, e) += g * (a.f.at<T>(s, e) - mean);
    }
  }
}

}  // namespace ballast::ops::ref
