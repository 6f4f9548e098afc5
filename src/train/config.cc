#include "train/config.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "base/nearest_name.h"
#include "core/cpu_features.h"

namespace ballast {

namespace {

// What is left of the fall after this share of it: 1 at 0, 0 at 1.
double left_of_the_fall(const std::string& decay, double progress) {
  if (decay == "linear") return 1 - progress;
  if (decay == "1-sqrt") return 1 - std::sqrt(progress);
  return 0.5 * (1 + std::cos(M_PI * progress));
}

}  // namespace

double ScheduleConfig::factor(int64_t step) const {
  const double s = static_cast<double>(step), all = static_cast<double>(steps);
  const double rise = std::floor(warmup * all);
  if (s < rise) return (s + 1) / rise;
  const double from = std::max(rise, constant_until * all);
  if (s < from || all <= from) return 1;
  const double progress = std::min(1.0, (s - from) / (all - from));
  return final_ratio + (1 - final_ratio) * left_of_the_fall(decay, progress);
}

void validate(const RunConfig& c) {
  validate(c.model);
  validate(c.optimizer);
  validate(c.balance);
  const auto positive = [](int64_t v, const char* key) {
    if (v <= 0) fail(ErrorKind::usage, key, "{} is not a positive number", v);
  };
  const auto share = [](double v, const char* key) {
    if (!(v >= 0 && v <= 1)) fail(ErrorKind::usage, key, "{} is not a share (0..1)", v);
  };
  const auto not_negative = [](double v, const char* key) {
    if (!(v >= 0) || !std::isfinite(v)) fail(ErrorKind::usage, key, "{} is not zero or more", v);
  };
  positive(c.schedule.steps, "schedule.steps");
  share(c.schedule.warmup, "schedule.warmup");
  share(c.schedule.constant_until, "schedule.constant_until");
  const auto decays = ScheduleConfig::decays();
  if (std::find(decays.begin(), decays.end(), c.schedule.decay) == decays.end())
    fail(ErrorKind::usage, "schedule.decay", "unknown decay '{}'; did you mean '{}'?", c.schedule.decay,
         nearest_name(c.schedule.decay, decays));
  share(c.schedule.final_ratio, "schedule.final_ratio");
  not_negative(static_cast<double>(c.schedule.stop_after), "schedule.stop_after");
  positive(c.data.seq_len, "data.seq_len");
  positive(c.data.batch_size, "data.batch_size");
  if (c.data.batch_size > INT32_MAX / c.data.seq_len)
    fail(ErrorKind::usage, "data.batch_size", "{} windows of {} tokens are more than a micro-batch can have; use "
         "train.micro_batches", c.data.batch_size, c.data.seq_len);
  positive(c.train.micro_batches, "train.micro_batches");
  positive(c.train.log_every, "train.log_every");
  positive(c.train.keep_last, "train.keep_last");
  positive(c.train.max_bad_steps, "train.max_bad_steps");
  not_negative(static_cast<double>(c.train.eval_every), "train.eval_every");
  not_negative(static_cast<double>(c.train.eval_windows), "train.eval_windows");
  not_negative(static_cast<double>(c.train.sample_every), "train.sample_every");
  not_negative(static_cast<double>(c.train.checkpoint_every), "train.checkpoint_every");
  not_negative(c.train.mtp_loss_weight, "train.mtp_loss_weight");
  not_negative(c.aux.seq, "aux.seq");
  not_negative(c.aux.global, "aux.global");
  if (c.data.seq_len > c.model.max_position_embeddings)
    fail(ErrorKind::usage, "data.seq_len", "{} is longer than model.max_position_embeddings = {}", c.data.seq_len,
         c.model.max_position_embeddings);
  if (c.model.scoring_func != "sigmoid" && c.balance.rule != "none")
    fail(ErrorKind::usage, "balance.rule", "'{}' needs a sigmoid router; softmax scores have no bias (use none)", c.balance.rule);
  compute_dtype(c.train.dtype);
}

DType compute_dtype(const std::string& name) {
  if (name == "f32") return DType::f32;
  if (name == "bf16") return DType::bf16;
  if (name == "auto") return cpu_has_bf16_products() ? DType::bf16 : DType::f32;
  fail(ErrorKind::usage, "train.dtype", "unknown type '{}': auto, f32 or bf16", name);
}

}  // namespace ballast
