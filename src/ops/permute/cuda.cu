// permute on CUDA, without the host. A stable counting sort of the slots in three small kernels: count per chunk, scan,
// rank. Then rows are copied by token, so that a token's row is read once for all its experts. No float atomics.
#include <cuda_bf16.h>

#include "core/cuda_check.h"
#include "ops/cuda_vector.cuh"
#include "ops/permute/backends.h"
#include "ops/permute/place.h"
#include "ops/workspace_cuda.h"

namespace ballast::ops::cuda {
namespace {

constexpr int kThreads = 32 * SlotPlan::kWarps, kScanThreads = 1024;
constexpr int kMaxExperts = 1536;  // their counts, one per warp, fit into 48 KiB
constexpr unsigned kAll = 0xffffffff;

// The range of experts that is laid out, and an id's place in it, or -1.
struct Range {
  int begin, end;
  __device__ int local(int32_t id) const { return id >= begin && id < end ? id - begin : -1; }
};

// Counts the slots of each expert in each warp's run, into counts[warp][expert] in shared memory.
__device__ void count_runs(const int32_t* ids, SlotPlan plan, Range range, int32_t* counts) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, experts = range.end - range.begin;
  for (int i = threadIdx.x; i < SlotPlan::kWarps * experts; i += kThreads) counts[i] = 0;
  __syncthreads();
  for (int round = 0; round < SlotPlan::kRounds; ++round) {
    const int32_t slot = plan.slot(blockIdx.x, warp, round, lane);
    const int e = slot < plan.slots ? range.local(ids[slot]) : -1;
    if (e >= 0) atomicAdd(counts + warp * experts + e, 1);
  }
  __syncthreads();
}

// before[e * chunks + chunk]: the chunk's slots of expert e.
__global__ void __launch_bounds__(kThreads)
    count_kernel(const int32_t* ids, SlotPlan plan, Range range, int32_t* before) {
  extern __shared__ int32_t counts[];
  count_runs(ids, plan, range, counts);
  const int experts = range.end - range.begin;
  for (int e = threadIdx.x; e < experts; e += kThreads)
    before[int64_t{e} * gridDim.x + blockIdx.x] = counts_before(counts + e, SlotPlan::kWarps, experts);
}

// The exclusive sum over a warp's lanes; `sum` is the inclusive one.
__device__ int32_t exclusive(int32_t value, int lane, int32_t& sum) {
  sum = value;
  for (int offset = 1; offset < 32; offset *= 2) {
    const int32_t other = __shfl_up_sync(kAll, sum, offset);
    if (lane >= offset) sum += other;
  }
  return sum - value;
}

// One block. Turns the chunks' counts of each expert into how many lie in the chunks before, then lays the groups out.
__global__ void __launch_bounds__(kScanThreads)
    scan_kernel(int32_t* before, int chunks, int32_t* count, int32_t* offs, int experts, int align) {
  __shared__ int32_t total[kMaxExperts];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int e = warp; e < experts; e += kScanThreads / 32) {
    int32_t* row = before + int64_t{e} * chunks;
    int32_t carry = 0, sum;
    for (int first = 0; first < chunks; first += 32) {
      const int c = first + lane;
      const int32_t rank = exclusive(c < chunks ? row[c] : 0, lane, sum);
      if (c < chunks) row[c] = carry + rank;
      carry += __shfl_sync(kAll, sum, 31);
    }
    if (lane == 0) count[e] = total[e] = carry;
  }
  __syncthreads();
  if (warp != 0) return;
  int32_t carry = 0, sum;
  for (int first = 0; first < experts; first += 32) {
    const int e = first + lane;
    const int32_t row = exclusive(e < experts ? padded_rows(total[e], align) : 0, lane, sum);
    if (e < experts) offs[e] = carry + row;
    carry += __shfl_sync(kAll, sum, 31);
  }
  if (lane == 0) offs[experts] = carry;
}

