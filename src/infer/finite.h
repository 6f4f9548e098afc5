// What is made of NaN is no result: how the engine sees it, and what it says then.
#pragma once

#include <string_view>

#include "model/params.h"

namespace ballast {

// Whether a contiguous tensor of f32 or f64 in host memory holds neither NaN nor infinity.
bool all_finite(const Tensor& t);

// Throws Error{format} naming the first bias of a router that is not finite: the router's logits would not show it.
void check_router_biases(const ParamStore& params);

// Throws Error{format}: "DIR: model.layers.1.mlp.gate.weight holds NaN or infinity ...", the first such weight in
// memory. Where there is none, it says that `what` ("a router's logits") is not finite. Reads all weights, seconds for
// a large model.
[[noreturn]] void fail_not_finite(const ParamStore& params, std::string_view what);

}  // namespace ballast
