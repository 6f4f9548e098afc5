// Products with an f32 matrix on tensor cores, as good as f32: both sides are split into bf16 parts (fragment.h), whose
// products are exact; sums are f32, kept apart for every 64 k and then added, because the tensor cores' own additions
// truncate. The order of every sum depends on the shape of B alone, so a row's result does not depend on the other
// rows.
#pragma once

#include "ops/cuda_vector.cuh"
#include "ops/route/fragment.h"

namespace ballast::ops::cuda {
namespace {

// How many bf16 parts an element has.
template <class S>
constexpr int kPartsOf = sizeof(S) == 2 ? 1 : kFloatParts;

// Eight consecutive elements of a row, as they come from memory; zero beyond the view. Loading and splitting are apart,
// so that the loads of the next step fly while this one is multiplied.
template <class S>
struct Eight {
  static constexpr int kVectors = sizeof(S) / 2;
  uint4 raw[kVectors];

  // kAligned: rows start at 16 bytes and hold whole vectors of them.
  template <bool kAligned>
  __device__ void load(const View<const S>& from, int row, int column, int rows, int columns) {
    constexpr int kEach = 8 / kVectors;
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const int first = column + v * kEach;
      raw[v] = uint4{};
      if (row >= rows || first >= columns) continue;
      if constexpr (kAligned) {
        raw[v] = load_vector<S, kEach>(&from(row, first));
      } else {
        float value[kEach];
#pragma unroll
        for (int i = 0; i < kEach; ++i) value[i] = first + i < columns ? to_float(from(row, first + i)) : 0.0f;
        raw[v] = pack<S>(value);
      }
    }
  }

  __device__ void split(uint4 (&part)[kPartsOf<S>]) const {
    if constexpr (sizeof(S) == 2) {
      part[0] = raw[0];
    } else {
      float low[4], high[4];
      unpack<float>(raw[0], low);
      unpack<float>(raw[1], high);
      float rest[8] = {low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]};
      split_floats(rest, part);
    }
  }
  __device__ static void split_floats(float (&rest)[8], uint4 (&part)[kFloatParts]) {
#pragma unroll
    for (int p = 0; p < kFloatParts; ++p) {
      unsigned word[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float low = take_part(rest[2 * i]), high = take_part(rest[2 * i + 1]);
        word[i] = __byte_perm(__float_as_uint(low), __float_as_uint(high), 0x7632);  // their upper halves
      }
      part[p] = make_uint4(word[0], word[1], word[2], word[3]);
    }
  }
};

__device__ inline void multiply(float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                                unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

__device__ inline void copy_async(void* shared, const void* global) {
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(shared))),
      "l"(global));
}
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;"); }
template <int kPending>
__device__ void await_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

constexpr int kSplitThreads = 256;

// B's fragments, from f32 at b[n * n_stride + k * k_stride]. One thread splits eight k of one column.
__global__ void __launch_bounds__(kSplitThreads)
    fragments_kernel(const float* b, int64_t n_stride, int64_t k_stride, FragmentMap map, uint4* fragments) {
  const int64_t i = int64_t{blockIdx.x} * kSplitThreads + threadIdx.x;
  const int lane = i % 32, tile = i / 32 % FragmentMap::kTiles;
  const int64_t rest = i / (32 * FragmentMap::kTiles);
  const int step = rest % map.steps(), block = rest / map.steps();
  if (block >= map.blocks()) return;
  const int n = block * FragmentMap::kColumns + FragmentMap::column(tile, lane);
  const int k = step * FragmentMap::kDepth + FragmentMap::first_k(lane);
  float value[8];
  for (int j = 0; j < 8; ++j) value[j] = n < map.n && k + j < map.k ? b[n * n_stride + (k + j) * k_stride] : 0.0f;
  uint4 part[kFloatParts];
  Eight<float>::split_floats(value, part);
  for (int p = 0; p < kFloatParts; ++p) fragments[map.vector(block, step, p, tile, lane)] = part[p];
}

// A warp takes up to 250 registers: a multiprocessor has one block of eight, or two of six that share it.
template <bool kAdd>
constexpr int kProductWarps = kAdd ? 6 : 8;
template <bool kAdd>
constexpr int kProductBlocks = kAdd ? 2 : 1;

