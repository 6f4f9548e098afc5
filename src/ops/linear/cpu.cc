#include "ops/linear/backends.h"

namespace ballast::ops::cpu {

void linear_forward(Device& device, const LinearForward&) { unsupported("linear.forward", device); }
void linear_backward(Device& device, const LinearBackward&) { unsupported("linear.backward", device); }

}  // namespace ballast::ops::cpu
