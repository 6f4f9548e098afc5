// Every CUDA call and every launch is checked.
#pragma once

#include <cuda_runtime.h>

#include "base/error.h"

#define CUDA_CHECK(call)                                                                                     \
  do {                                                                                                       \
    const cudaError_t cuda_check_status_ = (call);                                                           \
    if (cuda_check_status_ != cudaSuccess)                                                                   \
      ::ballast::fail(::ballast::ErrorKind::device, "cuda", "{} at {}:{}: {}", #call, __FILE__, __LINE__,    \
                      cudaGetErrorString(cuda_check_status_));                                               \
  } while (false)

#define CUDA_CHECK_LAUNCH() CUDA_CHECK(cudaGetLastError())
