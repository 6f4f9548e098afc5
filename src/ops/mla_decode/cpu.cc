#include "ops/mla_decode/backends.h"

namespace ballast::ops::cpu {

void mla_decode(Device& device, const MlaDecode&) { unsupported("mla_decode", device); }

}  // namespace ballast::ops::cpu
