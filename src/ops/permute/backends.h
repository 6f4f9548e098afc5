// The backends of permute; called by permute.cc alone, after check().
#pragma once

#include "ops/permute/permute.h"

namespace ballast::ops {

namespace cpu {
void permute_forward(Device& device, const PermuteForward& a);
void permute_backward(Device& device, const PermuteBackward& a);
}  // namespace cpu

namespace cuda {
void permute_forward(Device& device, const PermuteForward& a);
void permute_backward(Device& device, const PermuteBackward& a);
}  // namespace cuda

}  // namespace ballast::ops
