#include "ops/attention/attention.h"

#include "ops/attention/backends.h"
#include "ops/attention/ref.h"

namespace ballast::ops {
namespace {

struct Named {
  const char* name;
  Tensor t;
};

void expect_storage(const char* op, const Tensor& like, std::initializer_list<Named> list) {
  for (const auto& [name, t] : list) {
    expect_same_dtype(op, name, t, like);
    expect_rows_dense(op, name, t);
  }
}

template <class Args>
void check_inputs(const char* op, const Args& a) {
  expect_shape(op, "q", a.q, {-1, -1, -1});
  expect_shape(op, "k_rope", a.k_rope, {-1, -1});
  expect_shape(op, "k_nope", a.k_nope, {a.k_rope[0], a.q[1], a.q[2] - a.k_rope[1]});
  expect_shape(op, "v", a.v, {a.k_rope[0], a.q[1], -1});
  expect_shape(op, "q_offs", a.q_offs, {-1});
  expect_dtype(op, "q_offs", a.q_offs, DType::i32);
  expect_shape(op, "kv_offs", a.kv_offs, {a.q_offs[0]});
  expect_dtype(op, "kv_offs", a.kv_offs, DType::i32);
  expect_shape(op, "o", a.o, {a.q[0], a.q[1], a.v[2]});
  expect_shape(op, "lse", a.lse, {a.q[1], a.q[0]});
  expect_full(op, "lse", a.lse);
  expect_storage(op, a.q, {{"q", a.q}, {"k_nope", a.k_nope}, {"k_rope", a.k_rope}, {"v", a.v}, {"o", a.o}});
}

// (query, key) pairs under the causal mask for segments of equal length: the offsets are on the device.
template <class Args>
double causal_pairs(const Args& a) {
  const double segments = double(a.q_offs[0] - 1), n_q = double(a.q[0]) / segments,
               n_kv = double(a.k_rope[0]) / segments;
  return segments * n_q * (n_kv - (n_q - 1) / 2);
}

}  // namespace

void AttentionForward::check() const { check_inputs("attention.forward", *this); }

Cost AttentionForward::cost() const {
  const double width = double(q[2] + v[2]);
  return {2 * causal_pairs(*this) * double(q[1]) * width,
          double(q.bytes() + k_nope.bytes() + k_rope.bytes() + v.bytes() + o.bytes() + lse.bytes())};
}

void AttentionBackward::check() const {
  const char* op = "attention.backward";
  check_inputs(op, *this);
  expect_shape(op, "d_o", d_o, {o[0], o[1], o[2]});
  expect_shape(op, "dq", dq, {q[0], q[1], q[2]});
  expect_shape(op, "dk_nope", dk_nope, {k_nope[0], k_nope[1], k_nope[2]});
  expect_shape(op, "dk_rope", dk_rope, {k_rope[0], k_rope[1]});
  expect_shape(op, "dv", dv, {v[0], v[1], v[2]});
  expect_storage(op, q, {{"d_o", d_o}, {"dq", dq}, {"dk_nope", dk_nope}, {"dk_rope", dk_rope}, {"dv", dv}});
}

// Scores again, dP and dV; dQ and dK.
Cost AttentionBackward::cost() const {
  const double width = double(3 * q[2] + 2 * v[2]);
  return {2 * causal_pairs(*this) * double(q[1]) * width,
          2.0 * double(q.bytes() + k_nope.bytes() + k_rope.bytes() + v.bytes() + o.bytes()) + double(lse.bytes())};
}

void attention_forward(Device& device, const AttentionForward& a) {
  a.check();
  OpScope scope(device, "attention.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("attention.forward", a.q.dtype, [&]<class T>() { ref::attention_forward<T>(a); });
    case DeviceKind::cpu: return cpu::attention_forward(device, a);
    case DeviceKind::cuda: return unsupported("attention.forward", device);
  }
}

void attention_backward(Device& device, const AttentionBackward& a) {
  a.check();
  OpScope scope(device, "attention.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("attention.backward", a.q.dtype, [&]<class T>() { ref::attention_backward<T>(a); });
    case DeviceKind::cpu: return cpu::attention_backward(device, a);
    case DeviceKind::cuda: return unsupported("attention.backward", device);
  }
}

}  // namespace ballast::ops
