// The backends of attention; called by attention.cc alone, after check().
#pragma once

#include "ops/attention/attention.h"

namespace ballast::ops::cpu {

void attention_forward(Device& device, const AttentionForward& a);
void attention_backward(Device& device, const AttentionBackward& a);

}  // namespace ballast::ops::cpu
