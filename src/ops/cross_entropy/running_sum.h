// The sum of exponentials in one pass: sum = Σ exp(z - max) over what was added so far, rescaled whenever the maximum
// grows (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"). NaN and +inf end as NaN, as in
// ref.h.
#pragma once

#include <cmath>

#include "ops/math.h"

namespace ballast::ops {

struct RunningSum {
  float max = -INFINITY;
  float sum = 0;

  // Before anything finite came, the shift is 0, not -inf: exp(-inf - -inf) would be NaN for a masked logit.
  BALLAST_HD float shift() const { return max == -INFINITY ? 0.0f : max; }

  BALLAST_HD void raise(float to) {
    if (!(to > max)) return;
    sum *= expf(max - to);
    max = to;
  }

  template <int N>
  BALLAST_HD void add(const float (&z)[N]) {
    float top = z[0];
    for (int i = 1; i < N; ++i) top = fmaxf(top, z[i]);
    raise(top);
    const float s = shift();
    for (int i = 0; i < N; ++i) sum += expf(z[i] - s);
  }

  BALLAST_HD void merge(RunningSum other) {
    raise(other.max);
    sum += other.sum * expf(other.max - shift());  // exp(-inf) is 0: an empty part adds 0 * 0
  }
};

// Where a pass over a row stands: `threads` threads take `vector` neighbours each, then the next threads * vector. A
// gradient of half the size may lie in the logits' own row: what pass p writes at 2 bytes an element lies below 4 bytes
// an element of pass p + 1 and, but for pass 0, of pass p; a barrier between the reads and the writes of each pass is
// enough.
struct RowPasses {
  int threads, vector;
  BALLAST_HD int64_t passes(int64_t width) const {
    const int64_t step = int64_t{threads} * vector;
    return (width + step - 1) / step;
  }
  BALLAST_HD int64_t first(int64_t pass, int thread) const { return (pass * threads + thread) * vector; }
};

}  // namespace ballast::ops
