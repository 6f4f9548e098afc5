#include "train/optimizer.h"

#include <cmath>

#include "ops/adamw/adamw.h"
#include "ops/sqnorm/sqnorm.h"

namespace ballast {

void validate(const OptimizerConfig& c) {
  const auto check = [](bool ok, const char* key, double value, const char* expected) {
    if (!ok) fail(ErrorKind::usage, std::string("optimizer.") + key, "{} is not {}", value, expected);
  };
  check(c.learning_rate > 0 && std::isfinite(c.learning_rate), "learning_rate", c.learning_rate, "a positive number");
  check(c.beta1 >= 0 && c.beta1 < 1, "beta1", c.beta1, "in [0, 1)");
  check(c.beta2 >= 0 && c.beta2 < 1, "beta2", c.beta2, "in [0, 1)");
  check(c.eps > 0, "eps", c.eps, "a positive number");
  check(c.weight_decay >= 0, "weight_decay", c.weight_decay, "zero or more");
  check(c.clip_norm >= 0, "clip_norm", c.clip_norm, "zero or more");
}

Optimizer::Optimizer(ParamStore& params, const OptimizerConfig& config)
    : params_(params), config_(config), scalars_(params.device(), "optimizer scalars") {
  validate(config);
  scalars_.reserve(4 * 64);
  const DType full = params.full();
  squared_norm_ = scalars_.alloc(full, {1});
  norm_ = scalars_.alloc(full, {1});
  hyper_ = scalars_.alloc(full, {4});
  skip_ = scalars_.alloc(DType::i32, {1});
}

void Optimizer::put(const Tensor& t, int64_t i, double value) {
  const float f = static_cast<float>(value);
  const void* p = t.dtype == DType::f32 ? static_cast<const void*>(&f) : static_cast<const void*>(&value);
  params_.device().upload(static_cast<char*>(t.data) + i * static_cast<int64_t>(size_of(t.dtype)), p, size_of(t.dtype));
  params_.device().synchronize();
}

double Optimizer::get(const Tensor& t) {
  float f = 0;
  double d = 0;
  params_.device().download(t.dtype == DType::f32 ? static_cast<void*>(&f) : static_cast<void*>(&d), t.data,
                            size_of(t.dtype));
  return t.dtype == DType::f32 ? f : d;
}

Optimizer::Outcome Optimizer::step(double learning_rate, Tensor nonfinite) {
  Device& device = params_.device();
  params_.finish_gradients();
  const auto runs = params_.optimizer_runs();
  for (size_t i = 0; i < runs.size(); ++i)
    ops::squared_norm(device, {.x = runs[i].grad, .out = squared_norm_, .accumulate = i > 0});
  const int64_t t = updates_ + 1;
  put(hyper_, 0, learning_rate);
  put(hyper_, 2, 1 - std::pow(config_.beta1, static_cast<double>(t)));
  put(hyper_, 3, 1 - std::pow(config_.beta2, static_cast<double>(t)));
  ops::clip_scale(device, {.squared_norm = squared_norm_, .max_norm = config_.clip_norm, .nonfinite = nonfinite,
                           .norm = norm_, .grad_scale = hyper_.rows(1, 2), .skip = skip_});
  for (const auto& run : runs)
    ops::adamw(device, {.master = run.master, .m = run.m, .v = run.v, .grad = run.grad, .param = run.param,
                        .hyper = hyper_, .skip = skip_, .beta1 = config_.beta1, .beta2 = config_.beta2,
                        .eps = config_.eps, .weight_decay = run.kind == ParamKind::vector ? 0 : config_.weight_decay});
  int32_t skipped = 0;
  device.download(&skipped, skip_.data, sizeof skipped);
  if (!skipped) ++updates_;
  return {get(norm_), skipped != 0};
}

}  // namespace ballast
