// The definition of linear, forward and vjp.
#pragma once

#include "ops/linear/linear.h"

namespace ballast::ops::ref {

template <class T>
void linear_forward(const LinearForward& a) {
  const int64_t rows = a.x[0], width = a.x[1], outputs = a.weight[0];
  for (int64_t t = 0; t < rows; ++t) {
    const T* x = &a.x.at<T>(t, 0);
    for (int64_t n = 0; n < outputs; ++n) {
      const T* w = &a.weight.at<T>(n, 0);
      T sum = a.accumulate ? a.y.at<T>(t, n) : T(0);
      for (int64_t k = 0; k < width; ++k) sum += x[k] * w[k];
      a.y.at<T>(t, n) = sum;
    }
  }
}

// dx = dy W,  dW = dy^T x.
template <class T>
void linear_backward(const LinearBackward& a) {
  const int64_t rows = a.dy[0], outputs = a.dy[1];
  for (int64_t t = 0; t < rows && a.dx; ++t) {
    T* dx = &a.dx.at<T>(t, 0);
    for (int64_t k = 0; k < a.dx[1] && !a.accumulate_dx; ++k) dx[k] = T(0);
    for (int64_t n = 0; n < outputs; ++n) {
      const T dy = a.dy.at<T>(t, n), *w = &a.weight.at<T>(n, 0);
      for (int64_t k = 0; k < a.dx[1]; ++k) dx[k] += dy * w[k];
    }
  }
  for (int64_t n = 0; n < outputs && a.dweight; ++n) {
    T* dw = &a.dweight.at<T>(n, 0);
    for (int64_t k = 0; k < a.dweight[1] && !a.accumulate_dweight; ++k) dw[k] = T(0);
    for (int64_t t = 0; t < rows; ++t) {
      const T dy = a.dy.at<T>(t, n), *x = &a.x.at<T>(t, 0);
      for (int64_t k = 0; k < a.dweight[1]; ++k) dw[k] += dy * x[k];
    }
  }
}

}  // namespace ballast::ops::ref
