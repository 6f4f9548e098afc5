// The common way of a row-wise op on the CPU: every worker's rows in one call of a dynamically dispatched kernel.
#pragma once

#include "core/device.h"

namespace ballast::ops::cpu {

// kernel(args, begin, end) on contiguous ranges of [0, rows), each a multiple of `grain` long but the last.
template <class Args, class Kernel>
void split_rows(Device& device, int64_t rows, int64_t grain, const Args& args, Kernel&& kernel) {
  device.pool().split(rows, grain, [&](int64_t begin, int64_t end, int) { kernel(args, begin, end); });
}

}  // namespace ballast::ops::cpu
