#include "ops/attention/backends.h"

namespace ballast::ops::cpu {

void attention_forward(Device& device, const AttentionForward&) { unsupported("attention.forward", device); }
void attention_backward(Device& device, const AttentionBackward&) { unsupported("attention.backward", device); }

}  // namespace ballast::ops::cpu
