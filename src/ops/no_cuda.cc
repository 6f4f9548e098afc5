// Stand-ins for the CUDA backends in builds without CUDA.
#include "ops/rmsnorm/backends.h"

namespace ballast::ops::cuda {
namespace {
[[noreturn]] void no_cuda(const char* op) { fail(ErrorKind::unsupported, op, "this build has no CUDA"); }
}  // namespace

void rmsnorm_forward(Device&, const RmsNormForward&) { no_cuda("rmsnorm.forward"); }
void rmsnorm_backward(Device&, const RmsNormBackward&) { no_cuda("rmsnorm.backward"); }

}  // namespace ballast::ops::cuda
