// The bits of a float and back, on the host and on the device.
#pragma once

#include <bit>

#include "ops/math.h"

namespace ballast::ops {

BALLAST_HD inline uint32_t bits_of(float v) {
#ifdef __CUDA_ARCH__
  return __float_as_uint(v);
#else
  return std::bit_cast<uint32_t>(v);
#endif
}
BALLAST_HD inline float float_of(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

}  // namespace ballast::ops
