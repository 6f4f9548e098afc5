// The definition of rope. Positions and frequencies are data, not variables: the angle is taken in double whatever T
// is.
#pragma once

#include "ops/math.h"
#include "ops/rope/rope.h"

namespace ballast::ops::ref {

template <class T>
void rope(const Rope& a) {
  const int64_t tokens = a.x[0], heads = a.x[1], pairs = a.x[2] / 2;
  for (int64_t t = 0; t < tokens; ++t) {
    const double position = a.positions.at<int32_t>(t);
    for (int64_t i = 0; i < pairs; ++i) {
      const double angle = position * real_part(a.inv_freq.at<T>(i)) * (a.inverse ? -1 : 1);
      const T c(a.factor * std::cos(angle)), s(a.factor * std::sin(angle));
      for (int64_t h = 0; h < heads; ++h) {
        T& even = a.x.at<T>(t, h, 2 * i);
        T& odd = a.x.at<T>(t, h, 2 * i + 1);
        const T turned = even * c - odd * s;
        odd = even * s + odd * c;
        even = turned;
      }
    }
  }
}

}  // namespace ballast::ops::ref
