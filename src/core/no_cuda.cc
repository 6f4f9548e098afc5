#include "core/device.h"
#include "core/device_cuda.h"

namespace ballast {

std::unique_ptr<Device> make_cuda_device() {
  fail(ErrorKind::unsupported, "cuda", "this build has no CUDA; configure with `cmake --preset cuda`");
}
bool cuda_available() { return false; }
std::string cuda_summary() { return "not in this build"; }

}  // namespace ballast
