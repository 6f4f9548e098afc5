#include "ops/mla_decode/mla_decode.h"

#include "ops/mla_decode/backends.h"
#include "ops/mla_decode/ref.h"

namespace ballast::ops {

void MlaDecode::check() const {
  const char* op = "mla_decode";
  expect_shape(op, "q", q, {-1, -1, -1});
  expect_shape(op, "kv_b", kv_b, {-1, -1});
  const int64_t rows = q[0], heads = q[1], rank = kv_b[1];
  expect_shape(op, "cache", cache, {rows, -1, -1});
  expect_shape(op, "o", o, {rows, heads, -1});
  const int64_t dr = cache[2] - rank;
  if (dr < 0 || q[2] < dr || kv_b[0] != heads * (q[2] - dr + o[2]))
    fail(ErrorKind::shape, op, "kv_b is {}, which does not fit q {}, cache {} and o {}", kv_b.shape_string(),
         q.shape_string(), cache.shape_string(), o.shape_string());
  expect_shape(op, "length", length, {rows});
  expect_dtype(op, "length", length, DType::i32);
  expect_shape(op, "scratch", scratch, {rows, heads, 2 * rank + cache[1]});
  expect_full(op, "scratch", scratch);
  for (const auto& [name, t] :
       {std::pair("q", q), std::pair("kv_b", kv_b), std::pair("cache", cache), std::pair("o", o)}) {
    expect_same_dtype(op, name, t, q);
    expect_rows_dense(op, name, t);
  }
  expect_rows_dense(op, "scratch", scratch);
}

// The cache counted in full: the lengths are on the device.
Cost MlaDecode::cost() const {
  const double rank = double(kv_b[1]), heads = double(q[0] * q[1]);
  return {2 * heads * (double(kv_b[0]) / double(q[1]) * rank + double(cache[1]) * (double(cache[2]) + rank)),
          double(kv_b.bytes() + cache.bytes() + q.bytes() + o.bytes())};
}

void mla_decode(Device& device, const MlaDecode& a) {
  a.check();
  OpScope scope(device, "mla_decode", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref: return dispatch_ref("mla_decode", a.q.dtype, [&]<class T>() { ref::mla_decode<T>(a); });
    case DeviceKind::cpu: return cpu::mla_decode(device, a);
    case DeviceKind::cuda: return unsupported("mla_decode", device);
  }
}

}  // namespace ballast::ops
