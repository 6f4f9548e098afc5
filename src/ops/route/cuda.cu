// route on CUDA, forward: logits by the f32 product of product.cuh, whose rows depend on nothing but themselves; then
// one warp a row chooses, by K rounds of the warp's reductions. Loads are counted per block, then by integer atomics,
// which have no order.
#include <cuda_bf16.h>

#include "core/cuda_check.h"
#include "ops/route/backends.h"
#include "ops/route/choose.h"
#include "ops/route/product.cuh"
#include "ops/workspace_cuda.h"

namespace ballast::ops::cuda {
namespace {

constexpr int kMaxExperts = 512;
constexpr int kWarps = 4, kRowsPerWarp = 8, kRowsPerBlock = kWarps * kRowsPerWarp;
constexpr unsigned kAll = 0xffffffff;

__device__ float warp_sum(float v) {
  for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(kAll, v, offset);
  return v;
}
__device__ float warp_max(float v) {
  for (int offset = 16; offset > 0; offset /= 2) v = fmaxf(v, __shfl_xor_sync(kAll, v, offset));
  return v;
}

// The warp's best expert (or group), to every lane: the largest key, then the lowest index.
__device__ int warp_best(Candidate c) {
  const unsigned key = __reduce_max_sync(kAll, c.key);
  return static_cast<int>(__reduce_min_sync(kAll, c.key == key ? static_cast<unsigned>(c.index) : kAll));
}

struct Rows {
  const float* bias;
  const int32_t* valid;
  const float* logits;
  float* scores;
  int32_t* ids;
  float* weights;
  unsigned long long* load;
  int32_t* nonfinite;
  int rows, experts;
};

// Which groups are kept, one bit each; c are the biased scores of a row.
__device__ unsigned kept_groups(const RouteConfig& config, const float* c, int experts, int lane) {
  const int per_group = experts / config.groups;
  uint32_t key = 0;
  if (lane < config.groups)
    key = sort_key(score_of_group(c, lane * per_group, (lane + 1) * per_group, config.group_score == GroupScore::max));
  unsigned kept = 0;
  for (int n = 0; n < config.kept_groups; ++n) {
    const int group = warp_best({key, lane});
    if (lane == group) key = 0;
    kept |= 1u << group;
  }
  return kept;
}

// A warp's rows of shared memory.
struct Scratch {
  float* s;       // scores
  float* c;       // biased scores
  uint32_t* key;  // what is left to choose from
  int32_t* ids;
};

// Scores of a row and what is chosen by; false: a logit is not finite.
__device__ bool score_row(const RouteConfig& config, const Rows& p, int64_t t, bool valid, const Scratch& row) {
  const int lane = threadIdx.x % 32, experts = p.experts;
  bool ok = true;
  float top = -INFINITY, sum = 0;
  for (int e = lane; e < experts; e += 32) {
    const float z = p.logits[t * experts + e];
    ok = ok && isfinite(z);
    top = fmaxf(top, z);
    row.s[e] = z;
  }
  const bool finite = __all_sync(kAll, ok);
  if (config.score == Score::softmax) {
    top = warp_max(top);
    for (int e = lane; e < experts; e += 32) sum += row.s[e] = expf(row.s[e] - top);
    sum = warp_sum(sum);
  }
  for (int e = lane; e < experts; e += 32) {
    const float score = config.score == Score::sigmoid ? sigmoid(row.s[e]) : row.s[e] / sum;
    const float kept = valid && finite ? score : 0.0f;
    row.s[e] = kept;
    row.c[e] = finite && p.bias ? kept + p.bias[e] : kept;
    p.scores[t * experts + e] = kept;
  }
  __syncwarp();
  return finite;
}

__device__ void choose_row(const RouteConfig& config, const Rows& p, int64_t t, const Scratch& row, int32_t* load) {
  const int lane = threadIdx.x % 32, k = config.experts_per_token, experts = p.experts;
  const bool valid = !p.valid || p.valid[t] != 0, finite = score_row(config, p, t, valid, row);
  if (!valid) {
    for (int j = lane; j < k; j += 32) {
      p.ids[t * k + j] = -1;
      p.weights[t * k + j] = 0;
    }
    return;
  }
  if (!finite && lane == 0) atomicExch(p.nonfinite, 1);
  const unsigned kept = config.groups > 1 ? kept_groups(config, row.c, experts, lane) : 1u;
  const int per_group = experts / config.groups;
  for (int e = lane; e < experts; e += 32) row.key[e] = kept >> (e / per_group) & 1 ? sort_key(row.c[e]) : 0;
  float sum = 0;
  for (int j = 0; j < k; ++j) {
    const int index = warp_best(best_of_lane(row.key, experts, lane));
    sum += row.s[index];
    if (lane == index % 32) row.key[index] = 0;
    if (lane == 0) {
      row.ids[j] = index;
      atomicAdd(load + index, 1);
    }
  }
  __syncwarp();
  const bool normalize = config.normalize && k > 1;
  for (int j = lane; j < k; j += 32) {
    const int id = row.ids[j];
    const float w = normalize ? row.s[id] / (sum + 1e-20f) : row.s[id];
    p.ids[t * k + j] = id;
    p.weights[t * k + j] = finite ? static_cast<float>(config.scale) * w : 0.0f;
  }
}

// Shared memory, in rows of one number per expert: the block's load, then four rows a warp.
__global__ void __launch_bounds__(kWarps * 32) choose_kernel(RouteConfig config, Rows p) {
  extern __shared__ int32_t load[];
  const int warp = threadIdx.x / 32;
  int32_t* own = load + p.experts * (1 + 4 * warp);
  const Scratch row{reinterpret_cast<float*>(own), reinterpret_cast<float*>(own + p.experts),
                    reinterpret_cast<uint32_t*>(own + 2 * p.experts), own + 3 * p.experts};
  for (int e = threadIdx.x; e < p.experts; e += kWarps * 32) load[e] = 0;
  __syncthreads();
  for (int r = warp; r < kRowsPerBlock; r += kWarps) {
    const int64_t t = int64_t{blockIdx.x} * kRowsPerBlock + r;
    if (t < p.rows) choose_row(config, p, t, row, load);
    __syncwarp();  // the next row takes the same memory
  }
  __syncthreads();
  for (int e = threadIdx.x; e < p.experts && p.load; e += kWarps * 32)
    if (load[e] > 0) atomicAdd(p.load + e, static_cast<unsigned long long>(load[e]));
}

template <class T>
T* pointer(const Tensor& t) {
  return static_cast<T*>(t.data);
}

}  // namespace

void route_forward(Device& device, const RouteForward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const int64_t rows = a.x[0], width = a.x[1], experts = a.weight[0];
  if (experts > kMaxExperts || a.config.groups > 32)
    fail(ErrorKind::unsupported, "route.forward", "the CUDA kernel takes up to {} experts in 32 groups, not {} in {}",
         kMaxExperts, experts, a.config.groups);
  if (rows == 0) return;
  uint4* fragments = device.state<Workspace>().take<uint4>("route.forward", fragment_vectors(experts, width));
  dispatch_device_storage("route.forward", a.x.dtype, [&]<class S>() {
    product<false, S, float>(a.x, a.weight.as<float>(), a.weight.stride[0], 1, a.logits, fragments, stream);
  });
  const Rows p{pointer<const float>(a.bias),
               pointer<const int32_t>(a.valid),
               pointer<const float>(a.logits),
               pointer<float>(a.scores),
               pointer<int32_t>(a.ids),
               pointer<float>(a.weights),
               pointer<unsigned long long>(a.load),
               pointer<int32_t>(a.nonfinite),
               static_cast<int>(rows),
               static_cast<int>(experts)};
  const size_t shared = sizeof(int32_t) * static_cast<size_t>(experts) * (1 + 4 * kWarps);
  choose_kernel<<<static_cast<unsigned>((rows + kRowsPerBlock - 1) / kRowsPerBlock), kWarps * 32, shared, stream>>>(
      a.config, p);
  CUDA_CHECK_LAUNCH();
}

}  // namespace ballast::ops::cuda
