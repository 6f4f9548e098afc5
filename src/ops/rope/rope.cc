#include "ops/rope/rope.h"

#include "ops/rope/backends.h"
#include "ops/rope/ref.h"

namespace ballast::ops {

void Rope::check() const {
  const char* op = "rope";
  expect_shape(op, "x", x, {-1, -1, -1});
  if (x[2] % 2 != 0) fail(ErrorKind::shape, op, "x is {}: rotated pairs need an even width", x.shape_string());
  expect_rows_dense(op, "x", x);
  expect_shape(op, "positions", positions, {x[0]});
  expect_dtype(op, "positions", positions, DType::i32);
  expect_shape(op, "inv_freq", inv_freq, {x[2] / 2});
  expect_full(op, "inv_freq", inv_freq);
}

Cost Rope::cost() const {
  const double n = double(x.size());
  return {3 * n, 2 * n * double(size_of(x.dtype))};
}

void rope(Device& device, const Rope& a) {
  a.check();
  OpScope scope(device, "rope", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref: return dispatch_ref("rope", a.x.dtype, [&]<class T>() { ref::rope<T>(a); });
    case DeviceKind::cpu: return cpu::rope(device, a);
    case DeviceKind::cuda: return unsupported("rope", device);
  }
}

}  // namespace ballast::ops
