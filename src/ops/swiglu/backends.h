// The CPU backend of swiglu; called by swiglu.cc alone, after check().
#pragma once

#include "ops/swiglu/swiglu.h"

namespace ballast::ops::cpu {

void swiglu_forward(Device& device, const SwigluForward& a);
void swiglu_backward(Device& device, const SwigluBackward& a);

}  // namespace ballast::ops::cpu