__global__ void __launch_bounds__(kThreads)
    rank_kernel(const int32_t* ids, SlotPlan plan, Range range, const int32_t* before, const int32_t* offs,
                int32_t* row_of, int32_t* slot_of) {
  extern __shared__ int32_t counts[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, experts = range.end - range.begin;
  count_runs(ids, plan, range, counts);
  for (int e = threadIdx.x; e < experts; e += kThreads) {
    counts_before(counts + e, SlotPlan::kWarps, experts);
    const int32_t first = offs[e] + before[int64_t{e} * gridDim.x + blockIdx.x];
    for (int w = 0; w < SlotPlan::kWarps; ++w) counts[w * experts + e] += first;
  }
  __syncthreads();
  int32_t* next = counts + warp * experts;  // the row of this warp's next slot of each expert
  for (int round = 0; round < SlotPlan::kRounds; ++round) {
    const int32_t slot = plan.slot(blockIdx.x, warp, round, lane);
    const int e = slot < plan.slots ? range.local(ids[slot]) : -1;
    const unsigned same = __match_any_sync(kAll, e);
    const int32_t row = e >= 0 ? next[e] + rank_in_warp(same, lane) : -1;
    __syncwarp();
    if (e >= 0 && lane == __ffs(same) - 1) next[e] += count_bits(same);
    __syncwarp();
    if (slot < plan.slots) row_of[slot] = row;
    if (row >= 0) slot_of[row] = slot;
  }
}

// Rows are copied as units of 16 bytes, or of one element, whatever their type. The first blocks, one an expert, zero
// the rows that pad its group; the others copy, one warp a token.
template <class Unit>
__global__ void __launch_bounds__(kThreads)
    copy_kernel(View<const Unit> x, const int32_t* row_of, const int32_t* offs, const int32_t* count, int experts,
                int tokens, int k, View<Unit> rows, int32_t* slot_of, int width) {
  constexpr int kHeld = 4;  // units a lane has in flight
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  if (static_cast<int>(blockIdx.x) < experts) {
    const int e = blockIdx.x;
    for (int row = offs[e] + count[e] + warp; row < offs[e + 1]; row += SlotPlan::kWarps) {
      for (int i = lane; i < width; i += 32) rows(row, i) = Unit{};
      if (lane == 0) slot_of[row] = -1;
    }
    return;
  }
  const int t = (static_cast<int>(blockIdx.x) - experts) * SlotPlan::kWarps + warp;
  if (t >= tokens) return;
  for (int first_slot = 0; first_slot < k; first_slot += 32) {
    const int slots = min(32, k - first_slot);
    const int32_t mine = lane < slots ? row_of[int64_t{t} * k + first_slot + lane] : -1;
    for (int first = 0; first < width; first += 32 * kHeld) {
      Unit held[kHeld];
#pragma unroll
      for (int u = 0; u < kHeld; ++u)
        if (const int i = first + 32 * u + lane; i < width) held[u] = x(t, i);
      for (int j = 0; j < slots; ++j) {
        const int32_t row = __shfl_sync(kAll, mine, j);
        if (row < 0) continue;
#pragma unroll
        for (int u = 0; u < kHeld; ++u)
          if (const int i = first + 32 * u + lane; i < width) rows(row, i) = held[u];
      }
    }
  }
}

// One warp a token: the rows of its slots are added in the order of the slots, four of them in flight. Without room for
// 64 registers the compiler would wait for each before it asks for the next.
template <class S, int N>
__global__ void __launch_bounds__(kThreads, 4) backward_kernel(View<const S> drows, const int32_t* row_of, int tokens,
                                                               int k, View<S> dx, bool accumulate, int width) {
  constexpr int kHeld = 2, kAhead = 4;
  const int lane = threadIdx.x % 32, t = blockIdx.x * SlotPlan::kWarps + threadIdx.x / 32;
  if (t >= tokens) return;
  for (int first = 0; first < width; first += 32 * N * kHeld) {
    float sum[kHeld][N] = {};
    const auto column = [&](int u) { return first + (32 * u + lane) * N; };
#pragma unroll
    for (int u = 0; u < kHeld; ++u)
      if (accumulate && column(u) < width) unpack<S>(load_vector<S, N>(&dx(t, column(u))), sum[u]);
    for (int first_slot = 0; first_slot < k; first_slot += 32) {
      const int slots = min(32, k - first_slot);
      const int32_t mine = lane < slots ? row_of[int64_t{t} * k + first_slot + lane] : -1;
      for (int j = 0; j < slots; j += kAhead) {
        Vector<S, N> in[kAhead][kHeld];
#pragma unroll
        for (int a = 0; a < kAhead; ++a) {
          const int32_t row = __shfl_sync(kAll, mine, min(j + a, 31));
          const bool there = row >= 0 && j + a < slots;
#pragma unroll
          for (int u = 0; u < kHeld; ++u)
            in[a][u] = there && column(u) < width ? load_vector<S, N>(&drows(row, column(u))) : Vector<S, N>{};
        }
#pragma unroll
        for (int a = 0; a < kAhead; ++a)
#pragma unroll
          for (int u = 0; u < kHeld; ++u) {
            float value[N];
            unpack<S>(in[a][u], value);
            for (int i = 0; i < N; ++i) sum[u][i] += value[i];
          }
      }
    }
#pragma unroll
    for (int u = 0; u < kHeld; ++u)
      if (column(u) < width) store_vector<N>(&dx(t, column(u)), pack<S>(sum[u]));
  }
}

unsigned blocks_of(int64_t warps) { return static_cast<unsigned>((warps + SlotPlan::kWarps - 1) / SlotPlan::kWarps); }

template <class Unit>
void copy_rows(const PermuteForward& a, cudaStream_t stream) {
  const int64_t size = static_cast<int64_t>(size_of(a.x.dtype)), unit = sizeof(Unit);
  const View<const Unit> x{static_cast<const Unit*>(a.x.data), a.x.stride[0] * size / unit};
  const View<Unit> rows{static_cast<Unit*>(a.out.rows.data), a.out.rows.stride[0] * size / unit};
  const int experts = static_cast<int>(a.out.experts());
  copy_kernel<<<static_cast<unsigned>(experts) + blocks_of(a.x[0]), kThreads, 0, stream>>>(
      x, a.row_of.as<int32_t>(), a.out.offs.as<int32_t>(), a.out.count.as<int32_t>(), experts, static_cast<int>(a.x[0]),
      static_cast<int>(a.ids[1]), rows, a.slot_of.as<int32_t>(), static_cast<int>(a.x[1] * size / unit));
}

}  // namespace

