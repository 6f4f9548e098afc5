#include "ops/combine/combine.h"

#include "ops/combine/backends.h"
#include "ops/combine/ref.h"

namespace ballast::ops {

void CombineForward::check() const {
  const char* op = "combine.forward";
  expect_shape(op, "y", y, {-1, -1});
  expect_shape(op, "rows", rows, {-1, y[1]});
  expect_shape(op, "row_of", row_of, {y[0], -1});
  expect_dtype(op, "row_of", row_of, DType::i32);
  expect_shape(op, "weights", weights, {y[0], row_of[1]});
  expect_full(op, "weights", weights);
  expect_same_dtype(op, "rows", rows, y);
  if (base) {
    expect_shape(op, "base", base, {y[0], y[1]});
    expect_same_dtype(op, "base", base, y);
    expect_rows_dense(op, "base", base);
  }
  for (const Tensor& t : {rows, y}) expect_rows_dense(op, "rows, y", t);
}

Cost CombineForward::cost() const {
  const double n = double(y.size()), slots = double(row_of[1]);
  return {2 * n * slots, n * double(size_of(y.dtype)) * (slots + (base ? 2 : 1))};
}

void CombineBackward::check() const {
  const char* op = "combine.backward";
  expect_shape(op, "dy", dy, {-1, -1});
  expect_shape(op, "rows", rows, {-1, dy[1]});
  expect_shape(op, "drows", drows, {rows[0], dy[1]});
  expect_shape(op, "row_of", row_of, {dy[0], -1});
  expect_shape(op, "slot_of", slot_of, {rows[0]});
  expect_shape(op, "offs", offs, {-1});
  for (const Tensor& t : {row_of, slot_of, offs}) expect_dtype(op, "row_of, slot_of, offs", t, DType::i32);
  for (const Tensor& t : {rows, drows}) expect_same_dtype(op, "rows, drows", t, dy);
  for (const auto& [name, t] : {std::pair("weights", weights), std::pair("dweights", dweights)}) {
    expect_shape(op, name, t, {dy[0], row_of[1]});
    expect_full(op, name, t);
  }
  for (const Tensor& t : {dy, rows, drows}) expect_rows_dense(op, "dy, rows, drows", t);
}

Cost CombineBackward::cost() const {
  const double n = double(dy.size()), slots = double(row_of[1]);
  return {3 * n * slots, n * double(size_of(dy.dtype)) * (2 * slots + 1)};
}

void combine_forward(Device& device, const CombineForward& a) {
  a.check();
  OpScope scope(device, "combine.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("combine.forward", a.y.dtype, [&]<class T>() { ref::combine_forward<T>(a); });
    case DeviceKind::cpu: return cpu::combine_forward(device, a);
    case DeviceKind::cuda: return unsupported("combine.forward", device);
  }
}

void combine_backward(Device& device, const CombineBackward& a) {
  a.check();
  OpScope scope(device, "combine.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("combine.backward", a.dy.dtype, [&]<class T>() { ref::combine_backward<T>(a); });
    case DeviceKind::cpu: return cpu::combine_backward(device, a);
    case DeviceKind::cuda: return unsupported("combine.backward", device);
  }
}

}  // namespace ballast::ops
