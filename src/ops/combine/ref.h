// The definition of combine, forward and vjp.
#pragma once

#include "ops/combine/combine.h"

namespace ballast::ops::ref {

template <class T>
void combine_forward(const CombineForward& a) {
  const int64_t width = a.y[1], slots = a.row_of[1];
  for (int64_t t = 0; t < a.y[0]; ++t) {
    for (int64_t i = 0; i < width; ++i) {
      T sum = a.base ? a.base.at<T>(t, i) : T(0);
      for (int64_t k = 0; k < slots; ++k) {
        const int32_t row = a.row_of.at<int32_t>(t, k);
        if (row >= 0) sum += a.weights.at<T>(t, k) * a.rows.at<T>(row, i);
      }
      a.y.at<T>(t, i) = sum;
    }
  }
}

// drows[row_of[t,k]] = weights[t,k] dy[t],  dweights[t,k] = dy[t] . rows[row_of[t,k]].
template <class T>
void combine_backward(const CombineBackward& a) {
  const int64_t width = a.dy[1], slots = a.row_of[1], used = a.offs.at<int32_t>(a.offs[0] - 1);
  for (int64_t t = 0; t < a.dy[0]; ++t) {
    for (int64_t k = 0; k < slots; ++k) {
      const int32_t row = a.row_of.at<int32_t>(t, k);
      T dot(0);
      for (int64_t i = 0; i < width && row >= 0; ++i) dot += a.dy.at<T>(t, i) * a.rows.at<T>(row, i);
      a.dweights.at<T>(t, k) = dot;
    }
  }
  for (int64_t row = 0; row < used; ++row) {
    const int64_t slot = a.slot_of.at<int32_t>(row);
    for (int64_t i = 0; i < width; ++i)
      a.drows.at<T>(row, i) =
          slot < 0 ? T(0) : a.weights.at<T>(slot / slots, slot % slots) * a.dy.at<T>(slot / slots, i);
  }
}

}  // namespace ballast::ops::ref
