// The definition of permute, forward and vjp.
#pragma once

#include "ops/permute/permute.h"

namespace ballast::ops::ref {

// Groups in expert order, rows of a group in token order, each group padded with zero rows to a multiple of align.
template <class T>
void permute_forward(const PermuteForward& a) {
  const int64_t tokens = a.ids[0], k = a.ids[1], width = a.x[1], experts = a.out.experts();
  int32_t* offs = a.out.offs.as<int32_t>();
  int32_t* count = a.out.count.as<int32_t>();
  for (int64_t e = 0; e < experts; ++e) count[e] = 0;
  const auto local = [&](int64_t slot) {  // index in the range, or -1
    const int32_t id = a.ids.as<int32_t>()[slot];
    return id >= a.expert_begin && id < a.expert_end ? id - a.expert_begin : -1;
  };
  for (int64_t slot = 0; slot < tokens * k; ++slot)
    if (local(slot) >= 0) ++count[local(slot)];
  offs[0] = 0;
  for (int64_t e = 0; e < experts; ++e)
    offs[e + 1] = offs[e] + (count[e] + a.out.align - 1) / a.out.align * a.out.align;
  for (int64_t e = 0; e < experts; ++e) {
    int32_t row = offs[e];
    for (int64_t slot = 0; slot < tokens * k; ++slot) {
      if (local(slot) != e) continue;
      a.row_of.as<int32_t>()[slot] = row;
      a.slot_of.as<int32_t>()[row] = static_cast<int32_t>(slot);
      for (int64_t i = 0; i < width; ++i) a.out.rows.at<T>(row, i) = a.x.at<T>(slot / k, i);
      ++row;
    }
    for (; row < offs[e + 1]; ++row) {
      a.slot_of.as<int32_t>()[row] = -1;
      for (int64_t i = 0; i < width; ++i) a.out.rows.at<T>(row, i) = T(0);
    }
  }
  for (int64_t slot = 0; slot < tokens * k; ++slot)
    if (local(slot) < 0) a.row_of.as<int32_t>()[slot] = -1;
}

template <class T>
void permute_backward(const PermuteBackward& a) {
  const int64_t tokens = a.row_of[0], k = a.row_of[1], width = a.dx[1];
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < width; ++i) {
      T sum = a.accumulate ? a.dx.at<T>(t, i) : T(0);
      for (int64_t j = 0; j < k; ++j)
        if (const int32_t row = a.row_of.at<int32_t>(t, j); row >= 0) sum += a.drows.at<T>(row, i);
      a.dx.at<T>(t, i) = sum;
    }
  }
}

}  // namespace ballast::ops::ref
