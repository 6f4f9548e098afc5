// The definition of squared_norm and clip_scale.
#pragma once

#include <algorithm>

#include "ops/math.h"
#include "ops/sqnorm/sqnorm.h"

namespace ballast::ops::ref {

template <class T>
void squared_norm(const SquaredNorm& a) {
  T sum(0);
  for (int64_t i = 0; i < a.x[0]; ++i) sum += a.x.at<T>(i) * a.x.at<T>(i);
  a.out.at<T>(0) = a.accumulate ? a.out.at<T>(0) + sum : sum;
}

// A step that is skipped gets grad_scale 0.
template <class T>
void clip_scale(const ClipScale& a) {
  const double norm = std::sqrt(real_part(a.squared_norm.at<T>(0)));
  const bool skip = !std::isfinite(norm) || a.nonfinite.at<int32_t>(0) != 0;
  const double scale = a.max_norm > 0 ? std::min(1.0, a.max_norm / (norm + 1e-6)) : 1.0;
  a.norm.at<T>(0) = T(norm);
  a.grad_scale.at<T>(0) = T(skip ? 0.0 : scale);
  a.skip.at<int32_t>(0) = skip;
}

}  // namespace ballast::ops::ref