// out (rows, n) = (kAdd ? out : 0) + a (rows, k) times B's fragments. A warp has kTiles times 16 rows and a block's 64
// columns; B's steps go round in shared memory, three ahead, A's are in registers, one
// or two ahead.
// kWidth: elements of `out` at a time; 1 if `a` or `out` is not aligned.
template <class A, class Out, bool kAdd, int kTiles, int kWidth>
struct Product {
  static constexpr int kTogether =
      4;  // tiles of columns whose sums are independent: a product waits for the one before
  static constexpr int kWarps = kProductWarps<kAdd>, kThreads = 32 * kWarps;
  static constexpr int kRows = kWarps * 16 * kTiles, kStages = 4;
  static constexpr int kParts = kPartsOf<A>, kAhead = kParts == 1 ? 2 : 1;
  static constexpr bool kAligned = kWidth > 1;
  // What is added to is a gradient of rows, whose k are experts: few enough for one sum.
  static constexpr bool kManySums = !kAdd;
  using Map = FragmentMap;

  View<const A> a;
  const uint4* fragments;
  View<Out> out;
  Map map;
  int rows;

  struct Step {
    Eight<A> half[kTiles][2];  // rows g and g + 8
  };
  using Parts = uint4[kTiles][2][kParts];
  using Sums = float[kTiles][Map::kTiles][4];

  __device__ int row(int tile, int half) const {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    return static_cast<int>(blockIdx.y) * kRows + (warp * kTiles + tile) * 16 + half * 8 + lane / 4;
  }
  __device__ void load(Step& s, int step) const {
    const int k = step * Map::kDepth + Map::first_k(threadIdx.x % 32);
#pragma unroll
    for (int t = 0; t < kTiles; ++t)
#pragma unroll
      for (int h = 0; h < 2; ++h) s.half[t][h].template load<kAligned>(a, row(t, h), k, rows, map.k);
  }
  __device__ void fetch(uint4* stage, int step) const {
    static_assert(Map::kStepVectors % kThreads == 0);
    const uint4* from = fragments + map.vector(blockIdx.x, step, 0, 0, 0) + threadIdx.x;
    if (step < map.steps()) {
#pragma unroll
      for (int i = 0; i < Map::kStepVectors; i += kThreads) copy_async(stage + threadIdx.x + i, from + i);
    }
    commit_copies();  // an empty group, too, keeps the count
  }
  __device__ static void split(const Step& s, Parts& part) {
#pragma unroll
    for (int t = 0; t < kTiles; ++t)
#pragma unroll
      for (int h = 0; h < 2; ++h) s.half[t][h].split(part[t][h]);
  }
  __device__ static void multiply_step(const Parts& part, const uint4* stage, Sums& sum) {
#pragma unroll
    for (int j = kFloatParts - 1; j >= 0; --j)  // the smallest first
#pragma unroll
      for (int first = 0; first < Map::kTiles; first += kTogether) {
        uint4 b[kTogether];
#pragma unroll
        for (int n = 0; n < kTogether; ++n) b[n] = stage[(j * Map::kTiles + first + n) * 32 + threadIdx.x % 32];
#pragma unroll
        for (int i = kParts - 1; i >= 0; --i) {
          if (!counts(i, j)) continue;
#pragma unroll
          for (int n = 0; n < kTogether; ++n)
#pragma unroll
            for (int t = 0; t < kTiles; ++t)
              multiply(sum[t][first + n], part[t][0][i].x, part[t][1][i].x, part[t][0][i].y, part[t][1][i].y, b[n].x,
                       b[n].y);
#pragma unroll
          for (int n = 0; n < kTogether; ++n)
#pragma unroll
            for (int t = 0; t < kTiles; ++t)
              multiply(sum[t][first + n], part[t][0][i].z, part[t][1][i].z, part[t][0][i].w, part[t][1][i].w, b[n].z,
                       b[n].w);
        }
      }
  }
  __device__ void store(const Sums& sum) const {
    const int first = blockIdx.x * Map::kColumns;
#pragma unroll
    for (int t = 0; t < kTiles; ++t)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int r = row(t, h);
#pragma unroll
        for (int column = 0; column < 16; column += kWidth) {  // of this lane's: eight of tiles 0-3, eight of 4-7
          const int c = first + Map::first_column(column / 8, threadIdx.x % 32) + column % 8;
          if (r >= rows || c >= map.n) continue;
          float value[kWidth] = {};
          if (kAdd) unpack<Out>(load_vector<Out, kWidth>(&out(r, c)), value);
#pragma unroll
          for (int i = 0; i < kWidth; ++i) value[i] += sum[t][(column + i) / 2][h * 2 + (column + i) % 2];
          store_vector<kWidth>(&out(r, c), pack<Out>(value));
        }
      }
  }
  __device__ void run(uint4* stages) const {
    const auto stage = [&](int step) { return stages + step % kStages * Map::kStepVectors; };
    Step ahead[kAhead];
    Sums total = {};
#pragma unroll
    for (int s = 0; s < kStages - 1; ++s) fetch(stage(s), s);
#pragma unroll
    for (int s = 0; s < kAhead; ++s) load(ahead[s], s);
    for (int pair = 0; pair < map.steps(); pair += 2) {
      Sums part = {};
      Sums& sum = kManySums ? part : total;
#pragma unroll kAhead
      for (int i = 0; i < 2; ++i) {
        const int step = pair + i;
        await_copies<kStages - 2>();
        __syncthreads();  // the step is here for all, and all have left the one before
        fetch(stage(step + kStages - 1), step + kStages - 1);
        Parts now;
        split(ahead[i % kAhead], now);
        load(ahead[i % kAhead], step + kAhead);
        multiply_step(now, stage(step), sum);
      }
      if constexpr (kManySums) {
#pragma unroll
        for (int t = 0; t < kTiles; ++t)
#pragma unroll
          for (int n = 0; n < Map::kTiles; ++n)
            for (int i = 0; i < 4; ++i) total[t][n][i] += part[t][n][i];
      }
    }
    await_copies<0>();
    store(total);
  }
};

