// linear on the CPU: up to eight rows by own kernels that read the weights once, more by blocks of oneDNN products, one
// worker each.
#include <cstring>

#include "ops/gemv_cpu.h"
#include "ops/linear/backends.h"
#include "ops/linear/blocks_cpu.h"
#include "ops/scratch_cpu.h"

namespace ballast::ops::cpu {
namespace {

// At least four blocks from 128 rows on; large ones where there are many rows, since each product rearranges W anew.
Blocks row_blocks(int64_t rows) { return {rows, std::max<int64_t>(4, ceil_div(rows, 512)), 32}; }

// Memory-bound kernels gain nothing from a second worker below this many products.
constexpr int64_t kSerialProducts = 1 << 15;

// dW = dy^T x, cut by outputs. A bf16 product rearranges all of its x first, so where outputs are few they are not cut,
// but the tokens are: the first span of tokens goes to dW, the others to partial sums, added in their order.
class WeightGradient {
 public:
  explicit WeightGradient(const LinearBackward& a)
      : a_(a),
        spans_(a.dy[0], a.dy.dtype == DType::bf16 && a.dy[1] < 512 ? std::clamp<int64_t>(a.dy[0] / 2048, 1, 4) : 1, 32),
        columns_(
            a.dy[1],
            spans_.parts() > 1 ? 1 : std::max<int64_t>(2, ceil_div(a.dy[1], a.dy.dtype == DType::bf16 ? 288 : 160)),
            16) {
    static thread_local Scratch<float> memory;
    if (spans_.parts() > 1 && a.dweight)
      partial_ = memory.at_least(static_cast<size_t>((spans_.parts() - 1) * a.dweight.size()));
  }

  int64_t tasks() const { return spans_.parts() * columns_.parts(); }

  void run(int64_t task) const {
    const int64_t span = task / columns_.parts(), column = task % columns_.parts();
    Tensor to = a_.dweight;
    if (span > 0) to.data = partial_ + (span - 1) * to.size();
    wgrad_block(a_.dy.rows(spans_.begin(span), spans_.end(span)), a_.x.rows(spans_.begin(span), spans_.end(span)), to,
                a_.accumulate_dweight && span == 0, columns_.begin(column), columns_.end(column));
  }

  void add_partial_sums(Device& device) const {
    if (!partial_) return;
    const int64_t size = a_.dweight.size();
    float* to = a_.dweight.as<float>();
    device.pool().split(size, 1024, [&](int64_t begin, int64_t end, int) {
      for (int64_t span = 1; span < spans_.parts(); ++span)
        for (int64_t i = begin; i < end; ++i) to[i] += partial_[(span - 1) * size + i];
    });
  }

 private:
  const LinearBackward& a_;
  const Blocks spans_, columns_;
  float* partial_ = nullptr;
};

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
  const int64_t rows = a.dy[0];
  if (rows == 0 && a.dweight && !a.accumulate_dweight)
    std::memset(a.dweight.data, 0, static_cast<size_t>(a.dweight.bytes()));
  const Blocks row = row_blocks(rows);
  const WeightGradient gradient(a);
  const int64_t wgrad = a.dweight ? gradient.tasks() : 0, dgrad = a.dx ? row.parts() : 0;
  device.pool().for_each(rows > 0 ? wgrad + dgrad : 0, [&](int64_t task, int) {
    if (task < wgrad) return gradient.run(task);
    dgrad_block(a.dy, a.weight, a.dx, a.accumulate_dx, row.begin(task - wgrad), row.end(task - wgrad));
  });
  if (wgrad > 0) gradient.add_partial_sums(device);
}

}  // namespace ballast::ops::cpu
