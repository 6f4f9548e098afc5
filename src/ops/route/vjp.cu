// route on CUDA, backward: the logits' gradient by one warp a row; dx by the f32 product of product.cuh; dweight, whose
// sum runs over the tokens, by blocks that share the tokens and leave their sums in slices, added in order.
#include <cuda_bf16.h>

#include <algorithm>

#include "core/cuda_check.h"
#include "ops/route/backends.h"
#include "ops/route/product.cuh"
#include "ops/sum_slices.cuh"
#include "ops/workspace_cuda.h"

namespace ballast::ops::cuda {
namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr unsigned kAll = 0xffffffff;

__device__ float warp_sum(float v) {
  for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(kAll, v, offset);
  return v;
}

// One warp a row (route/ref.h has the formulas).
__global__ void __launch_bounds__(kThreads)
    dlogits_kernel(RouteConfig config, const float* scores, const int32_t* ids, const float* dweights,
                   const float* dscores, float* dlogits, int rows, int experts) {
  extern __shared__ float shared[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, k = config.experts_per_token;
  const int64_t t = int64_t{blockIdx.x} * kWarps + warp;
  if (t >= rows) return;
  float* ds = shared + warp * experts;
  const float* s = scores + t * experts;
  for (int e = lane; e < experts; e += 32) ds[e] = dscores ? dscores[t * experts + e] : 0.0f;
  const bool routed = ids[t * k] >= 0;
  float sum = 0, dot = 0;
  for (int j = lane; j < k && routed; j += 32) {
    const float score = s[ids[t * k + j]];
    sum += score;
    dot += dweights[t * k + j] * score;
  }
  sum = warp_sum(sum);
  dot = warp_sum(dot);
  const bool dead = !routed || sum == 0;
  const float scale = static_cast<float>(config.scale), z = sum + 1e-20f;
  const bool normalize = config.normalize && k > 1;
  __syncwarp();
  for (int j = lane; j < k && !dead; j += 32) {
    const float dw = dweights[t * k + j];
    ds[ids[t * k + j]] += normalize ? scale / z * (dw - dot / z) : scale * dw;
  }
  __syncwarp();
  float mean = 0;
  if (config.score == Score::softmax) {
    for (int e = lane; e < experts; e += 32) mean += ds[e] * s[e];
    mean = warp_sum(mean);
  }
  for (int e = lane; e < experts; e += 32) {
    const float dz = config.score == Score::sigmoid ? ds[e] * s[e] * (1 - s[e]) : s[e] * (ds[e] - mean);
    dlogits[t * experts + e] = dead ? 0.0f : dz;
  }
}

// Four 8 x 8 matrices of bf16, each transposed: lane l gives the address of row l % 8 of matrix l / 8, and gets of each
// the elements (2 (l % 4), l / 4) and (2 (l % 4) + 1, l / 4).
__device__ void load_transposed(const uint16_t* row, unsigned (&to)[4]) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
               : "memory");
}

// dweight (E, D) = dlogits^T (E, T) x (T, D): a block has 64 experts, 128 columns and a run of tiles of tokens. A tile
// goes to shared memory as bf16 parts, token by token, and is transposed when fragments are loaded; the next one's
// loads fly meanwhile. Sums of a tile are added to the total, as in product.cuh.
template <class S, bool kAligned>
struct OuterProduct {
  static constexpr int kExperts = 64, kColumns = 128, kTokens = 32;
  static constexpr int kParts = kPartsOf<S>;
  static constexpr int kPad = 8;  // elements: rows of a tile start in different banks
  struct Tile {
    uint16_t dz[kFloatParts][kTokens][kExperts + kPad];
    uint16_t x[kParts][kTokens][kColumns + kPad];
  };
  struct Ahead {  // this thread's part of the next tile
    Eight<float> dz[kTokens * kExperts / 8 / kThreads];
    Eight<S> x[kTokens * kColumns / 8 / kThreads];
  };
  using Sums = float[2][4][4];  // a warp's 2 x 16 experts, 4 x 8 columns

