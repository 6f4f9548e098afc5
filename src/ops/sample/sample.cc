#include "ops/sample/sample.h"

#include "ops/sample/backends.h"
#include "ops/sample/ref.h"

namespace ballast::ops {

void Sample::check() const {
  const char* op = "sample";
  expect_shape(op, "logits", logits, {-1, -1});
  if (logits[1] < 1) fail(ErrorKind::shape, op, "logits is {}: no token to draw", logits.shape_string());
  expect_full(op, "logits", logits);
  expect_rows_dense(op, "logits", logits);
  for (const auto& [name, t] : {std::pair("temperature", temperature), std::pair("top_p", top_p)}) {
    expect_shape(op, name, t, {logits[0]});
    expect_same_dtype(op, name, t, logits);
  }
  expect_shape(op, "key", key, {logits[0], 3});
  expect_dtype(op, "key", key, DType::i64);
  expect_shape(op, "token", token, {logits[0]});
  expect_dtype(op, "token", token, DType::i32);
}

Cost Sample::cost() const { return {4 * double(logits.size()), double(logits.bytes())}; }

void sample(Device& device, const Sample& a) {
  a.check();
  OpScope scope(device, "sample", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref: return dispatch_ref_real("sample", a.logits.dtype, [&]<class T>() { ref::sample<T>(a); });
    case DeviceKind::cpu: return cpu::sample(device, a);
    case DeviceKind::cuda: return unsupported("sample", device);
  }
}

}  // namespace ballast::ops
