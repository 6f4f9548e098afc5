#include "ops/route/route.h"

#include "ops/route/backends.h"
#include "ops/route/ref.h"

namespace ballast::ops {
namespace {

void check_config(const char* op, const RouteConfig& c, int64_t experts) {
  if (c.experts_per_token < 1 || c.groups < 1 || experts % c.groups != 0 || c.kept_groups < 1 ||
      c.kept_groups > c.groups || c.experts_per_token > experts / c.groups * c.kept_groups)
    fail(ErrorKind::shape, op, "cannot choose {} of {} experts in {} of {} groups", c.experts_per_token, experts,
         c.kept_groups, c.groups);
  if (c.groups > 1 && c.group_score == GroupScore::top2_sum && experts / c.groups < 2)
    fail(ErrorKind::shape, op, "the sum of the two best needs groups of two or more, not {}", experts / c.groups);
}

}  // namespace

void RouteForward::check() const {
  const char* op = "route.forward";
  expect_shape(op, "x", x, {-1, -1});
  expect_rows_dense(op, "x", x);
  expect_shape(op, "weight", weight, {-1, x[1]});
  const int64_t rows = x[0], experts = weight[0], k = config.experts_per_token;
  check_config(op, config, experts);
  if (bias) expect_shape(op, "bias", bias, {experts});
  expect_shape(op, "logits", logits, {rows, experts});
  expect_shape(op, "scores", scores, {rows, experts});
  expect_shape(op, "ids", ids, {rows, k});
  expect_dtype(op, "ids", ids, DType::i32);
  expect_shape(op, "weights", weights, {rows, k});
  for (const Tensor& t : {weight, logits, scores, weights}) expect_full(op, "weight, logits, scores, weights", t);
  if (valid) {
    expect_shape(op, "valid", valid, {rows});
    expect_dtype(op, "valid", valid, DType::i32);
  }
  if (load) {
    expect_shape(op, "load", load, {experts});
    expect_dtype(op, "load", load, DType::i64);
  }
  expect_shape(op, "nonfinite", nonfinite, {1});
  expect_dtype(op, "nonfinite", nonfinite, DType::i32);
}

Cost RouteForward::cost() const {
  const double n = double(x.size()), e = double(weight[0]);
  return {2 * n * e, double(x.bytes() + weight.bytes() + 2 * logits.bytes() + ids.bytes() + weights.bytes())};
}

void RouteBackward::check() const {
  const char* op = "route.backward";
  expect_shape(op, "x", x, {-1, -1});
  expect_shape(op, "weight", weight, {-1, x[1]});
  const int64_t rows = x[0], experts = weight[0], k = config.experts_per_token;
  check_config(op, config, experts);
  expect_shape(op, "scores", scores, {rows, experts});
  expect_shape(op, "ids", ids, {rows, k});
  expect_shape(op, "dweights", dweights, {rows, k});
  if (dscores) expect_shape(op, "dscores", dscores, {rows, experts});
  expect_shape(op, "dlogits", dlogits, {rows, experts});
  expect_shape(op, "dx", dx, {rows, x[1]});
  expect_same_dtype(op, "dx", dx, x);
  expect_shape(op, "dweight", dweight, {experts, x[1]});
  for (const Tensor& t : {weight, scores, dweights, dlogits, dweight})
    expect_full(op, "weight, scores, dweights, dlogits, dweight", t);
}

Cost RouteBackward::cost() const {
  const double n = double(x.size()), e = double(weight[0]);
  return {4 * n * e, double(3 * x.bytes() + 2 * weight.bytes() + 2 * scores.bytes())};
}

void route_forward(Device& device, const RouteForward& a) {
  a.check();
  OpScope scope(device, "route.forward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref("route.forward", a.x.dtype, [&]<class T>() { ref::route_forward<T>(a); });
    case DeviceKind::cpu: return cpu::route_forward(device, a);
    case DeviceKind::cuda: return cuda::route_forward(device, a);
  }
}

void route_backward(Device& device, const RouteBackward& a) {
  a.check();
  OpScope scope(device, "route.backward", a.cost());
  if (!scope) return;
  switch (device.kind) {
    case DeviceKind::ref:
      return dispatch_ref_real("route.backward", a.x.dtype, [&]<class T>() { ref::route_backward<T>(a); });
    case DeviceKind::cpu: return cpu::route_backward(device, a);
    case DeviceKind::cuda: return cuda::route_backward(device, a);
  }
}

}  // namespace ballast::ops
