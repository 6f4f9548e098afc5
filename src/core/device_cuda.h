// The CUDA device; builds without CUDA link no_cuda.cc, whose function throws Error{unsupported}.
#pragma once

#include <memory>

namespace ballast {

class Device;
std::unique_ptr<Device> make_cuda_device();
bool cuda_available();  // built with CUDA, and a device answers

}  // namespace ballast
