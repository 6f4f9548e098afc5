// The backends of adamw; called by adamw.cc alone, after check().
#pragma once

#include "ops/adamw/adamw.h"

namespace ballast::ops {

namespace cpu {
void adamw(Device& device, const AdamW& a);
}
namespace cuda {
void adamw(Device& device, const AdamW& a);
}

}  // namespace ballast::ops
