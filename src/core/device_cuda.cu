#include <cuda_runtime.h>
#include <fmt/format.h>

#include "core/cuda_check.h"
#include "core/device.h"
#include "core/device_cuda.h"

namespace ballast {
namespace {

class CudaDevice : public Device {
 public:
  CudaDevice() : Device(DeviceKind::cuda, 1) {
    cudaStream_t s;
    CUDA_CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    stream_ = s;
  }
  ~CudaDevice() override {
    states_.clear();
    cudaStreamDestroy(s());
  }
  void* allocate(size_t bytes) override {
    void* p = nullptr;
    CUDA_CHECK(cudaMalloc(&p, bytes ? bytes : 64));
    CUDA_CHECK(cudaMemsetAsync(p, 0, bytes, s()));
    return p;
  }
  void release(void* p, size_t) override { cudaFree(p); }
  void zero(void* p, size_t bytes) override {
    if (!planning) CUDA_CHECK(cudaMemsetAsync(p, 0, bytes, s()));
  }
  void copy(void* to, const void* from, size_t bytes) override {
    if (!planning) CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, s()));
  }
  void upload(void* to, const void* from, size_t bytes) override {
    if (!planning) CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, s()));
  }
  void download(void* to, const void* from, size_t bytes) override {
    if (planning) return;
    CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, s()));
    synchronize();
  }
  void synchronize() override { CUDA_CHECK(cudaStreamSynchronize(s())); }

 private:
  cudaStream_t s() const { return static_cast<cudaStream_t>(stream_); }
};

}  // namespace

std::unique_ptr<Device> make_cuda_device() {
  if (!cuda_available()) fail(ErrorKind::device, "cuda", "no CUDA device answers");
  return std::make_unique<CudaDevice>();
}

bool cuda_available() {
  int n = 0;
  return cudaGetDeviceCount(&n) == cudaSuccess && n > 0;
}

std::string cuda_summary() {
  int version = 0;
  CUDA_CHECK(cudaRuntimeGetVersion(&version));
  std::string text = fmt::format("{}.{} for sm_90a, ", version / 1000, version % 1000 / 10);
  if (!cuda_available()) return text + "no device here";
  cudaDeviceProp properties;
  CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
  return text + "on " + properties.name;
}

}  // namespace ballast
