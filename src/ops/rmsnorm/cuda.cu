// rmsnorm on CUDA: one block a row; f32 statistics by a fixed tree, so equal runs give equal bits. dweight is summed
// per block of rows into a slot each and the slots in order.
#include <cuda_bf16.h>

#include "core/cuda_check.h"
#include "ops/cuda_kernel.cuh"
#include "ops/rmsnorm/backends.h"

namespace ballast::ops::cuda {
namespace {

constexpr int kThreads = 256;

template <class S>
__global__ void forward_kernel(View<const S> x, View<const S> residual, const float* weight, float eps, View<S> sum,
                               View<S> y, float* rstd, int64_t width) {
  const int64_t t = blockIdx.x;
  float square = 0;
  for (int64_t i = threadIdx.x; i < width; i += kThreads) {
    float s = to_float(x(t, i));
    if (residual.data) {
      sum(t, i) = from_float<S>(s + to_float(residual(t, i)));
      s = to_float(sum(t, i));
    }
    square += s * s;
  }
  const float r = rsqrtf(block_sum<kThreads>(square) / static_cast<float>(width) + eps);
  if (threadIdx.x == 0) rstd[t] = r;
  for (int64_t i = threadIdx.x; i < width; i += kThreads) {
    const float s = to_float(residual.data ? sum(t, i) : x(t, i));
    y(t, i) = from_float<S>(s * r * weight[i]);
  }
}

template <class S>
__global__ void dx_kernel(View<const S> dy, View<const S> s, const float* weight, const float* rstd, View<const S> dsum,
                          View<S> dx, int64_t width) {
  const int64_t t = blockIdx.x;
  const float r = rstd[t];
  float dot = 0;
  for (int64_t i = threadIdx.x; i < width; i += kThreads)
    dot += to_float(dy(t, i)) * weight[i] * (to_float(s(t, i)) * r);
  const float mean = block_sum<kThreads>(dot) / static_cast<float>(width);
  for (int64_t i = threadIdx.x; i < width; i += kThreads) {
    const float n = to_float(s(t, i)) * r;
    const float residual = dsum.data ? to_float(dsum(t, i)) : 0.0f;
    dx(t, i) = from_float<S>(residual + r * (to_float(dy(t, i)) * weight[i] - n * mean));
  }
}

// One thread a column, all rows in order: deterministic without scratch. dweight is 1/T of the op's traffic.
template <class S>
__global__ void dweight_kernel(View<const S> dy, View<const S> s, const float* rstd, float* dweight, bool accumulate,
                               int64_t rows, int64_t width) {
  __shared__ float partial[8][33];
  const int64_t i = int64_t{blockIdx.x} * 32 + threadIdx.x;
  float sum = 0;
  for (int64_t t = threadIdx.y; t < rows && i < width; t += 8)
    sum += to_float(dy(t, i)) * (to_float(s(t, i)) * rstd[t]);
  partial[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && i < width) {
    float total = accumulate ? dweight[i] : 0.0f;
    for (int k = 0; k < 8; ++k) total += partial[k][threadIdx.x];
    dweight[i] = total;
  }
}

}  // namespace

void rmsnorm_forward(Device& device, const RmsNormForward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  dispatch_device_storage("rmsnorm.forward", a.x.dtype, [&]<class S>() {
    forward_kernel<S><<<static_cast<unsigned>(a.x[0]), kThreads, 0, stream>>>(
        view<const S>(a.x), view<const S>(a.residual), a.weight.as<float>(), static_cast<float>(a.eps), view<S>(a.sum),
        view<S>(a.y), a.rstd.as<float>(), a.x[1]);
  });
  CUDA_CHECK_LAUNCH();
}

void rmsnorm_backward(Device& device, const RmsNormBackward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const int64_t rows = a.s[0], width = a.s[1];
  dispatch_device_storage("rmsnorm.backward", a.s.dtype, [&]<class S>() {
    // dweight first: dx may alias dy's neighbours but never dy or s.
    dweight_kernel<S><<<static_cast<unsigned>((width + 31) / 32), dim3(32, 8), 0, stream>>>(
        view<const S>(a.dy), view<const S>(a.s), a.rstd.as<float>(), a.dweight.as<float>(), a.accumulate_dweight, rows,
        width);
    dx_kernel<S><<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(
        view<const S>(a.dy), view<const S>(a.s), a.weight.as<float>(), a.rstd.as<float>(), view<const S>(a.dsum),
        view<S>(a.dx), width);
  });
  CUDA_CHECK_LAUNCH();
}

}  // namespace ballast::ops::cuda
