#include "ops/linear/linear.h"

#include "ops/linear/backends.h"
#include "ops/linear/ref.h"

namespace ballast::ops {

void LinearForward::check() const {
  const char* op = "linear.forward";
  expect_shape(op, "x", x, {-1, -1});
  expect_shape(op, "weight", weight, {-1, x[1]});
  expect_shape(op, "y", y, {x[0], weight[0]});
  expect_same_dtype(op, "weight", weight, x);
  if (y.dtype != x.dtype && !(x.dtype == DType::bf16 && y.dtype == DType::f32))
    fail(ErrorKind::shape, op, "y is {}, x is {}: y is stored as x is, or in f32", y.shape_string(), x.shape_string());
  for (const auto& [name, t] : {std::pair("x", x), std::pair("y", y)}) expect_rows_dense(op, name, t);
  if (!weight.contiguous()) fail(ErrorKind::shape, op, "weight is {} with strided rows", weight.shape_string());
}

Cost LinearForward::cost() const {
  return {2.0 * double(x.size()) * double(weight[0]),
          double(x.bytes()) + double(weight.bytes()) + double(y.bytes()) * (accumulate ? 2 : 1)};
}

void LinearBackward::check() const {
  const char* op = "linear.backward";
  expect_shape(op, "dy", dy, {-1, -1});
  expect_rows_dense(op, "dy", dy);
  if (!dx && !dweight) fail(ErrorKind::shape, op, "neither dx nor dweight is asked for");
  if (dx) {
    expect_shape(op, "weight", weight, {dy[1], -1});
    expect_same_dtype(op, "weight", weight, dy);
    if (!weight.contiguous()) fail(ErrorKind::shape, op, "weight is {} with strided rows", weight.shape_string());
    expect_shape(op, "dx", dx, {dy[0], weight[1]});
    expect_same_dtype(op, "dx", dx, dy);
    expect_rows_dense(op, "dx", dx);
  }
  if (dweight) {
    expect_shape(op, "x", x, {dy[0], -1});
    expect_same_dtype(op, "x", x, dy);
    expect_rows_dense(op, "x", x);
    expect_shape(op, "dweight", dweight, {dy[1], x[1]});
    expect_full(op, "dweight", dweight);
    if (!dweight.contiguous()) fail(ErrorKind::shape, op, "dweight is {} with strided rows", dweight.shape_string());
  }
}

Cost LinearBackward::cost() const {
  const double product = 2.0 * double(dy.size());
  Cost c;
  if (dx) c += {product * double(dx[1]), double(dy.bytes()) + double(weight.bytes()) + double(dx.bytes())};
  if (dweight)
    c += {product * double(x[1]),
          double(dy.bytes()) + double(x.bytes()) + double(dweight.bytes()) * (accumulate_dweight ? 2 : 1)};
  return c;
}

void linear_forward(Device& device, const LinearForward& a) {
  a.check();
  OpScope scope(device, "linear.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("linear.forward", a.x.dtype, [&]<class T>() { ref::linear_forward<T>(a); });
    case DeviceKind::cpu: return cpu::linear_forward(device, a);
    case DeviceKind::cuda: return cuda::linear_forward(device, a);
  }
}

void linear_backward(Device& device, const LinearBackward& a) {
  a.check();
  OpScope scope(device, "linear.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("linear.backward", a.dy.dtype, [&]<class T>() { ref::linear_backward<T>(a); });
    case DeviceKind::cpu: return cpu::linear_backward(device, a);
    case DeviceKind::cuda: return cuda::linear_backward(device, a);
  }
}

}  // namespace ballast::ops
