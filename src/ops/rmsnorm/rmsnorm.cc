#include "ops/rmsnorm/rmsnorm.h"

#include "ops/rmsnorm/backends.h"
#include "ops/rmsnorm/ref.h"

namespace ballast::ops {

void RmsNormForward::check() const {
  const char* op = "rmsnorm.forward";
  expect_shape(op, "x", x, {-1, -1});
  expect_shape(op, "weight", weight, {x[1]});
  expect_full(op, "weight", weight);
  expect_shape(op, "y", y, {x[0], x[1]});
  expect_same_dtype(op, "y", y, x);
  expect_shape(op, "rstd", rstd, {x[0]});
  expect_full(op, "rstd", rstd);
  for (const Tensor& t : {x, y}) expect_rows_dense(op, "x, y", t);
  if (bool(residual) != bool(sum)) fail(ErrorKind::shape, op, "residual and sum come together");
  if (residual) {
    expect_shape(op, "residual", residual, {x[0], x[1]});
    expect_shape(op, "sum", sum, {x[0], x[1]});
    expect_same_dtype(op, "residual", residual, x);
    expect_same_dtype(op, "sum", sum, x);
  }
}

Cost RmsNormForward::cost() const {
  const double n = double(x.size()), element = double(size_of(x.dtype));
  return {(residual ? 5 : 4) * n, n * element * (residual ? 4 : 2)};
}

void RmsNormBackward::check() const {
  const char* op = "rmsnorm.backward";
  expect_shape(op, "s", s, {-1, -1});
  for (const auto& [name, t] : {std::pair("dy", dy), std::pair("dx", dx)}) {
    expect_shape(op, name, t, {s[0], s[1]});
    expect_same_dtype(op, name, t, s);
  }
  if (dsum) {
    expect_shape(op, "dsum", dsum, {s[0], s[1]});
    expect_same_dtype(op, "dsum", dsum, s);
  }
  expect_shape(op, "weight", weight, {s[1]});
  expect_shape(op, "dweight", dweight, {s[1]});
  expect_shape(op, "rstd", rstd, {s[0]});
  for (const auto& [name, t] : {std::pair("weight", weight), std::pair("dweight", dweight), std::pair("rstd", rstd)})
    expect_full(op, name, t);
}

Cost RmsNormBackward::cost() const {
  const double n = double(s.size()), element = double(size_of(s.dtype));
  return {9 * n, n * element * (dsum ? 4 : 3)};
}

void rmsnorm_forward(Device& device, const RmsNormForward& a) {
  a.check();
  OpScope scope(device, "rmsnorm.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("rmsnorm.forward", a.x.dtype, [&]<class T>() { ref::rmsnorm_forward<T>(a); });
    case DeviceKind::cpu: return cpu::rmsnorm_forward(device, a);
    case DeviceKind::cuda: return cuda::rmsnorm_forward(device, a);
  }
}

void rmsnorm_backward(Device& device, const RmsNormBackward& a) {
  a.check();
  OpScope scope(device, "rmsnorm.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("rmsnorm.backward", a.s.dtype, [&]<class T>() { ref::rmsnorm_backward<T>(a); });
    case DeviceKind::cpu: return cpu::rmsnorm_backward(device, a);
    case DeviceKind::cuda: return cuda::rmsnorm_backward(device, a);
  }
}

}  // namespace ballast::ops
