// What the CUDA kernels share: views, storage conversion, fixed-order block reductions.
#pragma once

#include <cuda_bf16.h>

#include <type_traits>

#include "ops/op.h"

namespace ballast::ops::cuda {

// A 2-D view whose innermost stride is 1.
template <class S>
struct View {
  S* data;
  int64_t stride;
  __device__ S& operator()(int64_t row, int64_t column) const { return data[row * stride + column]; }
};

template <class S>
View<S> view(const Tensor& t) {
  return {static_cast<S*>(t.data), t.stride[0]};
}

__device__ inline float to_float(float v) { return v; }
__device__ inline float to_float(__nv_bfloat16 v) { return __bfloat162float(v); }
template <class S> __device__ inline S from_float(float v) {
  if constexpr (std::is_same_v<S, float>) return v;
  else return __float2bfloat16_rn(v);
}

// dispatch_storage with the device's bf16.
template <class F>
void dispatch_device_storage(const char* op, DType t, F&& f) {
  switch (t) {
    case DType::f32: return f.template operator()<float>();
    case DType::bf16: return f.template operator()<__nv_bfloat16>();
    default: fail(ErrorKind::unsupported, op, "no kernel for dtype {}", name_of(t));
  }
}

// Sum over a block of N threads (a multiple of 32), returned to every thread. The order is fixed.
template <int N>
__device__ float block_sum(float v) {
  __shared__ float warp[N / 32];
  for (int offset = 16; offset > 0; offset /= 2) v += __shfl_down_sync(0xffffffff, v, offset);
  if (threadIdx.x % 32 == 0) warp[threadIdx.x / 32] = v;
  __syncthreads();
  float total = 0;
  for (int i = 0; i < N / 32; ++i) total += warp[i];
  __syncthreads();
  return total;
}

}  // namespace ballast::ops::cuda
