// The tensor cores' part of the router, played on the host: the fragments that the kernels load, multiplied by the layout
// that the PTX ISA gives for mma.m16n8k16, are the product; a float's three parts are the float.
#include "ops/route/fragment.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <set>
#include <vector>

#include "base/rng.h"

namespace ballast::ops {
namespace {

TEST(RouteFragment, ThreePartsAreTheFloat) {
  Rng rng(3);
  for (int i = 0; i < 10000; ++i) {
    const float v = static_cast<float>(rng.normal() * std::exp(20 * rng.normal()));
    float rest = v, sum = 0;
    std::array<float, kFloatParts> part{};
    for (float& p : part) {
      p = take_part(rest);
      EXPECT_EQ(bits_of(p) & 0xffffu, 0u) << "not a bf16";
    }
    for (int p = kFloatParts - 1; p >= 0; --p) sum += part[static_cast<size_t>(p)];
    EXPECT_EQ(rest, 0);
    EXPECT_EQ(sum, v);
  }
  float largest = std::numeric_limits<float>::max();
  EXPECT_TRUE(std::isfinite(take_part(largest)));
  for (float v : {INFINITY, -INFINITY, NAN, float_of(0x7f800001u)}) {
    float sum = 0;
    for (int p = 0; p < kFloatParts; ++p) sum += take_part(v);
    EXPECT_FALSE(std::isfinite(sum));
  }
}

TEST(RouteFragment, EveryPlaceOfAStepIsTakenOnce) {
  const FragmentMap map{100, 70};  // two blocks, four steps
  EXPECT_EQ(map.blocks(), 2);
  EXPECT_EQ(map.steps(), 4);
  std::set<int64_t> vectors;
  std::set<std::pair<int, int>> elements;
  for (int block = 0; block < map.blocks(); ++block)
    for (int step = 0; step < map.steps(); ++step)
      for (int tile = 0; tile < FragmentMap::kTiles; ++tile)
        for (int lane = 0; lane < 32; ++lane) {
          for (int p = 0; p < kFloatParts; ++p) vectors.insert(map.vector(block, step, p, tile, lane));
          elements.insert({block * FragmentMap::kColumns + FragmentMap::column(tile, lane),
                           step * FragmentMap::kDepth + FragmentMap::first_k(lane)});
        }
  EXPECT_EQ(vectors.size(), 2u * 4 * FragmentMap::kStepVectors);
  EXPECT_EQ(*vectors.rbegin(), 2 * 4 * FragmentMap::kStepVectors - 1);
  EXPECT_EQ(elements.size(), 128u * 128 / 8);
  EXPECT_EQ(elements.rbegin()->first, 127);
}

// PTX ISA, fragments of mma.m16n8k16 for .bf16: registers hold pairs of k.
using Pair = std::array<float, 2>;
struct Lane {
  Pair a[4], b[2];
  float c[4] = {};
};
void mma(std::vector<Lane>& lanes) {
  float a[16][16], b[16][8];
  for (int l = 0; l < 32; ++l)
    for (int i = 0; i < 2; ++i) {
      const int g = l / 4, k = l % 4 * 2 + i;
      a[g][k] = lanes[l].a[0][i], a[g + 8][k] = lanes[l].a[1][i];
      a[g][k + 8] = lanes[l].a[2][i], a[g + 8][k + 8] = lanes[l].a[3][i];
      b[k][g] = lanes[l].b[0][i], b[k + 8][g] = lanes[l].b[1][i];
    }
  for (int l = 0; l < 32; ++l)
    for (int i = 0; i < 4; ++i)
      for (int k = 0; k < 16; ++k) lanes[l].c[i] += a[l / 4 + i / 2 * 8][k] * b[k][l % 4 * 2 + i % 2];
}

TEST(RouteFragment, AStepOfMmaIsTheProduct) {
  Rng rng(4);
  float a[16][FragmentMap::kDepth], b[FragmentMap::kColumns][FragmentMap::kDepth];
  for (auto& row : a)
    for (float& v : row) v = static_cast<float>(rng.below(9)) - 4;
  for (auto& row : b)
    for (float& v : row) v = static_cast<float>(rng.below(9)) - 4;
  std::vector<std::vector<Lane>> tiles(FragmentMap::kTiles, std::vector<Lane>(32));
  for (int tile = 0; tile < FragmentMap::kTiles; ++tile)
    for (int half = 0; half < 2; ++half) {  // x, y of the vectors, then z, w
      for (int l = 0; l < 32; ++l) {
        const int k = FragmentMap::first_k(l) + 4 * half;
        const float* low = a[l / 4] + k;
        const float* high = a[l / 4 + 8] + k;
        const float* column = b[FragmentMap::column(tile, l)] + k;
        Lane& lane = tiles[tile][l];
        lane.a[0] = {low[0], low[1]}, lane.a[1] = {high[0], high[1]};
        lane.a[2] = {low[2], low[3]}, lane.a[3] = {high[2], high[3]};
        lane.b[0] = {column[0], column[1]}, lane.b[1] = {column[2], column[3]};
      }
      mma(tiles[tile]);
    }
  for (int l = 0; l < 32; ++l)
    for (int half = 0; half < 2; ++half)
      for (int column = 0; column < 16; ++column) {  // as Product::store walks them
        const int row = l / 4 + 8 * half, n = FragmentMap::first_column(column / 8, l) + column % 8;
        float want = 0;
        for (int k = 0; k < FragmentMap::kDepth; ++k) want += a[row][k] * b[n][k];
        EXPECT_EQ(tiles[column / 2][l].c[half * 2 + column % 2], want) << "row " << row << ", column " << n;
      }
}

}  // namespace
}  // namespace ballast::ops
