// linear on the CPU: up to eight rows by own kernels that read the weights once, more by blocks of oneDNN products, one
// worker each.
#include <cstring>

#include "ops/gemv_cpu.h"
#include "ops/linear/backends.h"
#include "ops/linear/blocks_cpu.h"

namespace ballast::ops::cpu {
namespace {

// At least four blocks from 128 rows on; large ones where there are many rows, since each product rearranges W anew.
Blocks row_blocks(int64_t rows) { return {rows, std::max<int64_t>(4, ceil_div(rows, 512)), 32}; }

// Memory-bound kernels gain nothing from a second worker below this many products.
constexpr int64_t kSerialProducts = 1 << 15;

}  // namespace

void linear_forward(Device& device, const LinearForward& a) {
  const int64_t rows = a.x[0], outputs = a.weight[0];
  if (rows <= kGemvRows) {
    const int64_t grain = std::max<int64_t>(48, kSerialProducts / (std::max<int64_t>(1, rows * a.x[1])) / 48 * 48);
    device.pool().split(rows > 0 ? outputs : 0, grain, [&](int64_t begin, int64_t end, int) {
      gemv(a.x, a.weight, a.y, a.accumulate, begin, end);
    });
    return;
  }
  const Blocks row(rows, row_blocks(rows).parts(), 32), column(outputs, ceil_div(outputs, 1024), 32);
  device.pool().for_each(row.parts() * column.parts(), [&](int64_t task, int) {
    const int64_t r = task / column.parts(), c = task % column.parts();
    forward_block(a.x, a.weight, a.y, a.accumulate, row.begin(r), row.end(r), column.begin(c), column.end(c));
  });
}

void linear_backward(Device& device, const LinearBackward& a) {
  const int64_t rows = a.dy[0], outputs = a.dy[1];
  const Blocks row = row_blocks(rows), column(outputs, std::max<int64_t>(2, ceil_div(outputs, 160)), 16);
  if (rows == 0 && a.dweight && !a.accumulate_dweight)
    std::memset(a.dweight.data, 0, static_cast<size_t>(a.dweight.bytes()));
  const int64_t dgrad = a.dx ? row.parts() : 0, wgrad = a.dweight ? column.parts() : 0;
  device.pool().for_each(rows > 0 ? dgrad + wgrad : 0, [&](int64_t task, int) {
    if (task < wgrad)
      return wgrad_block(a.dy, a.x, a.dweight, a.accumulate_dweight, column.begin(task), column.end(task));
    dgrad_block(a.dy, a.weight, a.dx, a.accumulate_dx, row.begin(task - wgrad), row.end(task - wgrad));
  });
}

}  // namespace ballast::ops::cpu
