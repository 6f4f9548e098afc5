// grouped_linear on the CPU: (expert, row block) tasks over the workers. Experts with few rows use the kernels that
// read the weights once, in ranges of their outputs; an expert that takes all rows is cut like any other.
#include <atomic>
#include <cstring>
#include <vector>

#include "ops/gemv_cpu.h"
#include "ops/grouped_linear/backends.h"
#include "ops/linear/blocks_cpu.h"

namespace ballast::ops::cpu {
namespace {

struct Task {
  int64_t expert, begin, end;  // rows (of the expert), or outputs
  enum { rows, outputs, weights } kind;
};

std::vector<Task>& task_list() {
  static thread_local std::vector<Task> list;  // keeps its memory between calls
  list.clear();
  return list;
}

void add(std::vector<Task>& list, int64_t expert, const Blocks& blocks, decltype(Task::kind) kind) {
  for (int64_t i = 0; i < blocks.parts(); ++i) list.push_back({expert, blocks.begin(i), blocks.end(i), kind});
}

// Rows of an expert with its padding, which is zero.
Tensor expert_rows(const Ragged& x, const Tensor& rows, int64_t e) {
  const int32_t* offs = x.offs.as<int32_t>();
  return rows.rows(offs[e], offs[e + 1]);
}

// Row blocks of about a 32nd of all rows: the workers end together whether experts are level or one takes all.
Blocks row_blocks(const Ragged& x, int64_t rows) {
  const int64_t all = x.offs.as<int32_t>()[x.experts()];
  return {rows, ceil_div(rows, std::clamp<int64_t>(all / 32, 128, 1024)), 32};
}

void zero_rows(const Tensor& t) {
  for (int64_t r = 0; r < t[0]; ++r)
    std::memset(t.rows(r, r + 1).data, 0, static_cast<size_t>(t[1]) * size_of(t.dtype));
}

void forward_task(const GroupedLinearForward& a, const Task& task) {
  const Tensor x = expert_rows(a.x, a.x.rows, task.expert), y = expert_rows(a.x, a.y, task.expert);
  const Tensor weight = a.weight.index(task.expert);
  if (a.executed && task.begin == 0) std::atomic_ref(*a.executed.as<int64_t>()).fetch_add(1, std::memory_order_relaxed);
  if (task.kind == Task::rows)
    return forward_block(x, weight, y, false, task.begin, task.end, 0, weight[0]);
  const int64_t count = a.x.count.as<int32_t>()[task.expert];
  gemv(x.rows(0, count), weight, y, false, task.begin, task.end);
  zero_rows(y.rows(count, y[0]).cols(task.begin, task.end));
}

void backward_task(const GroupedLinearBackward& a, const Task& task) {
  const Tensor dy = expert_rows(a.x, a.dy, task.expert);
  if (task.kind == Task::rows)
    return dgrad_block(dy, a.weight.index(task.expert), expert_rows(a.x, a.dx, task.expert), false, task.begin,
                       task.end);
  const Tensor dweight = a.dweight.index(task.expert);
  if (dy[0] > 0)
    wgrad_block(dy, expert_rows(a.x, a.x.rows, task.expert), dweight, a.accumulate_dweight, task.begin, task.end);
  else if (!a.accumulate_dweight)
    std::memset(dweight.data, 0, static_cast<size_t>(dweight.bytes()));
}

}  // namespace

void grouped_linear_forward(Device& device, const GroupedLinearForward& a) {
  const int32_t *count = a.x.count.as<int32_t>(), *offs = a.x.offs.as<int32_t>();
  const int64_t outputs = a.weight[1];
  auto& tasks = task_list();
  for (int64_t e = 0; e < a.x.experts(); ++e) {
    if (count[e] == 0) continue;
    if (count[e] <= kGemvRows) add(tasks, e, {outputs, ceil_div(outputs * a.weight[2], 1 << 17), 48}, Task::outputs);
    else add(tasks, e, row_blocks(a.x, offs[e + 1] - offs[e]), Task::rows);
  }
  device.pool().for_each(static_cast<int64_t>(tasks.size()), [&](int64_t i, int) { forward_task(a, tasks[i]); });
}

void grouped_linear_backward(Device& device, const GroupedLinearBackward& a) {
  const int32_t* offs = a.x.offs.as<int32_t>();
  const int64_t experts = a.x.experts(), outputs = a.weight[1], all = std::max(1, offs[experts]);
  auto& tasks = task_list();
  for (int64_t e = 0; e < experts && a.dweight; ++e) {
    const int64_t rows = offs[e + 1] - offs[e];
    const int64_t parts = rows > 0 ? std::min(ceil_div(outputs, 64), std::max<int64_t>(1, 16 * rows / all)) : 1;
    add(tasks, e, {outputs, parts, 16}, Task::weights);
  }
  for (int64_t e = 0; e < experts && a.dx; ++e)
    if (offs[e + 1] > offs[e]) add(tasks, e, row_blocks(a.x, offs[e + 1] - offs[e]), Task::rows);
  device.pool().for_each(static_cast<int64_t>(tasks.size()), [&](int64_t i, int) { backward_task(a, tasks[i]); });
}

}  // namespace ballast::ops::cpu
