// The definition of adamw.
#pragma once

#include "ops/adamw/adamw.h"
#include "ops/math.h"

namespace ballast::ops::ref {

template <class T>
void adamw(const AdamW& a) {
  using std::sqrt;
  if (a.skip.as<int32_t>()[0] != 0) return;
  const T* hyper = a.hyper.as<T>();
  const T lr = hyper[0], grad_scale = hyper[1], bias1 = hyper[2], bias2 = hyper[3];
  const T beta1(a.beta1), beta2(a.beta2), eps(a.eps), decay(a.weight_decay);
  for (int64_t i = 0; i < a.master.size(); ++i) {
    const T g = a.grad.as<T>()[i] * grad_scale;
    T& m = a.m.as<T>()[i];
    T& v = a.v.as<T>()[i];
    T& p = a.master.as<T>()[i];
    m = beta1 * m + (T(1) - beta1) * g;
    v = beta2 * v + (T(1) - beta2) * g * g;
    p -= lr * (m / bias1 / (sqrt(v / bias2) + eps) + decay * p);
    if (a.param) a.param.as<T>()[i] = p;
  }
}

}  // namespace ballast::ops::ref
