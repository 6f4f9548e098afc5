// What a router decides for random rows, and what known mistakes of other programs would make of it.
#pragma once

#include "core/device.h"
#include "inspect/weight_statistics.h"
#include "ops/route/route.h"

namespace ballast {

struct RouterProbe {
  double bf16_flip = 0;            // share of rows whose experts change with the bias rounded to bf16
  double centered_bf16_flip = 0;   // the same after the bias's mean is subtracted
  double zero_mask_flip = 0;       // ... when excluded groups are masked by 0 and not by -inf
  double lowest_choice = 0;        // min(s + b)
  double biased_weight_error = 0;  // mean over slots of |w' - w| / w, w' made of s + b instead of s
};

// Rows: normal, of root mean square 1, times `norm` (D), the weight of the norm before the gate. The router has a gate
// and a bias, all finite. f32, and the same on every machine but for the last digits of products.
RouterProbe probe_router(Device& device, const ops::RouteConfig& route, const Router& router,
                         const std::vector<float>& norm, int64_t rows);

}  // namespace ballast
