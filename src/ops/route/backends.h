// The backends of route; called by route.cc alone, after check().
#pragma once

#include "ops/route/route.h"

namespace ballast::ops {

namespace cpu {
void route_forward(Device& device, const RouteForward& a);
void route_backward(Device& device, const RouteBackward& a);
}  // namespace cpu

namespace cuda {
void route_forward(Device& device, const RouteForward& a);
void route_backward(Device& device, const RouteBackward& a);
}  // namespace cuda

}  // namespace ballast::ops
