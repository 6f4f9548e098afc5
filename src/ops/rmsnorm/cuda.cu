// rmsnorm on CUDA, bound by memory: a row is read once, 16 bytes at a time, into the registers of a team of threads (a
// warp up to 1024 columns, else a block), 32 elements a thread. f32 statistics by a fixed tree, so equal runs give
// equal bits. Backward, too, reads its inputs once: a team walks rows and keeps dweight's columns in registers; each
// block leaves its sum in a slice, and the slices are added in order.
#include <cuda_bf16.h>

#include <algorithm>

#include "core/cuda_check.h"
#include "ops/cuda_vector.cuh"
#include "ops/rmsnorm/backends.h"
#include "ops/sum_slices.cuh"
#include "ops/workspace_cuda.h"

namespace ballast::ops::cuda {
namespace {

constexpr int kThreads = 256, kHeld = 32, kWidest = kThreads * kHeld, kWarpWidest = 32 * kHeld;

// Blocks of the backward: two on each multiprocessor of an H200. A constant, so that the order in which dweight is
// summed does not depend on the device.
constexpr int kSlices = 264;

// The sum over a team, to each of its threads.
template <int kTeam>
__device__ float team_sum(float v) {
  if constexpr (kTeam == kThreads) {
    return block_sum<kThreads>(v);
  } else {
    for (int offset = kTeam / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffff, v, offset);
    return v;
  }
}

// A thread's part of a row: vector v has the columns from first(v) on.
template <class S, int N, int kTeam>
struct Part {
  static constexpr int kVectors = kHeld / N;
  int lane, width;
  __device__ int first(int v) const { return (v * kTeam + lane) * N; }
  // All loads are issued before the first is used.
  __device__ void load(const S* row, Vector<S, N> (&to)[kVectors]) const {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) to[v] = first(v) < width ? load_vector<S, N>(row + first(v)) : Vector<S, N>{};
  }
};

template <class S, int N, int kTeam>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(View<const S> x, View<const S> residual, const float* weight, float eps, View<S> sum, View<S> y,
                   float* rstd, int64_t rows, int width) {
  constexpr int kVectors = kHeld / N;
  const Part<S, N, kTeam> part{static_cast<int>(threadIdx.x % kTeam), width};
  const int64_t t = int64_t{blockIdx.x} * (kThreads / kTeam) + threadIdx.x / kTeam;
  if (t >= rows) return;
  Vector<S, N> s[kVectors], r[kVectors];
  part.load(&x(t, 0), s);
  if (residual.data) {
    part.load(&residual(t, 0), r);
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      float a[N], b[N];
      unpack<S>(s[v], a);
      unpack<S>(r[v], b);
      for (int i = 0; i < N; ++i) a[i] += b[i];
      s[v] = pack<S>(a);  // what is normalized is what is stored
      if (part.first(v) < width) store_vector<N>(&sum(t, part.first(v)), s[v]);
    }
  }
  float square = 0;
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    float a[N];
    unpack<S>(s[v], a);
    for (int i = 0; i < N; ++i) square += a[i] * a[i];
  }
  const float scale = rsqrtf(team_sum<kTeam>(square) / static_cast<float>(width) + eps);
  if (part.lane == 0) rstd[t] = scale;
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    if (part.first(v) >= width) continue;
    float a[N], w[N];
    unpack<S>(s[v], a);
    load_floats(weight + part.first(v), w);
    for (int i = 0; i < N; ++i) a[i] *= scale * w[i];
    store_vector<N>(&y(t, part.first(v)), pack<S>(a));
  }
}

