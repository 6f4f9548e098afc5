// The backends of grouped_linear; called by grouped_linear.cc alone, after check().
#pragma once

#include "ops/grouped_linear/grouped_linear.h"

namespace ballast::ops::cpu {

void grouped_linear_forward(Device& device, const GroupedLinearForward& a);
void grouped_linear_backward(Device& device, const GroupedLinearBackward& a);

}  // namespace ballast::ops::cpu
