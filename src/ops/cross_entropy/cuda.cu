// cross_entropy on CUDA: one block a row. Forward reads a row once (running maximum and sum, merged by a fixed tree);
// with a gradient asked for, the block walks the row a second time right after, while it lies in L2.
#include <cuda_bf16.h>

#include "core/cuda_check.h"
#include "ops/cross_entropy/backends.h"
#include "ops/cross_entropy/running_sum.h"
#include "ops/cuda_kernel.cuh"

namespace ballast::ops::cuda {
namespace {

constexpr int kThreads = 512;

template <int N>
__device__ void load(const float* from, float (&to)[N]) {
  if constexpr (N == 4) {
    const float4 v = *reinterpret_cast<const float4*>(from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
  } else {
    to[0] = *from;
  }
}

template <int N>
__device__ void store(const float (&from)[N], float* to) {
  if constexpr (N == 4)
    *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
  else
    *to = from[0];
}

template <int N>
__device__ void store(const float (&from)[N], __nv_bfloat16* to) {
  if constexpr (N == 4) {
    __nv_bfloat162 pair[2] = {__floats2bfloat162_rn(from[0], from[1]), __floats2bfloat162_rn(from[2], from[3])};
    *reinterpret_cast<uint2*>(to) = *reinterpret_cast<const uint2*>(pair);
  } else {
    *to = __float2bfloat16_rn(from[0]);
  }
}

// A target out of range is a bug of the caller, as on the CPU: the launch fails.
__device__ int64_t checked_target(const int32_t* targets, int64_t t, int64_t vocab) {
  const int64_t target = targets[t];
  if (target < -1 || target >= vocab) __trap();
  return target;
}

// The block's sum and whether any thread voted, to every thread. The order of the merges is fixed.
__device__ void merge_block(RunningSum& total, bool& any) {
  __shared__ float2 sums[kThreads / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int offset = 16; offset > 0; offset /= 2) {
    RunningSum other;
    other.max = __shfl_down_sync(0xffffffff, total.max, offset);
    other.sum = __shfl_down_sync(0xffffffff, total.sum, offset);
    total.merge(other);
  }
  if (lane == 0) sums[warp] = {total.max, total.sum};
  any = __syncthreads_or(any);
  total = {sums[0].x, sums[0].y};
  for (int w = 1; w < kThreads / 32; ++w) total.merge({sums[w].x, sums[w].y});
}

// dlogits of one row; `z` and `dz` may be the same row. at_target: scale (p - 1), without cancellation.
template <int N, class S>
__device__ void gradient_row(const float* z, S* dz, int64_t vocab, int64_t target, float lse, float scale) {
  const RowPasses map{kThreads, N};
  const bool in_place = static_cast<const void*>(z) == static_cast<const void*>(dz);
  const float at_target = target < 0 ? 0.0f : scale * expm1f(z[target] - lse);
  if (in_place) __syncthreads();  // z[target] is read before anything is written
  for (int64_t pass = 0, passes = map.passes(vocab); pass < passes; ++pass) {
    const int64_t v = map.first(pass, threadIdx.x);
    float value[N] = {};
    if (v < vocab && target >= 0) {
      load(z + v, value);
      for (int i = 0; i < N; ++i) value[i] = v + i == target ? at_target : scale * expf(value[i] - lse);
    }
    if (in_place) __syncthreads();
    if (v < vocab) store(value, dz + v);
  }
}

// N logits at a time: N divides the width of a row. S is void where no gradient is asked for.
template <int N, class S>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(const float* logits, int64_t stride, const int32_t* targets, float* loss, float* lse,
                   int32_t* correct, int64_t vocab, const float* scale, S* dlogits, int64_t dlogits_stride) {
  const int64_t t = blockIdx.x, target = checked_target(targets, t, vocab);
  const float* z = logits + t * stride;
  const float at_target = target < 0 ? 0.0f : z[target];
  const RowPasses map{kThreads, N};
  RunningSum total;
  bool beaten = false;
  for (int64_t v = map.first(0, threadIdx.x); v < vocab; v += int64_t{kThreads} * N) {
    float value[N];
    load(z + v, value);
    total.add(value);
    for (int i = 0; i < N; ++i) beaten = beaten || value[i] > at_target || (value[i] == at_target && v + i < target);
  }
  merge_block(total, beaten);
  const double rest = log(double(total.sum));
  const float row_lse = static_cast<float>(double(total.max) + rest);
  if (threadIdx.x == 0) {
    lse[t] = row_lse;
    // Not lse - z: that would lose the digits of a small loss between large logits.
    loss[t] = target < 0 ? 0.0f : static_cast<float>(double(total.max) - double(at_target) + rest);
    if (correct) correct[t] = target >= 0 && !beaten && at_target == total.max;
  }
  if constexpr (!std::is_void_v<S>) gradient_row<N>(z, dlogits + t * dlogits_stride, vocab, target, row_lse, *scale);
}

template <int N, class S>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(const float* logits, int64_t stride, const int32_t* targets, const float* lse, const float* scale,
                    int64_t vocab, S* dlogits, int64_t dlogits_stride) {
  const int64_t t = blockIdx.x, target = checked_target(targets, t, vocab);
  gradient_row<N>(logits + t * stride, dlogits + t * dlogits_stride, vocab, target, lse[t], *scale);
}

// Every row starts at a multiple of four elements, and its width is one.
bool takes_four(const Tensor& t) {
  return !t ||
         (reinterpret_cast<uintptr_t>(t.data) % (4 * size_of(t.dtype)) == 0 && t.stride[0] % 4 == 0 && t[1] % 4 == 0);
}

// Calls f.operator()<N>() for the widest load that both tensors allow.
template <class F>
void dispatch_width(const Tensor& logits, const Tensor& dlogits, F&& f) {
  if (takes_four(logits) && takes_four(dlogits))
    f.template operator()<4>();
  else
    f.template operator()<1>();
}

}  // namespace

void cross_entropy_forward(Device& device, const CrossEntropyForward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const auto rows = static_cast<unsigned>(a.logits[0]);
  if (rows == 0) return;
  const auto launch = [&]<int N, class S>(S* dlogits) {
    forward_kernel<N, S><<<rows, kThreads, 0, stream>>>(
        a.logits.as<float>(), a.logits.stride[0], a.targets.as<int32_t>(), a.loss.as<float>(), a.lse.as<float>(),
        a.correct ? a.correct.as<int32_t>() : nullptr, a.logits[1], a.dlogits ? a.scale.as<float>() : nullptr, dlogits,
        a.dlogits.stride[0]);
  };
  dispatch_width(a.logits, a.dlogits, [&]<int N>() {
    if (!a.dlogits) return launch.template operator()<N, void>(nullptr);
    dispatch_device_storage("cross_entropy.forward", a.dlogits.dtype,
                            [&]<class S>() { launch.template operator()<N>(static_cast<S*>(a.dlogits.data)); });
  });
  CUDA_CHECK_LAUNCH();
}

void cross_entropy_backward(Device& device, const CrossEntropyBackward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const auto rows = static_cast<unsigned>(a.logits[0]);
  if (rows == 0) return;
  dispatch_width(a.logits, a.dlogits, [&]<int N>() {
    dispatch_device_storage("cross_entropy.backward", a.dlogits.dtype, [&]<class S>() {
      backward_kernel<N, S><<<rows, kThreads, 0, stream>>>(
          a.logits.as<float>(), a.logits.stride[0], a.targets.as<int32_t>(), a.lse.as<float>(), a.scale.as<float>(),
          a.logits[1], static_cast<S*>(a.dlogits.data), a.dlogits.stride[0]);
    });
  });
  CUDA_CHECK_LAUNCH();
}

}  // namespace ballast::ops::cuda