// slices: (blocks, width), this block's part of dweight. dx may be dsum: a thread reads what it writes before it does.
template <class S, int N, int kTeam>
__global__ void __launch_bounds__(kThreads, N == 8 ? 2 : 1)
    backward_kernel(View<const S> dy, View<const S> s, const float* weight, const float* rstd, View<const S> dsum,
                    View<S> dx, float* slices, int64_t rows, int width) {
  constexpr int kVectors = kHeld / N, kTeams = kThreads / kTeam;
  const Part<S, N, kTeam> part{static_cast<int>(threadIdx.x % kTeam), width};
  const int team = threadIdx.x / kTeam;
  float dw[kVectors][N] = {};
  for (int64_t t = int64_t{blockIdx.x} * kTeams + team; t < rows; t += int64_t{gridDim.x} * kTeams) {
    Vector<S, N> in[kVectors], n[kVectors], residual[kVectors];
    part.load(&dy(t, 0), in);
    part.load(&s(t, 0), n);
    if (dsum.data) part.load(&dsum(t, 0), residual);
    const float scale = rstd[t];
    float g[kVectors][N], dot = 0;  // g = dy w
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      float a[N], w[N] = {};
      unpack<S>(in[v], g[v]);
      unpack<S>(n[v], a);
      if (part.first(v) < width) load_floats(weight + part.first(v), w);
      for (int i = 0; i < N; ++i) {
        a[i] *= scale;
        dw[v][i] += g[v][i] * a[i];
        g[v][i] *= w[i];
        dot += g[v][i] * a[i];
      }
    }
    const float mean = team_sum<kTeam>(dot) / static_cast<float>(width);
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      if (part.first(v) >= width) continue;
      float a[N], b[N] = {};
      unpack<S>(n[v], a);
      if (dsum.data) unpack<S>(residual[v], b);
      for (int i = 0; i < N; ++i) b[i] += scale * (g[v][i] - a[i] * scale * mean);
      store_vector<N>(&dx(t, part.first(v)), pack<S>(b));
    }
  }
  // The block's teams in order.
  __shared__ float columns[kTeams == 1 ? 1 : kWarpWidest];
  float* slice = slices + int64_t{blockIdx.x} * width;
  for (int turn = 0; turn < kTeams; ++turn) {
    if (team == turn) {
#pragma unroll
      for (int v = 0; v < kVectors; ++v)
        for (int i = 0, c = part.first(v); i < N && c < width; ++i, ++c) {
          if (turn > 0) dw[v][i] += columns[c];
          if (turn == kTeams - 1)
            slice[c] = dw[v][i];
          else
            columns[c] = dw[v][i];
        }
    }
    __syncthreads();
  }
}

// Calls f.operator()<N, kTeam>() for these views, rows of `width`.
template <class S, class F>
void dispatch_row(const char* op, int64_t width, std::initializer_list<Tensor> views, F&& f) {
  if (width > kWidest)
    fail(ErrorKind::unsupported, op, "the CUDA kernel takes up to {} columns, not {}", kWidest, width);
  dispatch_vector<S>(views, [&]<int N>() {
    if (width <= kWarpWidest)
      f.template operator()<N, 32>();
    else
      f.template operator()<N, kThreads>();
  });
}

int64_t blocks_of(int64_t rows, int team) { return (rows + kThreads / team - 1) / (kThreads / team); }

}  // namespace

void rmsnorm_forward(Device& device, const RmsNormForward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const int64_t rows = a.x[0], width = a.x[1];
  if (rows == 0) return;
  dispatch_device_storage("rmsnorm.forward", a.x.dtype, [&]<class S>() {
    dispatch_row<S>("rmsnorm.forward", width, {a.x, a.residual, a.weight, a.sum, a.y}, [&]<int N, int kTeam>() {
      forward_kernel<S, N, kTeam><<<static_cast<unsigned>(blocks_of(rows, kTeam)), kThreads, 0, stream>>>(
          view<const S>(a.x), view<const S>(a.residual), a.weight.as<float>(), static_cast<float>(a.eps),
          view<S>(a.sum), view<S>(a.y), a.rstd.as<float>(), rows, static_cast<int>(width));
    });
  });
  CUDA_CHECK_LAUNCH();
}

void rmsnorm_backward(Device& device, const RmsNormBackward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const int64_t rows = a.s[0], width = a.s[1];
  float* slices = device.state<Workspace>().take<float>("rmsnorm.backward", kSlices * width);
  int64_t blocks = 0;
  dispatch_device_storage("rmsnorm.backward", a.s.dtype, [&]<class S>() {
    dispatch_row<S>("rmsnorm.backward", width, {a.dy, a.s, a.weight, a.dsum, a.dx}, [&]<int N, int kTeam>() {
      blocks = std::min<int64_t>(kSlices, blocks_of(rows, kTeam));
      if (blocks == 0) return;
      backward_kernel<S, N, kTeam><<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(
          view<const S>(a.dy), view<const S>(a.s), a.weight.as<float>(), a.rstd.as<float>(), view<const S>(a.dsum),
          view<S>(a.dx), slices, rows, static_cast<int>(width));
    });
  });
  sum_slices(slices, static_cast<int>(blocks), width, a.dweight.as<float>(), a.accumulate_dweight, stream);
  CUDA_CHECK_LAUNCH();
}

}  // namespace ballast::ops::cuda
