// The CPU backend of sqnorm; called by sqnorm.cc alone, after check().
#pragma once

#include "ops/sqnorm/sqnorm.h"

namespace ballast::ops::cpu {

void squared_norm(Device& device, const SquaredNorm& a);

}  // namespace ballast::ops::cpu
