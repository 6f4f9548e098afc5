#include "ops/grouped_linear/backends.h"

namespace ballast::ops::cpu {

void grouped_linear_forward(Device& device, const GroupedLinearForward&) { unsupported("grouped_linear.forward", device); }
void grouped_linear_backward(Device& device, const GroupedLinearBackward&) { unsupported("grouped_linear.backward", device); }

}  // namespace ballast::ops::cpu
