#include "ops/grouped_linear/grouped_linear.h"

#include <algorithm>

#include "ops/grouped_linear/backends.h"
#include "ops/grouped_linear/ref.h"

namespace ballast::ops {
namespace {

void expect_ragged(const char* op, const Ragged& x, int64_t experts) {
  expect_shape(op, "x.rows", x.rows, {-1, -1});
  expect_rows_dense(op, "x.rows", x.rows);
  expect_shape(op, "x.count", x.count, {experts});
  expect_dtype(op, "x.count", x.count, DType::i32);
  expect_shape(op, "x.offs", x.offs, {experts + 1});
  expect_dtype(op, "x.offs", x.offs, DType::i32);
}

// Rows without padding, as far as shapes tell: the counts are on the device.
double routed_rows(const Ragged& x) {
  return double(std::max<int64_t>(0, x.rows[0] - x.experts() * (x.align - 1)));
}

struct Extents {
  int64_t experts, outputs, inputs;
};
Extents extents(const GroupedLinearForward& a) {
  if (a.mapped) return {a.mapped->experts, a.mapped->rows, a.mapped->cols};
  return {a.weight[0], a.weight[1], a.weight[2]};
}

}  // namespace

void GroupedLinearForward::check() const {
  const char* op = "grouped_linear.forward";
  if (bool(weight) == (mapped != nullptr)) fail(ErrorKind::shape, op, "needs weight or mapped, and not both");
  expect_shape(op, "x.rows", x.rows, {-1, -1});
  const Extents w = extents(*this);
  expect_ragged(op, x, w.experts);
  if (mapped) {
    if (w.inputs != x.rows[1])
      fail(ErrorKind::shape, op, "mapped experts have {} columns, x.rows is {}", w.inputs, x.rows.shape_string());
  } else {
    expect_shape(op, "weight", weight, {-1, -1, x.rows[1]});
    expect_same_dtype(op, "weight", weight, x.rows);
    if (!weight.contiguous()) fail(ErrorKind::shape, op, "weight is {} and strided", weight.shape_string());
  }
  expect_shape(op, "y", y, {x.rows[0], w.outputs});
  expect_same_dtype(op, "y", y, x.rows);
  expect_rows_dense(op, "y", y);
  if (executed) {
    expect_shape(op, "executed", executed, {1});
    expect_dtype(op, "executed", executed, DType::i64);
  }
}

Cost GroupedLinearForward::cost() const {
  const Extents w = extents(*this);
  const double rows = routed_rows(x), n = double(w.outputs), k = double(w.inputs);
  return {2 * rows * n * k, rows * (n + k) * double(size_of(x.rows.dtype)) +
                                double(mapped ? mapped->bytes() : weight.bytes())};
}

void GroupedLinearBackward::check() const {
  const char* op = "grouped_linear.backward";
  expect_shape(op, "weight", weight, {-1, -1, x.rows[1]});
  expect_ragged(op, x, weight[0]);
  expect_same_dtype(op, "weight", weight, x.rows);
  if (!weight.contiguous()) fail(ErrorKind::shape, op, "weight is {} and strided", weight.shape_string());
  expect_shape(op, "dy", dy, {x.rows[0], weight[1]});
  expect_same_dtype(op, "dy", dy, x.rows);
  expect_rows_dense(op, "dy", dy);
  if (!dx && !dweight) fail(ErrorKind::shape, op, "neither dx nor dweight is asked for");
  if (dx) {
    expect_shape(op, "dx", dx, {x.rows[0], x.rows[1]});
    expect_same_dtype(op, "dx", dx, x.rows);
    expect_rows_dense(op, "dx", dx);
  }
  if (dweight) {
    expect_shape(op, "dweight", dweight, {weight[0], weight[1], weight[2]});
    expect_full(op, "dweight", dweight);
    if (!dweight.contiguous()) fail(ErrorKind::shape, op, "dweight is {} and strided", dweight.shape_string());
  }
}

Cost GroupedLinearBackward::cost() const {
  const double rows = routed_rows(x), element = double(size_of(x.rows.dtype)), n = double(weight[1]),
               k = double(weight[2]);
  Cost c;
  if (dx) c += {2 * rows * n * k, rows * (n + k) * element + double(weight.bytes())};
  if (dweight)
    c += {2 * rows * n * k, rows * (n + k) * element + double(dweight.bytes()) * (accumulate_dweight ? 2 : 1)};
  return c;
}

void grouped_linear_forward(Device& device, const GroupedLinearForward& a) {
  a.check();
  OpScope scope(device, "grouped_linear.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("grouped_linear.forward", a.x.rows.dtype,
                          [&]<class T>() { ref::grouped_linear_forward<T>(a); });
    case DeviceKind::cpu: return cpu::grouped_linear_forward(device, a);
    case DeviceKind::cuda: return unsupported("grouped_linear.forward", device);
  }
}

void grouped_linear_backward(Device& device, const GroupedLinearBackward& a) {
  a.check();
  OpScope scope(device, "grouped_linear.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("grouped_linear.backward", a.x.rows.dtype,
                               [&]<class T>() { ref::grouped_linear_backward<T>(a); });
    case DeviceKind::cpu: return cpu::grouped_linear_backward(device, a);
    case DeviceKind::cuda: return unsupported("grouped_linear.backward", device);
  }
}

}  // namespace ballast::ops
