// The CPU backend of combine; called by combine.cc alone, after check().
#pragma once

#include "ops/combine/combine.h"

namespace ballast::ops::cpu {

void combine_forward(Device& device, const CombineForward& a);
void combine_backward(Device& device, const CombineBackward& a);

}  // namespace ballast::ops::cpu
