// The backends of rmsnorm; called by rmsnorm.cc alone, after check().
#pragma once

#include "ops/rmsnorm/rmsnorm.h"

namespace ballast::ops {

namespace cpu {
void rmsnorm_forward(Device& device, const RmsNormForward& a);
void rmsnorm_backward(Device& device, const RmsNormBackward& a);
}  // namespace cpu

namespace cuda {
void rmsnorm_forward(Device& device, const RmsNormForward& a);
void rmsnorm_backward(Device& device, const RmsNormBackward& a);
}  // namespace cuda

}  // namespace ballast::ops
