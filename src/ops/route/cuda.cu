// route on CUDA. One warp a row: logits by a fixed shuffle tree, then selection by K rounds of warp arg-max, so a token's
// choice depends on nothing but the token. Loads are integer atomics, which have no order.
#include <cuda_bf16.h>

#include "core/cuda_check.h"
#include "ops/cuda_kernel.cuh"
#include "ops/math.h"
#include "ops/route/backends.h"
#include "ops/route/choose.h"

namespace ballast::ops::cuda {
namespace {

constexpr int kMaxPerLane = 16;  // up to 512 experts
constexpr int kWarps = 4;
constexpr unsigned kAll = 0xffffffff;

__device__ float warp_sum(float v) {
  for (int offset = 16; offset > 0; offset /= 2) v += __shfl_xor_sync(kAll, v, offset);
  return v;
}
__device__ float warp_max(float v) {
  for (int offset = 16; offset > 0; offset /= 2) v = fmaxf(v, __shfl_xor_sync(kAll, v, offset));
  return v;
}

// Every lane gets the best of the warp.
__device__ Candidate warp_best(Candidate c) {
  for (int offset = 16; offset > 0; offset /= 2)
    c = better(c, {__shfl_xor_sync(kAll, c.value, offset), __shfl_xor_sync(kAll, c.index, offset)});
  return c;
}

struct RowPointers {
  const float* weight;
  const float* bias;
  const int32_t* valid;
  float* logits;
  float* scores;
  int32_t* ids;
  float* weights;
  unsigned long long* load;
  int32_t* nonfinite;
};

template <class S>
__device__ void row_logits(View<const S> x, const float* weight, float* logits, int64_t t, int width, int experts) {
  const int lane = threadIdx.x % 32;
  for (int e = 0; e < experts; ++e) {
    float sum = 0;
    for (int i = lane; i < width; i += 32) sum += to_float(x(t, i)) * weight[int64_t{e} * width + i];
    sum = warp_sum(sum);
    if (lane == 0) logits[t * experts + e] = sum;
  }
  __syncwarp();
}

// Masks the experts of the groups that are not kept; c lies in shared memory, one row a warp.
__device__ void mask_groups(const RouteConfig& config, float* c, int experts) {
  const int lane = threadIdx.x % 32, per_group = experts / config.groups;
  float score = -INFINITY;
  if (lane < config.groups)
    score = score_of_group(c, lane * per_group, (lane + 1) * per_group, config.group_score == GroupScore::max);
  bool kept = false;
  for (int n = 0; n < config.kept_groups; ++n)
    if (warp_best(group_candidate(score, lane, config.groups, kept)).index == lane) kept = true;
  const unsigned mask = __ballot_sync(kAll, kept);
  __syncwarp();  // every lane has read its group before any masks one
  for (int e = lane; e < experts; e += 32)
    if (!(mask >> (e / per_group) & 1)) c[e] = -INFINITY;
  __syncwarp();
}

template <class S>
__global__ void forward_kernel(RouteConfig config, View<const S> x, RowPointers p, int rows, int width, int experts) {
  extern __shared__ float shared[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, k = config.experts_per_token;
  const int64_t t = int64_t{blockIdx.x} * kWarps + warp;
  if (t >= rows) return;
  float* c = shared + warp * experts;
  float* logits = p.logits + t * experts;
  float* scores = p.scores + t * experts;
  row_logits(x, p.weight, p.logits, t, width, experts);
  if (p.valid && p.valid[t] == 0) {
    for (int e = lane; e < experts; e += 32) scores[e] = 0;
    for (int j = lane; j < k; j += 32) {
      p.ids[t * k + j] = -1;
      p.weights[t * k + j] = 0;
    }
    return;
  }
  bool ok = true;
  float top = -INFINITY, sum = 0;
  for (int e = lane; e < experts; e += 32) {
    ok = ok && isfinite(logits[e]);
    top = fmaxf(top, logits[e]);
  }
  const bool finite = __all_sync(kAll, ok);
  if (!finite && lane == 0) atomicExch(p.nonfinite, 1);
  top = warp_max(top);
  if (config.score == Score::softmax) {
    for (int e = lane; e < experts; e += 32) sum += expf(logits[e] - top);
    sum = warp_sum(sum);
  }
  for (int e = lane; e < experts; e += 32) {
    const float s = config.score == Score::sigmoid ? sigmoid(logits[e]) : expf(logits[e] - top) / sum;
    scores[e] = finite ? s : 0.0f;
    c[e] = finite ? (p.bias ? s + p.bias[e] : s) : 0.0f;
  }
  __syncwarp();
  if (config.groups > 1) mask_groups(config, c, experts);
  float weight_sum = 0;
  unsigned taken = 0;  // of this lane's experts lane, lane + 32, ...
  for (int j = 0; j < k; ++j) {
    const int index = warp_best(best_of_lane(c, experts, taken, lane)).index;
    if (index % 32 == lane) taken |= taken_bit(index);
    weight_sum += scores[index];
    if (lane == 0) {
      p.ids[t * k + j] = index;
      if (p.load) atomicAdd(p.load + index, 1ull);
    }
  }
  __syncwarp();
  const bool normalize = config.normalize && k > 1;
  for (int j = lane; j < k; j += 32) {
    const float s = scores[p.ids[t * k + j]];
    const float w = normalize ? s / (weight_sum + 1e-20f) : s;
    p.weights[t * k + j] = finite ? static_cast<float>(config.scale) * w : 0.0f;
  }
}

// One warp a row.
__global__ void dlogits_kernel(RouteConfig config, const float* scores, const int32_t* ids, const float* dweights,
                               const float* dscores, float* dlogits, int rows, int experts) {
  extern __shared__ float shared[];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, k = config.experts_per_token;
  const int64_t t = int64_t{blockIdx.x} * kWarps + warp;
  if (t >= rows) return;
  float* ds = shared + warp * experts;
  const float* s = scores + t * experts;
  const bool routed = ids[t * k] >= 0;
  float sum = 0, dot = 0;
  for (int j = 0; j < k && routed; ++j) {
    sum += s[ids[t * k + j]];
    dot += dweights[t * k + j] * s[ids[t * k + j]];
  }
  for (int e = lane; e < experts; e += 32) ds[e] = dscores ? dscores[t * experts + e] : 0.0f;
  __syncwarp();
  const bool dead = !routed || sum == 0;
  const float scale = static_cast<float>(config.scale), z = sum + 1e-20f;
  const bool normalize = config.normalize && k > 1;
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

template <class S>
__global__ void dx_kernel(const float* dlogits, const float* weight, View<S> dx, int width, int experts) {
  const int64_t t = blockIdx.x;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    float sum = to_float(dx(t, i));
    for (int e = 0; e < experts; ++e) sum += dlogits[t * experts + e] * weight[int64_t{e} * width + i];
    dx(t, i) = from_float<S>(sum);
  }
}

// One thread a column of one expert; eight interleaved partial sums in a fixed order.
template <class S>
__global__ void dweight_kernel(const float* dlogits, View<const S> x, float* dweight, bool accumulate, int rows,
                               int width, int experts) {
  __shared__ float partial[8][33];
  const int e = blockIdx.y, i = blockIdx.x * 32 + threadIdx.x;
  float sum = 0;
  for (int t = threadIdx.y; t < rows && i < width; t += 8) sum += dlogits[int64_t{t} * experts + e] * to_float(x(t, i));
  partial[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || i >= width) return;
  float total = accumulate ? dweight[int64_t{e} * width + i] : 0.0f;
  for (int r = 0; r < 8; ++r) total += partial[r][threadIdx.x];
  dweight[int64_t{e} * width + i] = total;
}

template <class T>
T* pointer(const Tensor& t) {
  return static_cast<T*>(t.data);
}

}  // namespace

void route_forward(Device& device, const RouteForward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const int rows = static_cast<int>(a.x[0]), width = static_cast<int>(a.x[1]), experts = static_cast<int>(a.weight[0]);
  if (experts > 32 * kMaxPerLane || a.config.groups > 32)
    fail(ErrorKind::unsupported, "route.forward", "the CUDA kernel takes up to 512 experts in 32 groups, not {} in {}",
         experts, a.config.groups);
  const RowPointers p{pointer<const float>(a.weight), pointer<const float>(a.bias), pointer<const int32_t>(a.valid),
                      pointer<float>(a.logits), pointer<float>(a.scores), pointer<int32_t>(a.ids),
                      pointer<float>(a.weights), pointer<unsigned long long>(a.load), pointer<int32_t>(a.nonfinite)};
  dispatch_device_storage("route.forward", a.x.dtype, [&]<class S>() {
    forward_kernel<S><<<(rows + kWarps - 1) / kWarps, kWarps * 32, kWarps * experts * sizeof(float), stream>>>(
        a.config, view<const S>(a.x), p, rows, width, experts);
  });
  CUDA_CHECK_LAUNCH();
}

void route_backward(Device& device, const RouteBackward& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const int rows = static_cast<int>(a.x[0]), width = static_cast<int>(a.x[1]), experts = static_cast<int>(a.weight[0]);
  dlogits_kernel<<<(rows + kWarps - 1) / kWarps, kWarps * 32, kWarps * experts * sizeof(float), stream>>>(
      a.config, pointer<const float>(a.scores), pointer<const int32_t>(a.ids), pointer<const float>(a.dweights),
      pointer<const float>(a.dscores), pointer<float>(a.dlogits), rows, experts);
  dispatch_device_storage("route.backward", a.x.dtype, [&]<class S>() {
    dweight_kernel<S><<<dim3((width + 31) / 32, experts), dim3(32, 8), 0, stream>>>(
        pointer<const float>(a.dlogits), view<const S>(a.x), pointer<float>(a.dweight), a.accumulate_dweight, rows,
        width, experts);
    dx_kernel<S><<<rows, 256, 0, stream>>>(pointer<const float>(a.dlogits), pointer<const float>(a.weight),
                                           view<S>(a.dx), width, experts);
  });
  CUDA_CHECK_LAUNCH();
}

}  // namespace ballast::ops::cuda