void permute_forward(Device& device, const PermuteForward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const int experts = static_cast<int>(a.out.experts());
  if (experts > kMaxExperts)
    fail(ErrorKind::unsupported, "permute.forward", "the CUDA kernel takes up to {} experts, not {}", kMaxExperts,
         experts);
  const SlotPlan plan{static_cast<int32_t>(a.ids.size())};
  const Range range{a.expert_begin, a.expert_end};
  const int chunks = plan.chunks();
  const size_t shared = sizeof(int32_t) * SlotPlan::kWarps * static_cast<size_t>(experts);
  int32_t* before = device.state<Workspace>().take<int32_t>("permute.forward", int64_t{experts} * chunks);
  const int32_t* ids = a.ids.as<int32_t>();
  int32_t *offs = a.out.offs.as<int32_t>(), *count = a.out.count.as<int32_t>();
  if (chunks > 0) count_kernel<<<chunks, kThreads, shared, stream>>>(ids, plan, range, before);
  scan_kernel<<<1, kScanThreads, 0, stream>>>(before, chunks, count, offs, experts, a.out.align);
  if (chunks > 0)
    rank_kernel<<<chunks, kThreads, shared, stream>>>(ids, plan, range, before, offs, a.row_of.as<int32_t>(),
                                                      a.slot_of.as<int32_t>());
  if (takes_vectors(a.x) && takes_vectors(a.out.rows))
    copy_rows<uint4>(a, stream);
  else if (size_of(a.x.dtype) == 4)
    copy_rows<uint32_t>(a, stream);
  else if (size_of(a.x.dtype) == 2)
    copy_rows<uint16_t>(a, stream);
  else
    fail(ErrorKind::unsupported, "permute.forward", "no kernel for dtype {}", name_of(a.x.dtype));
  CUDA_CHECK_LAUNCH();
}

void permute_backward(Device& device, const PermuteBackward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const unsigned blocks = blocks_of(a.dx[0]);
  if (blocks == 0) return;
  dispatch_device_storage("permute.backward", a.dx.dtype, [&]<class S>() {
    dispatch_vector<S>({a.drows, a.dx}, [&]<int N>() {
      backward_kernel<S, N><<<blocks, kThreads, 0, stream>>>(view<const S>(a.drows), a.row_of.as<int32_t>(),
                                                             static_cast<int>(a.dx[0]), static_cast<int>(a.row_of[1]),
                                                             view<S>(a.dx), a.accumulate, static_cast<int>(a.dx[1]));
    });
  });
  CUDA_CHECK_LAUNCH();
}

}  // namespace ballast::ops::cuda
