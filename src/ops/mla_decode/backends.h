// The backends of mla_decode; called by mla_decode.cc alone, after check().
#pragma once

#include "ops/mla_decode/mla_decode.h"

namespace ballast::ops::cpu {

void mla_decode(Device& device, const MlaDecode& a);

}  // namespace ballast::ops::cpu
