// The definition of add_bias, forward and vjp.
#pragma once

#include "ops/add_bias/add_bias.h"

namespace ballast::ops::ref {

template <class T>
void add_bias_forward(const AddBiasForward& a) {
  for (int64_t t = 0; t < a.x[0]; ++t)
    for (int64_t n = 0; n < a.x[1]; ++n) a.y.at<T>(t, n) = a.x.at<T>(t, n) + a.bias.at<T>(n);
}

template <class T>
void add_bias_backward(const AddBiasBackward& a) {
  for (int64_t n = 0; n < a.dy[1]; ++n) {
    T sum = a.accumulate ? a.dbias.at<T>(n) : T(0);
    for (int64_t t = 0; t < a.dy[0]; ++t) sum += a.dy.at<T>(t, n);
    a.dbias.at<T>(n) = sum;
  }
}

}  // namespace ballast::ops::ref
