// grouped_linear on the CPU: (expert, row block) tasks over the workers. Experts with few rows use the kernels that
// read the weights once, in ranges of their outputs; an expert that takes all rows is cut like any other. Mapped experts
// of another type than x's are multiplied as they are for a few rows; for many they are converted once, a tile of
// their rows at a time, in the worker's scratch.
#include <atomic>
#include <cstring>
#include <vector>

#include "ops/gemv_cpu.h"
#include "ops/grouped_linear/backends.h"
#include "ops/linear/blocks_cpu.h"
#include "ops/scratch_cpu.h"

namespace ballast::ops::cpu {
namespace {

struct Task {
  int64_t expert, part;  // of a mapped expert: which of its matrices
  int64_t begin, end;    // rows (of the expert), or outputs (of the part)
  enum { rows, outputs, tiles, weights } kind;
};

std::vector<Task>& task_list() {
  static thread_local std::vector<Task> list;  // keeps its memory between calls
  list.clear();
  return list;
}

void add(std::vector<Task>& list, int64_t expert, int64_t part, const Blocks& blocks, decltype(Task::kind) kind) {
  for (int64_t i = 0; i < blocks.parts(); ++i) list.push_back({expert, part, blocks.begin(i), blocks.end(i), kind});
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

// One matrix of an expert, (n, K), where its elements can be read as they are: f32 or bf16. Of codes, absent.
Tensor expert_matrix(const GroupedLinearForward& a, int64_t expert, int64_t part) {
  if (!a.mapped) return a.weight.index(expert);
  const MappedMatrix& m = a.mapped->matrix(expert, part);
  if (!m.scales.empty()) return {};
  return Tensor(const_cast<void*>(m.data), DType::bf16, {a.mapped->part_rows(), a.mapped->cols});
}

// Rows [begin, end) of a mapped matrix in x's type, in this worker's scratch.
Tensor convert_tile(const MappedMatrix& m, DType type, int64_t begin, int64_t end, int64_t width) {
  static thread_local Scratch<std::byte> scratch;
  const size_t size = static_cast<size_t>((end - begin) * width);
  const Tensor tile(scratch.at_least(size * size_of(type)), type, {end - begin, width});
  if (m.scales.empty())
    widen(static_cast<const bf16*>(m.data) + begin * width, width, tile.as<float>(), width, end - begin, width);
  else
    dequantize(static_cast<const e4m3*>(m.data), m.scales.data(), begin, end, tile);
  return tile;
}

void forward_task(const GroupedLinearForward& a, const Task& task) {
  const Tensor x = expert_rows(a.x, a.x.rows, task.expert);
  const Tensor weight = expert_matrix(a, task.expert, task.part);
  const int64_t outputs = a.mapped ? a.mapped->part_rows() : weight[0];
  const Tensor y = expert_rows(a.x, a.y, task.expert).cols(task.part * outputs, (task.part + 1) * outputs);
  if (a.executed && task.part == 0 && task.begin == 0)
    std::atomic_ref(*a.executed.as<int64_t>()).fetch_add(1, std::memory_order_relaxed);
  if (task.kind == Task::rows) return forward_block(x, weight, y, false, task.begin, task.end, 0, outputs);
  const int64_t count = a.x.count.as<int32_t>()[task.expert];
  if (task.kind == Task::tiles) {
    const Tensor tile =
        convert_tile(a.mapped->matrix(task.expert, task.part), x.dtype, task.begin, task.end, a.mapped->cols);
    forward_block(x, tile, y.cols(task.begin, task.end), false, 0, x[0], 0, tile[0]);
  } else if (weight) {
    gemv(x.rows(0, count), weight, y, false, task.begin, task.end);
  } else {
    const MappedMatrix& m = a.mapped->matrix(task.expert, task.part);
    gemv_fp8(x.rows(0, count), static_cast<const e4m3*>(m.data), m.scales.data(), y, task.begin, task.end);
  }
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
  const int64_t parts = a.mapped ? a.mapped->parts : 1, width = a.x.rows[1], outputs = a.y[1] / parts;
  auto& tasks = task_list();
  for (int64_t e = 0; e < a.x.experts(); ++e) {
    if (count[e] == 0) continue;
    for (int64_t part = 0; part < parts; ++part) {
      const Tensor weight = expert_matrix(a, e, part);
      if (count[e] <= kGemvRows) add(tasks, e, part, {outputs, ceil_div(outputs * width, 1 << 17), 48}, Task::outputs);
      else if (weight && weight.dtype == a.x.rows.dtype)
        add(tasks, e, part, row_blocks(a.x, offs[e + 1] - offs[e]), Task::rows);
      else add(tasks, e, part, {outputs, ceil_div(outputs, kFp8Block), kFp8Block}, Task::tiles);
    }
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
    add(tasks, e, 0, {outputs, parts, 16}, Task::weights);
  }
  for (int64_t e = 0; e < experts && a.dx; ++e)
    if (offs[e + 1] > offs[e]) add(tasks, e, 0, row_blocks(a.x, offs[e + 1] - offs[e]), Task::rows);
  device.pool().for_each(static_cast<int64_t>(tasks.size()), [&](int64_t i, int) { backward_task(a, tasks[i]); });
}

}  // namespace ballast::ops::cpu
