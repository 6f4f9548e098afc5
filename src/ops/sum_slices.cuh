// The second half of a sum over rows that many blocks share: each block leaves its part in a slice of the workspace,
// and this kernel adds the slices in an order that depends on nothing but their number.
#pragma once

#include "ops/cuda_kernel.cuh"

namespace ballast::ops::cuda {
namespace {

constexpr int kSumColumns = 32, kSumRows = 32;

// out[i] = (accumulate ? out[i] : 0) + the sum of part[s][i] over s < slices. A thread adds every 32nd slice, then one
// adds the 32 sums in order.
__global__ void __launch_bounds__(kSumColumns* kSumRows)
    sum_slices_kernel(const float* part, int slices, int64_t size, float* out, bool accumulate) {
  __shared__ float sums[kSumRows][kSumColumns];
  const int64_t i = int64_t{blockIdx.x} * kSumColumns + threadIdx.x;
  float sum = 0;
  for (int s = threadIdx.y; s < slices && i < size; s += kSumRows) sum += part[s * size + i];
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || i >= size) return;
  float total = accumulate ? out[i] : 0.0f;
  for (int r = 0; r < kSumRows && r < slices; ++r) total += sums[r][threadIdx.x];
  out[i] = total;
}

void sum_slices(const float* part, int slices, int64_t size, float* out, bool accumulate, cudaStream_t stream) {
  sum_slices_kernel<<<static_cast<unsigned>((size + kSumColumns - 1) / kSumColumns), dim3(kSumColumns, kSumRows), 0,
                      stream>>>(part, slices, size, out, accumulate);
}

}  // namespace
}  // namespace ballast::ops::cuda
