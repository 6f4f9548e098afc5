#include "ops/add_bias/add_bias.h"

#include "ops/add_bias/backends.h"
#include "ops/add_bias/ref.h"

namespace ballast::ops {

void AddBiasForward::check() const {
  const char* op = "add_bias.forward";
  expect_shape(op, "x", x, {-1, -1});
  expect_shape(op, "bias", bias, {x[1]});
  expect_full(op, "bias", bias);
  expect_shape(op, "y", y, {x[0], x[1]});
  expect_same_dtype(op, "y", y, x);
  for (const Tensor& t : {x, y}) expect_rows_dense(op, "x, y", t);
}

Cost AddBiasForward::cost() const { return {double(x.size()), double(2 * x.bytes() + bias.bytes())}; }

void AddBiasBackward::check() const {
  const char* op = "add_bias.backward";
  expect_shape(op, "dy", dy, {-1, -1});
  expect_rows_dense(op, "dy", dy);
  expect_shape(op, "dbias", dbias, {dy[1]});
  expect_full(op, "dbias", dbias);
}

Cost AddBiasBackward::cost() const { return {double(dy.size()), double(dy.bytes() + dbias.bytes())}; }

void add_bias_forward(Device& device, const AddBiasForward& a) {
  a.check();
  OpScope scope(device, "add_bias.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("add_bias.forward", a.x.dtype, [&]<class T>() { ref::add_bias_forward<T>(a); });
    case DeviceKind::cpu: return cpu::add_bias_forward(device, a);
    case DeviceKind::cuda: return unsupported("add_bias.forward", device);
  }
}

void add_bias_backward(Device& device, const AddBiasBackward& a) {
  a.check();
  OpScope scope(device, "add_bias.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("add_bias.backward", a.dy.dtype, [&]<class T>() { ref::add_bias_backward<T>(a); });
    case DeviceKind::cpu: return cpu::add_bias_backward(device, a);
    case DeviceKind::cuda: return unsupported("add_bias.backward", device);
  }
}

}  // namespace ballast::ops
