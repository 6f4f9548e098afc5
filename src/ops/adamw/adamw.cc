#include "ops/adamw/adamw.h"

#include "ops/adamw/backends.h"
#include "ops/adamw/ref.h"

namespace ballast::ops {

void AdamW::check() const {
  const char* op = "adamw";
  expect_shape(op, "master", master, {-1});
  for (const auto& [name, t] : {std::pair("m", m), std::pair("v", v), std::pair("grad", grad)}) {
    expect_shape(op, name, t, {master[0]});
    expect_same_dtype(op, name, t, master);
  }
  expect_full(op, "master", master);
  if (param) expect_shape(op, "param", param, {master[0]});
  expect_shape(op, "hyper", hyper, {4});
  expect_same_dtype(op, "hyper", hyper, master);
  expect_shape(op, "skip", skip, {1});
  expect_dtype(op, "skip", skip, DType::i32);
}

Cost AdamW::cost() const {
  const double n = double(master.size()), full = double(size_of(master.dtype));
  return {14 * n, n * (7 * full + (param ? double(size_of(param.dtype)) : 0))};
}

void adamw(Device& device, const AdamW& a) {
  a.check();
  OpScope scope(device, "adamw", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("adamw", a.master.dtype, [&]<class T>() { ref::adamw<T>(a); });
    case DeviceKind::cpu: return cpu::adamw(device, a);
    case DeviceKind::cuda: return cuda::adamw(device, a);
  }
}

}  // namespace ballast::ops
