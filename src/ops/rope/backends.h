// The CPU backend of rope; called by rope.cc alone, after check().
#pragma once

#include "ops/rope/rope.h"

namespace ballast::ops::cpu {

void rope(Device& device, const Rope& a);

}  // namespace ballast::ops::cpu
