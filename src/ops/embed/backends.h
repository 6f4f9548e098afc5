// The CPU backend of embed; called by embed.cc alone, after check().
#pragma once

#include "ops/embed/embed.h"

namespace ballast::ops::cpu {

void embed_forward(Device& device, const EmbedForward& a);
void embed_backward(Device& device, const EmbedBackward& a);

}  // namespace ballast::ops::cpu
