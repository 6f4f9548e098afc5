// How the router's products run on tensor cores in f32: the parts of a number, and which lane holds which element.
// Apart from the threads, so that a test plays the multiplication on the host.
//
// A warp multiplies by mma.m16n8k16 (PTX ISA, "Matrix Fragments for mma.m16n8k16"): lane 4 g + q holds, of the
// product's k, the pairs (2q, 2q + 1) and (2q + 8, 2q + 9), of A's rows g and g + 8, of B's column g, of C's columns
// 2q, 2q + 1. Which k of ours is called which k of the instruction does not matter as long as A and B agree, nor do B's
// columns:
//  - a lane's pairs of two instructions are 8 consecutive k of ours: 16 bytes of bf16;
//  - a lane's columns of four tiles of C are 8 consecutive columns of ours.
#pragma once

#include "ops/float_bits.h"

namespace ballast::ops {

// A float is the sum of three bf16, exactly: each takes the upper 8 bits of what is left, so no part can overflow.
// (What lies below the smallest bf16 is lost. Of an infinity, part 1 is NaN: the row is non-finite either way.)
constexpr int kFloatParts = 3;
BALLAST_HD inline float take_part(float& rest) {
  const float part = float_of(bits_of(rest) & 0xffff0000u);
  rest -= part;
  return part;
}
// Products of parts i and j are computed for i + j < 3; those left out are at most 2^-21 of the whole.
BALLAST_HD constexpr bool counts(int i, int j) { return i + j < kFloatParts; }

// B (N x K) cut into blocks of 64 columns, those into steps of 32 k; a step holds, part by part, 8 tiles of 8 columns.
struct FragmentMap {
  static constexpr int kColumns = 64, kDepth = 32, kTiles = kColumns / 8;
  static constexpr int kStepVectors = kFloatParts * kTiles * 32;  // of 8 bf16
  int n, k;
  BALLAST_HD int blocks() const { return (n + kColumns - 1) / kColumns; }
  BALLAST_HD int steps() const { return (k + 2 * kDepth - 1) / (2 * kDepth) * 2; }  // even: they are taken in pairs
  BALLAST_HD int64_t vector(int block, int step, int part, int tile, int lane) const {
    return (int64_t{block} * steps() + step) * kStepVectors + (part * kTiles + tile) * 32 + lane;
  }
  // Of a block: the column that a lane holds of a tile of B; the first of the eight that it holds of four tiles of C.
  BALLAST_HD static int column(int tile, int lane) {
    const int g = lane / 4;
    return tile / 4 * 32 + g / 2 * 8 + tile % 4 * 2 + g % 2;
  }
  BALLAST_HD static int first_column(int four, int lane) { return four * 32 + lane % 4 * 8; }
  // Of a step: the first of the eight k that a lane holds, of A and of B.
  BALLAST_HD static int first_k(int lane) { return lane % 4 * 8; }
};

}  // namespace ballast::ops
