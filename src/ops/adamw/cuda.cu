// adamw on CUDA: one elementwise pass, 16 bytes at a time. Rate, clip factor, bias corrections and the skip flag are
// read from device memory, so a captured graph sees each step's values.
#include <cuda_bf16.h>

#include "core/cuda_check.h"
#include "ops/adamw/backends.h"
#include "ops/cuda_vector.cuh"

namespace ballast::ops::cuda {
namespace {

constexpr int kThreads = 256, kHeld = 2;  // vectors of four parameters that a thread has in flight

struct Constants {
  float beta1, rest1, beta2, rest2, eps, decay;
};

struct Arrays {
  float *master, *m, *v;
  const float* grad;
};

// What a step reads from memory. Corrections are multiplied with, and the one division left is the approximate one: 2 ulp
// of a step that is lr times smaller than what it is added to, without the slow paths of exact ones.
struct Rates {
  float lr, grad_scale, correction1, correction2;
  __device__ void update(const Constants& c, float grad, float& p, float& m, float& v) const {
    const float g = grad * grad_scale;
    m = c.beta1 * m + c.rest1 * g;
    v = c.beta2 * v + c.rest2 * g * g;
    p -= lr * (__fdividef(m * correction1, sqrtf(v * correction2) + c.eps) + c.decay * p);
  }
};

// A thread's N parameters from i on; N is 4, or 1 where an array does not start at 16 bytes.
template <int N>
struct Parameters {
  float p[N], m[N], v[N], grad[N];
  __device__ void load(const Arrays& a, int64_t i) {
    load_floats(a.master + i, p);
    load_floats(a.m + i, m);
    load_floats(a.v + i, v);
    load_floats(a.grad + i, grad);
  }
  template <class S>
  __device__ void store(const Arrays& a, S* param, int64_t i) const {
    store_vector<N>(a.master + i, pack<float>(p));
    store_vector<N>(a.m + i, pack<float>(m));
    store_vector<N>(a.v + i, pack<float>(v));
    if (!param) return;
    if constexpr (N == 4 && sizeof(S) == 2) {
      const __nv_bfloat162 pair[2] = {__floats2bfloat162_rn(p[0], p[1]), __floats2bfloat162_rn(p[2], p[3])};
      *reinterpret_cast<uint2*>(param + i) = *reinterpret_cast<const uint2*>(pair);
    } else {
      store_vector<N>(param + i, pack<S>(p));
    }
  }
};

template <class S, int N>
__global__ void __launch_bounds__(kThreads, 3)
    adamw_kernel(Arrays a, S* param, const float* hyper, const int32_t* skip, Constants c, int64_t n) {
  Parameters<N> held[kHeld];
  const int64_t first = int64_t{blockIdx.x} * kThreads * kHeld + threadIdx.x;  // in vectors
#pragma unroll
  for (int h = 0; h < kHeld; ++h)
    if (const int64_t i = (first + h * kThreads) * N; i + N <= n) held[h].load(a, i);
  const Rates rates{hyper[0], hyper[1], 1 / hyper[2], 1 / hyper[3]};
  if (*skip != 0) return;
#pragma unroll
  for (int h = 0; h < kHeld; ++h) {
    const int64_t i = (first + h * kThreads) * N;
    if (i + N <= n) {
#pragma unroll
      for (int j = 0; j < N; ++j) rates.update(c, held[h].grad[j], held[h].p[j], held[h].m[j], held[h].v[j]);
      held[h].store(a, param, i);
    } else {  // the last vector of arrays whose length is no multiple of N
      for (int64_t j = i; j < n; ++j) {
        rates.update(c, a.grad[j], a.master[j], a.m[j], a.v[j]);
        if (param) param[j] = from_float<S>(a.master[j]);
      }
    }
  }
}

bool aligned(const Tensor& t) { return reinterpret_cast<uintptr_t>(t.data) % (4 * size_of(t.dtype)) == 0; }

}  // namespace

void adamw(Device& device, const AdamW& a) {
  const auto stream = static_cast<cudaStream_t>(device.stream());
  const int64_t n = a.master.size();
  if (n == 0) return;
  const Constants c{float(a.beta1),     float(1 - a.beta1), float(a.beta2),
                    float(1 - a.beta2), float(a.eps),       float(a.weight_decay)};
  const Arrays arrays{a.master.as<float>(), a.m.as<float>(), a.v.as<float>(), a.grad.as<float>()};
  const bool vectors = aligned(a.master) && aligned(a.m) && aligned(a.v) && aligned(a.grad) && aligned(a.param);
  dispatch_device_storage("adamw", a.param ? a.param.dtype : DType::f32, [&]<class S>() {
    const auto launch = [&]<int N>() {
      const int64_t block = int64_t{kThreads} * kHeld * N;
      adamw_kernel<S, N><<<static_cast<unsigned>((n + block - 1) / block), kThreads, 0, stream>>>(
          arrays, static_cast<S*>(a.param.data), a.hyper.as<float>(), a.skip.as<int32_t>(), c, n);
    };
    if (vectors)
      launch.template operator()<4>();
    else
      launch.template operator()<1>();
  });
  CUDA_CHECK_LAUNCH();
}

}  // namespace ballast::ops::cuda
