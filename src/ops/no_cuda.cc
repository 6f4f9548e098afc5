// Stand-ins for the CUDA backends in builds without CUDA.
#include "ops/adamw/backends.h"
#include "ops/cross_entropy/backends.h"
#include "ops/linear/backends.h"
#include "ops/permute/backends.h"
#include "ops/rmsnorm/backends.h"
#include "ops/route/backends.h"

namespace ballast::ops::cuda {
namespace {
[[noreturn]] void no_cuda(const char* op) { fail(ErrorKind::unsupported, op, "this build has no CUDA"); }
}  // namespace

void rmsnorm_forward(Device&, const RmsNormForward&) { no_cuda("rmsnorm.forward"); }
void rmsnorm_backward(Device&, const RmsNormBackward&) { no_cuda("rmsnorm.backward"); }
void route_forward(Device&, const RouteForward&) { no_cuda("route.forward"); }
void route_backward(Device&, const RouteBackward&) { no_cuda("route.backward"); }
void permute_forward(Device&, const PermuteForward&) { no_cuda("permute.forward"); }
void permute_backward(Device&, const PermuteBackward&) { no_cuda("permute.backward"); }
void adamw(Device&, const AdamW&) { no_cuda("adamw"); }
void linear_forward(Device&, const LinearForward&) { no_cuda("linear.forward"); }
void linear_backward(Device&, const LinearBackward&) { no_cuda("linear.backward"); }
void cross_entropy_forward(Device&, const CrossEntropyForward&) { no_cuda("cross_entropy.forward"); }
void cross_entropy_backward(Device&, const CrossEntropyBackward&) { no_cuda("cross_entropy.backward"); }

}  // namespace ballast::ops::cuda
