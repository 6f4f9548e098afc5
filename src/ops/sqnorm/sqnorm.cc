#include "ops/sqnorm/sqnorm.h"

#include "ops/sqnorm/backends.h"
#include "ops/sqnorm/ref.h"

namespace ballast::ops {

void SquaredNorm::check() const {
  const char* op = "squared_norm";
  expect_shape(op, "x", x, {-1});
  expect_full(op, "x", x);
  expect_rows_dense(op, "x", x);
  expect_shape(op, "out", out, {1});
  expect_same_dtype(op, "out", out, x);
}

Cost SquaredNorm::cost() const { return {2 * double(x.size()), double(x.bytes())}; }

void ClipScale::check() const {
  const char* op = "clip_scale";
  for (const auto& [name, t] :
       {std::pair("squared_norm", squared_norm), std::pair("norm", norm), std::pair("grad_scale", grad_scale)}) {
    expect_shape(op, name, t, {1});
    expect_full(op, name, t);
  }
  for (const auto& [name, t] : {std::pair("nonfinite", nonfinite), std::pair("skip", skip)}) {
    expect_shape(op, name, t, {1});
    expect_dtype(op, name, t, DType::i32);
  }
  if (!(max_norm >= 0)) fail(ErrorKind::usage, op, "max_norm is {}, expected 0 (no clipping) or more", max_norm);
}

Cost ClipScale::cost() const { return {}; }

void squared_norm(Device& device, const SquaredNorm& a) {
  a.check();
  OpScope scope(device, "squared_norm", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("squared_norm", a.x.dtype, [&]<class T>() { ref::squared_norm<T>(a); });
    case DeviceKind::cpu: return cpu::squared_norm(device, a);
    case DeviceKind::cuda: return unsupported("squared_norm", device);
  }
}

void clip_scale(Device& device, const ClipScale& a) {
  a.check();
  OpScope scope(device, "clip_scale", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("clip_scale", a.norm.dtype, [&]<class T>() { ref::clip_scale<T>(a); });
    case DeviceKind::cpu: return ref::clip_scale<float>(a);  // four scalars
    case DeviceKind::cuda: return unsupported("clip_scale", device);
  }
}

}  // namespace ballast::ops
