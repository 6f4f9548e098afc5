// The CUDA device; builds without CUDA link no_cuda.cc, whose function throws Error{unsupported}.
#pragma once

#include <memory>
#include <string>

namespace ballast {

class Device;
std::unique_ptr<Device> make_cuda_device();
bool cuda_available();  // built with CUDA, and a device answers
std::string cuda_summary();  // "13.0 for sm_90a, on NVIDIA H200"; "not in this build"

}  // namespace ballast
