#include "ops/permute/permute.h"

#include "ops/permute/backends.h"
#include "ops/permute/ref.h"

namespace ballast::ops {

void PermuteForward::check() const {
  const char* op = "permute.forward";
  expect_shape(op, "x", x, {-1, -1});
  expect_rows_dense(op, "x", x);
  expect_shape(op, "ids", ids, {x[0], -1});
  expect_dtype(op, "ids", ids, DType::i32);
  const int64_t experts = expert_end - expert_begin, slots = ids.size();
  if (experts < 1) fail(ErrorKind::shape, op, "no experts in [{}, {})", expert_begin, expert_end);
  if (out.align < 1) fail(ErrorKind::shape, op, "alignment {}", out.align);
  expect_shape(op, "count", out.count, {experts});
  expect_dtype(op, "count", out.count, DType::i32);
  expect_shape(op, "offs", out.offs, {experts + 1});
  expect_dtype(op, "offs", out.offs, DType::i32);
  expect_shape(op, "rows", out.rows, {-1, x[1]});
  expect_same_dtype(op, "rows", out.rows, x);
  const int64_t capacity = Ragged::capacity(x[0], ids[1], experts, out.align);
  if (out.rows[0] < capacity)
    fail(ErrorKind::shape, op, "rows is {}, {} slots of {} experts need {} rows", out.rows.shape_string(), slots,
         experts, capacity);
  expect_shape(op, "row_of", row_of, {x[0], ids[1]});
  expect_dtype(op, "row_of", row_of, DType::i32);
  expect_shape(op, "slot_of", slot_of, {out.rows[0]});
  expect_dtype(op, "slot_of", slot_of, DType::i32);
}

Cost PermuteForward::cost() const {
  const double k = double(ids[1]);
  return {0, double(x.bytes()) * (1 + k) + 3.0 * double(ids.bytes())};
}

void PermuteBackward::check() const {
  const char* op = "permute.backward";
  expect_shape(op, "dx", dx, {-1, -1});
  expect_shape(op, "row_of", row_of, {dx[0], -1});
  expect_dtype(op, "row_of", row_of, DType::i32);
  expect_shape(op, "drows", drows, {-1, dx[1]});
  expect_same_dtype(op, "drows", drows, dx);
}

Cost PermuteBackward::cost() const {
  const double k = double(row_of[1]), n = double(dx.size());
  return {n * k, double(dx.bytes()) * (k + 1) + double(row_of.bytes())};
}

void permute_forward(Device& device, const PermuteForward& a) {
  a.check();
  OpScope scope(device, "permute.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("permute.forward", a.x.dtype, [&]<class T>() { ref::permute_forward<T>(a); });
    case DeviceKind::cpu: return cpu::permute_forward(device, a);
    case DeviceKind::cuda: return cuda::permute_forward(device, a);
  }
}

void permute_backward(Device& device, const PermuteBackward& a) {
  a.check();
  OpScope scope(device, "permute.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("permute.backward", a.dx.dtype, [&]<class T>() { ref::permute_backward<T>(a); });
    case DeviceKind::cpu: return cpu::permute_backward(device, a);
    case DeviceKind::cuda: return cuda::permute_backward(device, a);
  }
}

}  // namespace ballast::ops