  View<const float> dz;
  View<const S> x;
  float* slices;
  int rows, width, experts, tiles, tiles_per_slice;

  __device__ void load(Ahead& to, int tile) const {
    const int first = tile * kTokens;
    constexpr int kDz = kExperts / 8, kX = kColumns / 8;  // of a row
#pragma unroll
    for (int i = 0; i < kTokens * kDz / kThreads; ++i) {
      const int at = i * kThreads + threadIdx.x;
      to.dz[i].template load<kAligned>(dz, first + at / kDz, blockIdx.y * kExperts + at % kDz * 8, rows, experts);
    }
#pragma unroll
    for (int i = 0; i < kTokens * kX / kThreads; ++i) {
      const int at = i * kThreads + threadIdx.x;
      to.x[i].template load<kAligned>(x, first + at / kX, blockIdx.x * kColumns + at % kX * 8, rows, width);
    }
  }
  __device__ static void keep(const Ahead& from, Tile& tile) {
    constexpr int kDz = kExperts / 8, kX = kColumns / 8;
#pragma unroll
    for (int i = 0; i < kTokens * kDz / kThreads; ++i) {
      const int at = i * kThreads + threadIdx.x;
      uint4 part[kFloatParts];
      from.dz[i].split(part);
#pragma unroll
      for (int p = 0; p < kFloatParts; ++p) *reinterpret_cast<uint4*>(&tile.dz[p][at / kDz][at % kDz * 8]) = part[p];
    }
#pragma unroll
    for (int i = 0; i < kTokens * kX / kThreads; ++i) {
      const int at = i * kThreads + threadIdx.x;
      uint4 part[kParts];
      from.x[i].split(part);
#pragma unroll
      for (int p = 0; p < kParts; ++p) *reinterpret_cast<uint4*>(&tile.x[p][at / kX][at % kX * 8]) = part[p];
    }
  }
  // Where a warp's experts and columns start in the block's.
  __device__ static int first_expert() { return threadIdx.x / 32 % 2 * 32; }
  __device__ static int first_column() { return threadIdx.x / 64 * 32; }

  __device__ static void multiply_tile(const Tile& tile, Sums& sum) {
    const int lane = threadIdx.x % 32, row = lane % 8, upper = lane / 8 % 2 * 8, last = lane / 16 * 8;
#pragma unroll
    for (int k = 0; k < kTokens; k += 16) {
      unsigned b[kParts][2][4];  // two tiles of 8 columns each: their k and k + 8
#pragma unroll
      for (int p = 0; p < kParts; ++p)
#pragma unroll
        for (int n = 0; n < 2; ++n)
          load_transposed(&tile.x[p][k + upper + row][first_column() + n * 16 + last], b[p][n]);
#pragma unroll
      for (int j = kFloatParts - 1; j >= 0; --j)  // the smallest first
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          unsigned a[4];  // experts g and g + 8 at k, then at k + 8
          load_transposed(&tile.dz[j][k + last + row][first_expert() + m * 16 + upper], a);
#pragma unroll
          for (int i = kParts - 1; i >= 0; --i) {
            if (!counts(i, j)) continue;
#pragma unroll
            for (int n = 0; n < 4; ++n)
              multiply(sum[m][n], a[0], a[1], a[2], a[3], b[i][n / 2][n % 2 * 2], b[i][n / 2][n % 2 * 2 + 1]);
          }
        }
    }
  }
  __device__ void store(const Sums& sum) const {
    const int lane = threadIdx.x % 32;
    float* slice = slices + int64_t{blockIdx.z} * experts * width;
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int n = 0; n < 4; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int e = blockIdx.y * kExperts + first_expert() + m * 16 + i / 2 * 8 + lane / 4;
          const int c = blockIdx.x * kColumns + first_column() + n * 8 + lane % 4 * 2 + i % 2;
          if (e < experts && c < width) slice[int64_t{e} * width + c] = sum[m][n][i];
        }
  }
  __device__ void run(Tile& tile) const {
    const int begin = blockIdx.z * tiles_per_slice, end = min(begin + tiles_per_slice, tiles);
    Ahead ahead;
    Sums total = {};
    load(ahead, begin);
    for (int i = begin; i < end; ++i) {
      keep(ahead, tile);
      __syncthreads();
      if (i + 1 < end) load(ahead, i + 1);
      Sums sum = {};
      multiply_tile(tile, sum);
#pragma unroll
      for (int m = 0; m < 2; ++m)
#pragma unroll
        for (int n = 0; n < 4; ++n)
          for (int j = 0; j < 4; ++j) total[m][n][j] += sum[m][n][j];
      __syncthreads();
    }
    store(total);
  }
};

