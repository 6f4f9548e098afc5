// The backends of cross_entropy; called by cross_entropy.cc alone, after check().
#pragma once

#include "ops/cross_entropy/cross_entropy.h"

namespace ballast::ops {

namespace cpu {
void cross_entropy_forward(Device& device, const CrossEntropyForward& a);
void cross_entropy_backward(Device& device, const CrossEntropyBackward& a);
}  // namespace cpu

namespace cuda {
void cross_entropy_forward(Device& device, const CrossEntropyForward& a);
void cross_entropy_backward(Device& device, const CrossEntropyBackward& a);
}  // namespace cuda

}  // namespace ballast::ops
