// The definition of cross_entropy, forward and vjp.
#pragma once

#include "ops/cross_entropy/cross_entropy.h"
#include "ops/math.h"

namespace ballast::ops::ref {

template <class T>
void cross_entropy_forward(const CrossEntropyForward& a) {
  using std::exp, std::log;
  const int64_t vocab = a.logits[1];
  for (int64_t t = 0; t < a.logits[0]; ++t) {
    int64_t best = 0;
    for (int64_t v = 1; v < vocab; ++v)
      if (real_part(a.logits.at<T>(t, v)) > real_part(a.logits.at<T>(t, best))) best = v;
    const T shift(real_part(a.logits.at<T>(t, best)));
    T sum(0);
    for (int64_t v = 0; v < vocab; ++v) sum += exp(a.logits.at<T>(t, v) - shift);
    const T lse = a.lse.at<T>(t) = shift + log(sum);
    const int64_t target = a.targets.at<int32_t>(t);
    CHECK(target >= -1 && target < vocab);
    a.loss.at<T>(t) = target < 0 ? T(0) : lse - a.logits.at<T>(t, target);
    if (a.correct) a.correct.at<int32_t>(t) = best == target;
  }
}

// dlogits = scale (softmax(logits) - onehot(target)).
template <class T>
void cross_entropy_backward(const CrossEntropyBackward& a) {
  using std::exp;
  const T scale = a.scale.at<T>(0);
  for (int64_t t = 0; t < a.logits[0]; ++t) {
    const int64_t target = a.targets.at<int32_t>(t);
    for (int64_t v = 0; v < a.logits[1]; ++v) {
      const T p = exp(a.logits.at<T>(t, v) - a.lse.at<T>(t));
      a.dlogits.at<T>(t, v) = target < 0 ? T(0) : scale * (p - T(v == target ? 1 : 0));
    }
  }
}

}  // namespace ballast::ops::ref
