// The CPU backend of add_bias; called by add_bias.cc alone, after check().
#pragma once

#include "ops/add_bias/add_bias.h"

namespace ballast::ops::cpu {

void add_bias_forward(Device& device, const AddBiasForward& a);
void add_bias_backward(Device& device, const AddBiasBackward& a);

}  // namespace ballast::ops::cpu
