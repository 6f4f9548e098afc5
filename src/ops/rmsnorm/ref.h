// The definition of rmsnorm, forward and vjp.
#pragma once

#include "ops/math.h"
#include "ops/rmsnorm/rmsnorm.h"

namespace ballast::ops::ref {

template <class T>
void rmsnorm_forward(const RmsNormForward& a) {
  using std::sqrt;
  const int64_t rows = a.x[0], width = a.x[1];
  for (int64_t t = 0; t < rows; ++t) {
    T square(0);
    for (int64_t i = 0; i < width; ++i) {
      T s = a.x.at<T>(t, i);
      if (a.residual) a.sum.at<T>(t, i) = s = s + a.residual.at<T>(t, i);
      square += s * s;
    }
    const T rstd = T(1) / sqrt(square / T(double(width)) + T(a.eps));
    a.rstd.at<T>(t) = rstd;
    for (int64_t i = 0; i < width; ++i) {
      const T s = a.residual ? a.sum.at<T>(t, i) : a.x.at<T>(t, i);
      a.y.at<T>(t, i) = s * rstd * a.weight.at<T>(i);
    }
  }
}

// With n = s * rstd:  ds = rstd * (dy w - n mean(dy w n)) + dsum,  dweight = sum over t of dy n.
template <class T>
void rmsnorm_backward(const RmsNormBackward& a) {
  const int64_t rows = a.s[0], width = a.s[1];
  for (int64_t i = 0; i < width && !a.accumulate_dweight; ++i) a.dweight.at<T>(i) = T(0);
  for (int64_t t = 0; t < rows; ++t) {
    const T rstd = a.rstd.at<T>(t);
    T mean(0);
    for (int64_t i = 0; i < width; ++i) {
      const T n = a.s.at<T>(t, i) * rstd, dy = a.dy.at<T>(t, i);
      mean += dy * a.weight.at<T>(i) * n;
      a.dweight.at<T>(i) += dy * n;
    }
    mean /= T(double(width));
    for (int64_t i = 0; i < width; ++i) {
      const T n = a.s.at<T>(t, i) * rstd;
      const T residual = a.dsum ? a.dsum.at<T>(t, i) : T(0);
      a.dx.at<T>(t, i) = residual + rstd * (a.dy.at<T>(t, i) * a.weight.at<T>(i) - n * mean);
    }
  }
}

}  // namespace ballast::ops::ref