template <class A, class Out, bool kAdd, int kTiles, int kWidth>
__global__ void __launch_bounds__(32 * kProductWarps<kAdd>, kProductBlocks<kAdd>)
    product_kernel(Product<A, Out, kAdd, kTiles, kWidth> product) {
  __shared__ uint4 stages[product.kStages * FragmentMap::kStepVectors];
  product.run(stages);
}

// out = (kAdd ? out : 0) + a B^T for B in f32 with these strides; `fragments` is room for B's.
template <bool kAdd, class A, class Out>
void product(const Tensor& a, const float* b, int64_t n_stride, int64_t k_stride, const Tensor& out, uint4* fragments,
             cudaStream_t stream) {
  const FragmentMap map{static_cast<int>(out[1]), static_cast<int>(a[1])};
  const int64_t threads = int64_t{map.blocks()} * map.steps() * FragmentMap::kTiles * 32;
  fragments_kernel<<<static_cast<unsigned>((threads + kSplitThreads - 1) / kSplitThreads), kSplitThreads, 0, stream>>>(
      b, n_stride, k_stride, map, fragments);
  const auto launch = [&]<int kWidth>() {
    constexpr int kTiles = sizeof(A) == 2 ? 2 : 1;  // an f32 row takes three times the registers
    using P = Product<A, Out, kAdd, kTiles, kWidth>;
    const dim3 grid(static_cast<unsigned>(map.blocks()), static_cast<unsigned>((a[0] + P::kRows - 1) / P::kRows));
    product_kernel<A, Out, kAdd, kTiles, kWidth>
        <<<grid, P::kThreads, 0, stream>>>(P{view<const A>(a), fragments, view<Out>(out), map, static_cast<int>(a[0])});
  };
  if (takes_vectors(a) && takes_vectors(out))
    launch.template operator()<16 / sizeof(Out)>();
  else
    launch.template operator()<1>();
}

// What `fragments` of a product with an (n, k) matrix takes, in vectors of 16 bytes.
inline int64_t fragment_vectors(int64_t n, int64_t k) {
  const FragmentMap map{static_cast<int>(n), static_cast<int>(k)};
  return int64_t{map.blocks()} * map.steps() * FragmentMap::kStepVectors;
}

}  // namespace
}  // namespace ballast::ops::cuda
