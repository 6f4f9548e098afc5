#include "ops/embed/embed.h"

#include "ops/embed/backends.h"
#include "ops/embed/ref.h"

namespace ballast::ops {

void EmbedForward::check() const {
  const char* op = "embed.forward";
  expect_shape(op, "ids", ids, {-1});
  expect_dtype(op, "ids", ids, DType::i32);
  expect_shape(op, "table", table, {-1, -1});
  expect_shape(op, "y", y, {ids[0], table[1]});
  expect_same_dtype(op, "y", y, table);
  for (const Tensor& t : {table, y}) expect_rows_dense(op, "table, y", t);
}

Cost EmbedForward::cost() const { return {0, 2.0 * double(y.bytes()) + double(ids.bytes())}; }

void EmbedBackward::check() const {
  const char* op = "embed.backward";
  expect_shape(op, "ids", ids, {-1});
  expect_dtype(op, "ids", ids, DType::i32);
  expect_shape(op, "dtable", dtable, {-1, -1});
  expect_full(op, "dtable", dtable);
  expect_shape(op, "dy", dy, {ids[0], dtable[1]});
  for (const Tensor& t : {dtable, dy}) expect_rows_dense(op, "dtable, dy", t);
}

Cost EmbedBackward::cost() const {
  const double touched = 2.0 * double(dy.size()) * double(size_of(dtable.dtype));
  return {double(dy.size()), double(dy.bytes()) + touched + (accumulate ? 0.0 : double(dtable.bytes()))};
}

void embed_forward(Device& device, const EmbedForward& a) {
  a.check();
  OpScope scope(device, "embed.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("embed.forward", a.y.dtype, [&]<class T>() { ref::embed_forward<T>(a); });
    case DeviceKind::cpu: return cpu::embed_forward(device, a);
    case DeviceKind::cuda: return unsupported("embed.forward", device);
  }
}

void embed_backward(Device& device, const EmbedBackward& a) {
  a.check();
  OpScope scope(device, "embed.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("embed.backward", a.dy.dtype, [&]<class T>() { ref::embed_backward<T>(a); });
    case DeviceKind::cpu: return cpu::embed_backward(device, a);
    case DeviceKind::cuda: return unsupported("embed.backward", device);
  }
}

}  // namespace ballast::ops
