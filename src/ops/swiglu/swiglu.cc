#include "ops/swiglu/swiglu.h"

#include "ops/swiglu/backends.h"
#include "ops/swiglu/ref.h"

namespace ballast::ops {
namespace {

void check_groups(const char* op, const Tensor& offs, const Tensor& count) {
  if (bool(offs) != bool(count)) fail(ErrorKind::shape, op, "offs and count come together");
  if (!offs) return;
  expect_shape(op, "count", count, {-1});
  expect_shape(op, "offs", offs, {count[0] + 1});
  expect_dtype(op, "offs", offs, DType::i32);
  expect_dtype(op, "count", count, DType::i32);
}

}  // namespace

void SwigluForward::check() const {
  const char* op = "swiglu.forward";
  expect_shape(op, "h", h, {-1, -1});
  expect_shape(op, "gate_up", gate_up, {h[0], 2 * h[1]});
  expect_same_dtype(op, "gate_up", gate_up, h);
  for (const Tensor& t : {gate_up, h}) expect_rows_dense(op, "gate_up, h", t);
  check_groups(op, offs, count);
}

Cost SwigluForward::cost() const {
  const double n = double(h.size());
  return {5 * n, 3 * n * double(size_of(h.dtype))};
}

void SwigluBackward::check() const {
  const char* op = "swiglu.backward";
  expect_shape(op, "dh", dh, {-1, -1});
  for (const auto& [name, t] : {std::pair("gate_up", gate_up), std::pair("dgate_up", dgate_up)}) {
    expect_shape(op, name, t, {dh[0], 2 * dh[1]});
    expect_same_dtype(op, name, t, dh);
    expect_rows_dense(op, name, t);
  }
  expect_rows_dense(op, "dh", dh);
  check_groups(op, offs, count);
}

Cost SwigluBackward::cost() const {
  const double n = double(dh.size());
  return {11 * n, 5 * n * double(size_of(dh.dtype))};
}

void swiglu_forward(Device& device, const SwigluForward& a) {
  a.check();
  OpScope scope(device, "swiglu.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("swiglu.forward", a.h.dtype, [&]<class T>() { ref::swiglu_forward<T>(a); });
    case DeviceKind::cpu: return cpu::swiglu_forward(device, a);
    case DeviceKind::cuda: return unsupported("swiglu.forward", device);
  }
}

void swiglu_backward(Device& device, const SwigluBackward& a) {
  a.check();
  OpScope scope(device, "swiglu.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("swiglu.backward", a.dh.dtype, [&]<class T>() { ref::swiglu_backward<T>(a); });
    case DeviceKind::cpu: return cpu::swiglu_backward(device, a);
    case DeviceKind::cuda: return unsupported("swiglu.backward", device);
  }
}

}  // namespace ballast::ops
