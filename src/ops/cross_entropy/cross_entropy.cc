#include "ops/cross_entropy/cross_entropy.h"

#include "ops/cross_entropy/backends.h"
#include "ops/cross_entropy/ref.h"

namespace ballast::ops {

void CrossEntropyForward::check() const {
  const char* op = "cross_entropy.forward";
  expect_shape(op, "logits", logits, {-1, -1});
  expect_rows_dense(op, "logits", logits);
  expect_shape(op, "targets", targets, {logits[0]});
  expect_dtype(op, "targets", targets, DType::i32);
  for (const auto& [name, t] : {std::pair("loss", loss), std::pair("lse", lse)}) {
    expect_shape(op, name, t, {logits[0]});
    expect_same_dtype(op, name, t, logits);
  }
  expect_full(op, "logits", logits);
  if (correct) {
    expect_shape(op, "correct", correct, {logits[0]});
    expect_dtype(op, "correct", correct, DType::i32);
  }
  if (bool(scale) != bool(dlogits)) fail(ErrorKind::shape, op, "scale and dlogits come together");
  if (dlogits) backward().check();
}

CrossEntropyBackward CrossEntropyForward::backward() const {
  return {.logits = logits, .targets = targets, .lse = lse, .scale = scale, .dlogits = dlogits};
}

Cost CrossEntropyForward::cost() const {
  return {(dlogits ? 8 : 4) * double(logits.size()), double(logits.bytes()) + (dlogits ? double(dlogits.bytes()) : 0)};
}

void CrossEntropyBackward::check() const {
  const char* op = "cross_entropy.backward";
  expect_shape(op, "logits", logits, {-1, -1});
  expect_rows_dense(op, "logits", logits);
  expect_full(op, "logits", logits);
  expect_shape(op, "targets", targets, {logits[0]});
  expect_dtype(op, "targets", targets, DType::i32);
  expect_shape(op, "lse", lse, {logits[0]});
  expect_same_dtype(op, "lse", lse, logits);
  expect_shape(op, "scale", scale, {1});
  expect_same_dtype(op, "scale", scale, logits);
  expect_shape(op, "dlogits", dlogits, {logits[0], logits[1]});
  expect_rows_dense(op, "dlogits", dlogits);
  if (dlogits.data == logits.data && logits[0] > 1 &&
      dlogits.stride[0] * int64_t(size_of(dlogits.dtype)) != logits.stride[0] * int64_t(size_of(logits.dtype)))
    fail(ErrorKind::shape, op, "dlogits in place of logits: its rows must start where theirs do");
}

Cost CrossEntropyBackward::cost() const {
  return {4 * double(logits.size()), double(logits.bytes()) + double(dlogits.bytes())};
}

void cross_entropy_forward(Device& device, const CrossEntropyForward& a) {
  a.check();
  OpScope scope(device, "cross_entropy.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      dispatch_ref("cross_entropy.forward", a.logits.dtype, [&]<class T>() { ref::cross_entropy_forward<T>(a); });
      if (a.dlogits)
        dispatch_ref_real("cross_entropy.forward", a.logits.dtype,
                          [&]<class T>() { ref::cross_entropy_backward<T>(a.backward()); });
      return;
    case DeviceKind::cpu: return cpu::cross_entropy_forward(device, a);
    case DeviceKind::cuda: return cuda::cross_entropy_forward(device, a);
  }
}

void cross_entropy_backward(Device& device, const CrossEntropyBackward& a) {
  a.check();
  OpScope scope(device, "cross_entropy.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("cross_entropy.backward", a.logits.dtype,
                               [&]<class T>() { ref::cross_entropy_backward<T>(a); });
    case DeviceKind::cpu: return cpu::cross_entropy_backward(device, a);
    case DeviceKind::cuda: return cuda::cross_entropy_backward(device, a);
  }
}

}  // namespace ballast::ops
