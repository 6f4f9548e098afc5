// The definition of swiglu, forward and vjp.
#pragma once

#include "ops/math.h"
#include "ops/swiglu/swiglu.h"

namespace ballast::ops::ref {

// Calls row(t) for the rows of the groups and padding(t) for the rows between them; without offs, row(t) for all.
template <class Row, class Padding>
void for_each_ragged_row(int64_t rows, const Tensor& offs, const Tensor& count, Row&& row, Padding&& padding) {
  if (!offs) {
    for (int64_t t = 0; t < rows; ++t) row(t);
    return;
  }
  for (int64_t e = 0; e < count[0]; ++e) {
    const int64_t begin = offs.at<int32_t>(e), end = offs.at<int32_t>(e + 1), used = begin + count.at<int32_t>(e);
    for (int64_t t = begin; t < used; ++t) row(t);
    for (int64_t t = used; t < end; ++t) padding(t);
  }
}

template <class T>
void swiglu_forward(const SwigluForward& a) {
  const int64_t width = a.h[1];
  for_each_ragged_row(
      a.h[0], a.offs, a.count,
      [&](int64_t t) {
        for (int64_t i = 0; i < width; ++i)
          a.h.at<T>(t, i) = silu(a.gate_up.at<T>(t, i)) * a.gate_up.at<T>(t, width + i);
      },
      [&](int64_t t) {
        for (int64_t i = 0; i < width; ++i) a.h.at<T>(t, i) = T(0);
      });
}

// dgate = dh up silu'(gate),  dup = dh silu(gate).
template <class T>
void swiglu_backward(const SwigluBackward& a) {
  const int64_t width = a.dh[1];
  for_each_ragged_row(
      a.dh[0], a.offs, a.count,
      [&](int64_t t) {
        for (int64_t i = 0; i < width; ++i) {
          const T gate = a.gate_up.at<T>(t, i), up = a.gate_up.at<T>(t, width + i), dh = a.dh.at<T>(t, i);
          a.dgate_up.at<T>(t, i) = dh * up * silu_derivative(gate);
          a.dgate_up.at<T>(t, width + i) = dh * silu(gate);
        }
      },
      [&](int64_t t) {
        for (int64_t i = 0; i < 2 * width; ++i) a.dgate_up.at<T>(t, i) = T(0);
      });
}

}  // namespace ballast::ops::ref