template <class S, bool kAligned>
__global__ void __launch_bounds__(kThreads, kAligned && sizeof(S) == 2 ? 2 : 1)
    dweight_kernel(OuterProduct<S, kAligned> product) {
  __shared__ typename OuterProduct<S, kAligned>::Tile tile;
  product.run(tile);
}

template <class S, bool kAligned>
void dweight(const RouteBackward& a, Device& device, cudaStream_t stream) {
  using Outer = OuterProduct<S, kAligned>;
  const int64_t rows = a.x[0], width = a.x[1], experts = a.weight[0], size = experts * width;
  const auto blocks = [](int64_t n, int64_t each) { return (n + each - 1) / each; };
  // About two blocks on each multiprocessor of an H200; a function of the shape alone, so that the order of the sums
  // is.
  const int64_t columns = blocks(width, Outer::kColumns), groups = blocks(experts, Outer::kExperts);
  const int64_t tiles = blocks(rows, Outer::kTokens);
  const int64_t per_slice = std::max<int64_t>(1, blocks(tiles, std::max<int64_t>(1, 264 / (columns * groups))));
  const int64_t slices = blocks(tiles, per_slice);
  float* parts = device.state<Workspace>().take<float>("route.backward", slices * size);
  if (slices > 0)
    dweight_kernel<S, kAligned>
        <<<dim3(static_cast<unsigned>(columns), static_cast<unsigned>(groups), static_cast<unsigned>(slices)), kThreads,
           0, stream>>>(Outer{view<const float>(a.dlogits), view<const S>(a.x), parts, static_cast<int>(rows),
                              static_cast<int>(width), static_cast<int>(experts), static_cast<int>(tiles),
                              static_cast<int>(per_slice)});
  sum_slices(parts, static_cast<int>(slices), size, a.dweight.as<float>(), a.accumulate_dweight, stream);
}

template <class T>
T* pointer(const Tensor& t) {
  return static_cast<T*>(t.data);
}

}  // namespace

void route_backward(Device& device, const RouteBackward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const int rows = static_cast<int>(a.x[0]), experts = static_cast<int>(a.weight[0]);
  if (rows > 0) {
    dlogits_kernel<<<(rows + kWarps - 1) / kWarps, kThreads, kWarps * experts * sizeof(float), stream>>>(
        a.config, pointer<const float>(a.scores), pointer<const int32_t>(a.ids), pointer<const float>(a.dweights),
        pointer<const float>(a.dscores), pointer<float>(a.dlogits), rows, experts);
    uint4* fragments = device.state<Workspace>().take<uint4>("route.backward", fragment_vectors(a.x[1], experts));
    dispatch_device_storage("route.backward", a.x.dtype, [&]<class S>() {
      product<true, float, S>(a.dlogits, a.weight.as<float>(), 1, a.weight.stride[0], a.dx, fragments, stream);
    });
  }
  dispatch_device_storage("route.backward", a.x.dtype, [&]<class S>() {
    if (takes_vectors(a.dlogits) && takes_vectors(a.x))
      dweight<S, true>(a, device, stream);
    else
      dweight<S, false>(a, device, stream);
  });
  CUDA_CHECK_LAUNCH();
}

}  // namespace ballast::ops::cuda
