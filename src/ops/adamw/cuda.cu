// adamw on CUDA: one elementwise pass. Rate, clip factor, bias corrections and the skip flag are read from device
// memory, so a captured graph sees each step's values.
#include <cuda_bf16.h>

#include "core/cuda_check.h"
#include "ops/adamw/backends.h"
#include "ops/cuda_kernel.cuh"

namespace ballast::ops::cuda {
namespace {

struct Constants {
  float beta1, rest1, beta2, rest2, eps, decay;
};

template <class S>
__global__ void adamw_kernel(float* master, float* m, float* v, const float* grad, S* param, const float* hyper,
                             const int32_t* skip, Constants c, int64_t n) {
  if (*skip != 0) return;
  const float lr = hyper[0], grad_scale = hyper[1], bias1 = hyper[2], bias2 = hyper[3];
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += int64_t{gridDim.x} * blockDim.x) {
    const float g = grad[i] * grad_scale;
    m[i] = c.beta1 * m[i] + c.rest1 * g;
    v[i] = c.beta2 * v[i] + c.rest2 * g * g;
    const float p = master[i] - lr * (m[i] / bias1 / (sqrtf(v[i] / bias2) + c.eps) + c.decay * master[i]);
    master[i] = p;
    if (param) param[i] = from_float<S>(p);
  }
}

}  // namespace

void adamw(Device& device, const AdamW& a) {
  const int64_t n = a.master.size(), blocks = (n + 255) / 256;
  const Constants c{float(a.beta1), float(1 - a.beta1), float(a.beta2), float(1 - a.beta2), float(a.eps),
                    float(a.weight_decay)};
  dispatch_device_storage("adamw", a.param ? a.param.dtype : DType::f32, [&]<class S>() {
    adamw_kernel<S><<<static_cast<unsigned>(blocks < 4096 ? blocks : 4096), 256, 0,
                      static_cast<cudaStream_t>(device.stream())>>>(
        a.master.as<float>(), a.m.as<float>(), a.v.as<float>(), a.grad.as<float>(), static_cast<S*>(a.param.data),
        a.hyper.as<float>(), a.skip.as<int32_t>(), c, n);
  });
  CUDA_CHECK_LAUNCH();
}

}  // namespace ballast::ops::cuda
