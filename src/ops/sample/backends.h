// The CPU backend of sample; called by sample.cc alone, after check().
#pragma once

#include "ops/sample/sample.h"

namespace ballast::ops::cpu {

void sample(Device& device, const Sample& a);

}  // namespace ballast::ops::cpu
