#include "ops/workspace_cuda.h"

#include "core/cuda_check.h"

namespace ballast::ops::cuda {

bool capturing(const Device& device) {
  cudaStreamCaptureStatus status;
  CUDA_CHECK(cudaStreamIsCapturing(static_cast<cudaStream_t>(device.stream()), &status));
  return status != cudaStreamCaptureStatusNone;
}

Workspace::Workspace(Device& device) {
  if (capturing(device))
    fail(ErrorKind::device, "cuda workspace",
         "the first op of a stream that needs one allocates it: run the step once before capturing it");
  buffer_ = Buffer(device, kBytes);
}

void Workspace::require(const char* op, size_t bytes) const {
  if (bytes > kBytes)
    fail(ErrorKind::unsupported, op, "needs {} bytes between its CUDA kernels, of {} that there are", bytes, kBytes);
}

}  // namespace ballast::ops::cuda
