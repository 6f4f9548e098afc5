#include "ops/balance_loss/balance_loss.h"

#include "ops/balance_loss/backends.h"
#include "ops/balance_loss/ref.h"

namespace ballast::ops {
namespace {

void check_rows(const char* op, const Tensor& scores, const Tensor& offs, const Tensor& valid) {
  expect_shape(op, "scores", scores, {-1, -1});
  expect_full(op, "scores", scores);
  expect_rows_dense(op, "scores", scores);
  expect_shape(op, "offs", offs, {-1});
  expect_dtype(op, "offs", offs, DType::i32);
  if (offs[0] < 1) fail(ErrorKind::shape, op, "offs is {}, expected one more entry than segments", offs.shape_string());
  if (!valid) return;
  expect_shape(op, "valid", valid, {scores[0]});
  expect_dtype(op, "valid", valid, DType::i32);
}

}  // namespace

void BalanceLossForward::check() const {
  const char* op = "balance_loss.forward";
  check_rows(op, scores, offs, valid);
  expect_shape(op, "f", f, {offs[0] - 1, scores[1]});
  expect_same_dtype(op, "f", f, scores);
  expect_shape(op, "loss", loss, {1});
  expect_same_dtype(op, "loss", loss, scores);
  if (experts_per_token < 1 || experts_per_token > scores[1])
    fail(ErrorKind::shape, op, "experts_per_token is {} of {} experts", experts_per_token, scores[1]);
  if (!running) return;
  expect_shape(op, "running", running, {scores[1] + 1});
  expect_dtype(op, "running", running, DType::i64);
  if (offs[0] != 2) fail(ErrorKind::shape, op, "running counts need one segment, offs has {}", offs[0] - 1);
}

Cost BalanceLossForward::cost() const { return {4 * double(scores.size()), double(scores.bytes())}; }

void BalanceLossBackward::check() const {
  const char* op = "balance_loss.backward";
  check_rows(op, scores, offs, valid);
  expect_shape(op, "f", f, {offs[0] - 1, scores[1]});
  expect_shape(op, "dloss", dloss, {1});
  expect_shape(op, "dscores", dscores, {scores[0], scores[1]});
  expect_rows_dense(op, "dscores", dscores);
  for (const auto& [name, t] : {std::pair("f", f), std::pair("dloss", dloss), std::pair("dscores", dscores)})
    expect_same_dtype(op, name, t, scores);
}

Cost BalanceLossBackward::cost() const {
  return {5 * double(scores.size()), double(scores.bytes()) * (accumulate ? 3 : 2)};
}

void balance_loss_forward(Device& device, const BalanceLossForward& a) {
  a.check();
  OpScope scope(device, "balance_loss.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("balance_loss.forward", a.scores.dtype, [&]<class T>() { ref::balance_loss_forward<T>(a); });
    case DeviceKind::cpu: return cpu::balance_loss_forward(device, a);
    case DeviceKind::cuda: return unsupported("balance_loss.forward", device);
  }
}

void balance_loss_backward(Device& device, const BalanceLossBackward& a) {
  a.check();
  OpScope scope(device, "balance_loss.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("balance_loss.backward", a.scores.dtype,
                               [&]<class T>() { ref::balance_loss_backward<T>(a); });
    case DeviceKind::cpu: return cpu::balance_loss_backward(device, a);
    case DeviceKind::cuda: return unsupported("balance_loss.backward", device);
  }
}

}  // namespace ballast::ops
