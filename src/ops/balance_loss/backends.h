// The CPU backend of balance_loss; called by balance_loss.cc alone, after check().
#pragma once

#include "ops/balance_loss/balance_loss.h"

namespace ballast::ops::cpu {

void balance_loss_forward(Device& device, const BalanceLossForward& a);
void balance_loss_backward(Device& device, const BalanceLossBackward& a);

}  // namespace ballast::ops::cpu
