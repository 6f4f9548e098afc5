// Element types. f32 and bf16 are what devices store and compute in; f64 and c128 exist for Device::ref (oracle and
// complex-step gradients); integers carry ids, offsets and counts.
#pragma once

#include <bit>
#include <complex>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/error.h"

namespace ballast {

enum class DType : uint8_t { f32, bf16, f64, c128, i32, i64 };

// Brain float: the upper half of an f32. Conversion from f32 rounds to nearest even; NaN stays NaN.
struct bf16 {
  uint16_t bits = 0;
  bf16() = default;
  explicit bf16(float f) {
    const uint32_t u = std::bit_cast<uint32_t>(f);
    bits = (u & 0x7fffffff) > 0x7f800000 ? static_cast<uint16_t>(u >> 16 | 0x40)
                                         : static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
};

constexpr size_t size_of(DType t) {
  constexpr size_t sizes[] = {4, 2, 8, 16, 4, 8};
  return sizes[static_cast<int>(t)];
}
constexpr const char* name_of(DType t) {
  constexpr const char* names[] = {"f32", "bf16", "f64", "c128", "i32", "i64"};
  return names[static_cast<int>(t)];
}
constexpr bool is_floating(DType t) { return t != DType::i32 && t != DType::i64; }

template <class T> constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  else if constexpr (std::is_same_v<T, bf16>) return DType::bf16;
  else if constexpr (std::is_same_v<T, double>) return DType::f64;
  else if constexpr (std::is_same_v<T, std::complex<double>>) return DType::c128;
  else if constexpr (std::is_same_v<T, int32_t>) return DType::i32;
  else {
    static_assert(std::is_same_v<T, int64_t>, "no such dtype");
    return DType::i64;
  }
}

}  // namespace ballast
