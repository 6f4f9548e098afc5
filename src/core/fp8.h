// FP8 weights as DeepSeek-V3 stores them: e4m3 codes, and one f32 scale per 128 x 128 block of a matrix; a value is
// code * scale. Here are the element type and the rule for a block's scale; formats/fp8_blocks.h has the matrices.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace ballast {

inline constexpr int64_t kFp8Block = 128;  // rows and columns of a block; those at the right and lower edge may be cut
inline constexpr float kE4m3Largest = 448;
inline constexpr float kE4m3SmallestNormal = 0x1p-6f;

// 8-bit float with 4 bits of exponent (bias 7) and 3 of significand (Micikevicius et al. 2022, arXiv 2209.05433, table
// 1, E4M3): no infinities, NaN is S.1111.111. Conversion from f32 rounds to nearest even and saturates at 448, as
// torch.float8_e4m3fn does (torch 2.15; earlier ones made NaN of what is too large).
struct e4m3 {
  uint8_t bits = 0;
  e4m3() = default;
  explicit e4m3(float f) {
    const uint32_t u = std::bit_cast<uint32_t>(f), magnitude = u & 0x7fffffff;
    uint32_t code;
    if (magnitude >= std::bit_cast<uint32_t>(kE4m3Largest)) {
      code = magnitude > 0x7f800000 ? 0x7f : 0x7e;  // NaN stays NaN
    } else if (magnitude < std::bit_cast<uint32_t>(kE4m3SmallestNormal)) {
      // Multiples of 2^-9, the last place of 2^14 in f32: the addition rounds.
      code = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0x1p14f) - std::bit_cast<uint32_t>(0x1p14f);
    } else {
      code = ((magnitude + 0x7ffff + (magnitude >> 20 & 1)) >> 20) - (120 << 3);  // 120: difference of the biases
    }
    bits = static_cast<uint8_t>(u >> 24 & 0x80 | code);
  }
  explicit operator float() const {
    const uint32_t sign = uint32_t{bits & 0x80u} << 24, code = bits & 0x7f;
    if (code == 0x7f) return std::bit_cast<float>(sign | 0x7fc00000);
    if (code >= 8) return std::bit_cast<float>(sign | (code + (120 << 3)) << 20);
    const float subnormal = static_cast<float>(code) * 0x1p-9f;
    return sign ? -subnormal : subnormal;
  }
};

// The scale of a block whose largest magnitude is `largest`: DeepSeek-V3's (section 3.3.2 of arXiv 2412.19437, and
// act_quant in inference/kernel.py). A block of zeros gets 1: theirs would be 0, and its codes 0/0; so does one so
// small that its scale would not be a normal number.
constexpr float fp8_block_scale(float largest) {
  const float scale = largest / kE4m3Largest;
  return scale >= std::numeric_limits<float>::min() ? scale : 1.0f;
}

}  // namespace ballast
