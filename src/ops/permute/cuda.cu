// permute on CUDA, without the host and without scratch: one block an expert counts its slots, one thread lays the groups
// out, one block an expert ranks its slots in order (stable), then rows are copied. No float atomics.
#include <cuda_bf16.h>

#include "core/cuda_check.h"
#include "ops/cuda_kernel.cuh"
#include "ops/permute/backends.h"
#include "ops/permute/place.h"

namespace ballast::ops::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void count_kernel(const int32_t* ids, int32_t slots, int expert_begin, int32_t* count) {
  __shared__ int32_t total;
  if (threadIdx.x == 0) total = 0;
  __syncthreads();
  int32_t n = 0;
  for (int32_t slot = threadIdx.x; slot < slots; slot += kThreads) n += ids[slot] == expert_begin + int(blockIdx.x);
  for (int offset = 16; offset > 0; offset /= 2) n += __shfl_down_sync(0xffffffff, n, offset);
  if (threadIdx.x % 32 == 0) atomicAdd(&total, n);
  __syncthreads();
  if (threadIdx.x == 0) count[blockIdx.x] = total;
}

__global__ void offsets_kernel(const int32_t* count, int32_t* offs, int experts, int align) {
  int32_t row = 0;
  for (int e = 0; e < experts; ++e) {
    offs[e] = row;
    row += padded_rows(count[e], align);
  }
  offs[experts] = row;
}

__global__ void foreign_slots_kernel(const int32_t* ids, int32_t slots, int begin, int end, int32_t* row_of) {
  const int32_t slot = blockIdx.x * kThreads + threadIdx.x;
  if (slot < slots && (ids[slot] < begin || ids[slot] >= end)) row_of[slot] = -1;
}

// Blocks walk the slots 256 at a time; a slot's rank is the number of its expert's slots before it.
__global__ void rank_kernel(const int32_t* ids, int32_t slots, int expert_begin, const int32_t* offs, int32_t* row_of,
                            int32_t* slot_of) {
  __shared__ int32_t warp_count[kThreads / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int32_t row = offs[blockIdx.x];
  for (int32_t start = 0; start < slots; start += kThreads) {
    const int32_t slot = start + threadIdx.x;
    const bool mine = slot < slots && ids[slot] == expert_begin + int(blockIdx.x);
    const unsigned votes = __ballot_sync(0xffffffff, mine);
    if (lane == 0) warp_count[warp] = __popc(votes);
    __syncthreads();
    const Votes counted = count_votes(warp_count, kThreads / 32, warp);
    if (mine) {
      const int32_t place = row + counted.before + rank_in_warp(votes, lane);
      row_of[slot] = place;
      slot_of[place] = slot;
    }
    row += counted.all;
    __syncthreads();
  }
  for (int32_t r = row + threadIdx.x; r < offs[blockIdx.x + 1]; r += kThreads) slot_of[r] = -1;
}

template <class S>
__global__ void gather_kernel(View<const S> x, const int32_t* slot_of, const int32_t* offs, int experts, int k,
                              View<S> rows, int width) {
  for (int32_t row = blockIdx.x; row < offs[experts]; row += gridDim.x) {
    const int32_t slot = slot_of[row];
    for (int i = threadIdx.x; i < width; i += kThreads) rows(row, i) = slot < 0 ? from_float<S>(0.0f) : x(slot / k, i);
  }
}

template <class S>
__global__ void backward_kernel(View<const S> drows, const int32_t* row_of, int k, View<S> dx, bool accumulate,
                                int width) {
  const int64_t t = blockIdx.x;
  for (int i = threadIdx.x; i < width; i += kThreads) {
    float sum = accumulate ? to_float(dx(t, i)) : 0.0f;
    for (int j = 0; j < k; ++j)
      if (const int32_t row = row_of[t * k + j]; row >= 0) sum += to_float(drows(row, i));
    dx(t, i) = from_float<S>(sum);
  }
}

}  // namespace

void permute_forward(Device& device, const PermuteForward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const int32_t slots = static_cast<int32_t>(a.ids.size());
  const int experts = static_cast<int>(a.out.experts()), k = static_cast<int>(a.ids[1]);
  const int32_t* ids = a.ids.as<int32_t>();
  int32_t *offs = a.out.offs.as<int32_t>(), *count = a.out.count.as<int32_t>();
  int32_t *row_of = a.row_of.as<int32_t>(), *slot_of = a.slot_of.as<int32_t>();
  count_kernel<<<experts, kThreads, 0, stream>>>(ids, slots, a.expert_begin, count);
  offsets_kernel<<<1, 1, 0, stream>>>(count, offs, experts, a.out.align);
  foreign_slots_kernel<<<(slots + kThreads - 1) / kThreads, kThreads, 0, stream>>>(ids, slots, a.expert_begin,
                                                                                   a.expert_end, row_of);
  rank_kernel<<<experts, kThreads, 0, stream>>>(ids, slots, a.expert_begin, offs, row_of, slot_of);
  const int64_t blocks = a.out.rows[0] < 8192 ? a.out.rows[0] : 8192;
  dispatch_device_storage("permute.forward", a.x.dtype, [&]<class S>() {
    gather_kernel<S><<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(
        view<const S>(a.x), slot_of, offs, experts, k, view<S>(a.out.rows), static_cast<int>(a.x[1]));
  });
  CUDA_CHECK_LAUNCH();
}

void permute_backward(Device& device, const PermuteBackward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  dispatch_device_storage("permute.backward", a.dx.dtype, [&]<class S>() {
    backward_kernel<S><<<static_cast<unsigned>(a.dx[0]), kThreads, 0, stream>>>(
        view<const S>(a.drows), a.row_of.as<int32_t>(), static_cast<int>(a.row_of[1]), view<S>(a.dx), a.accumulate,
        static_cast<int>(a.dx[1]));
  });
  CUDA_CHECK_LAUNCH();
}

}  // namespace ballast::ops::cuda
