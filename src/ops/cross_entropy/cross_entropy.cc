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
}

Cost CrossEntropyForward::cost() const { return {4 * double(logits.size()), double(logits.bytes())}; }

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
      return dispatch_ref("cross_entropy.forward", a.logits.dtype, [&]<class T>() { ref::cross_entropy_forward<T>(a); });
    case DeviceKind::cpu: return cpu::cross_entropy_forward(device, a);
    case DeviceKind::cuda: return unsupported("cross_entropy.forward", device);
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
    case DeviceKind::cuda: return unsupported("cross_entropy.backward", device);
  }
}

}  // namespace ballast::ops
