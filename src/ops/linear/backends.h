// The backends of linear; called by linear.cc alone, after check().
#pragma once

#include "ops/linear/linear.h"

namespace ballast::ops {

namespace cpu {
void linear_forward(Device& device, const LinearForward& a);
void linear_backward(Device& device, const LinearBackward& a);
}  // namespace cpu

namespace cuda {
void linear_forward(Device& device, const LinearForward& a);
void linear_backward(Device& device, const LinearBackward& a);
}  // namespace cuda

}  // namespace ballast::ops
