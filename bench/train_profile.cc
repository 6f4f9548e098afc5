// Where a training step's time goes: seconds, share, GFLOP/s and GB/s by op, tokens per second, and the share of the
// ceiling (the step's own matrix products, timed in the same run). Usage: train_profile RECIPE.toml [f32|bf16] [steps]
// Data is random: routing is that of an untrained router.
#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "base/config.h"
#include "base/human.h"
#include "base/rng.h"
#include "base/toml.h"
#include "train/ceiling.h"
#include "train/config.h"
#include "train/optimizer.h"
#include "train/step.h"

using namespace ballast;

namespace {

Batch random_batch(const RunConfig& c, uint64_t seed) {
  Batch b(c.data.batch_size, c.data.seq_len, c.data.batch_size);
  Rng rng(seed);
  const std::vector<int64_t> documents(static_cast<size_t>(c.data.seq_len), 0);
  std::vector<int32_t> tokens(documents.size());
  for (int64_t r = 0; r < b.rows; ++r) {
    for (int32_t& t : tokens) t = static_cast<int32_t>(rng.below(static_cast<uint64_t>(c.model.vocab_size)));
    set_row(b, r, tokens, documents, true);
  }
  return b;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: train_profile RECIPE.toml [f32|bf16] [steps]\n");
    return 2;
  }
  RunConfig config;
  read_config(config, read_toml(argv[1]), argv[1]);
  const DType dtype = compute_dtype(argc > 2 ? argv[2] : config.train.dtype);
  const int steps = argc > 3 ? std::atoi(argv[3]) : 10;
  auto device = Device::make(DeviceKind::cpu);
  ParamStore params(*device, make_param_table(config.model), {.storage = dtype, .training = true});
  params.initialize(0, config.model.initializer_range);
  Model model(config.model, params);
  const Batch batch = random_batch(config, 1);
  TrainStep step(model, batch, {.mtp_loss_weight = config.train.mtp_loss_weight, .aux_seq = config.aux.seq,
                                .aux_global = config.aux.global});
  Optimizer optimizer(params, config.optimizer);
  const auto one = [&] {
    step.begin();
    step.run(batch, batch.n_valid, batch.n_valid_mtp, 1, true);
    optimizer.step(1e-4, step.nonfinite());
  };
  for (int i = 0; i < 2; ++i) one();
  std::vector<double> seconds;
  for (int i = 0; i < steps; ++i) {
    const double begun = steady_seconds();
    one();
    seconds.push_back(steady_seconds() - begun);
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  device->timing = true;
  device->records.clear();
  one();
  device->timing = false;
  double total = 0;
  for (const auto& [op, r] : device->records) total += r.seconds;
  std::vector<std::pair<std::string, OpRecord>> rows(device->records.begin(), device->records.end());
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  fmt::print("{:<26}{:>6}{:>10}{:>8}{:>10}{:>8}\n", "op", "calls", "ms", "share", "GFLOP/s", "GB/s");
  for (const auto& [op, r] : rows)
    fmt::print("{:<26}{:>6}{:>10.2f}{:>7.1f}%{:>10.1f}{:>8.1f}\n", op, r.calls, r.seconds * 1e3,
               100 * r.seconds / total, r.cost.flops / r.seconds * 1e-9, r.cost.bytes / r.seconds * 1e-9);
  const StepProducts products = step_products(config.model, batch.tokens(), config.data.seq_len, 1);
  const double ceiling = ceiling_seconds(*device, products, dtype);
  fmt::print(
      "{} {} threads: {:.1f} ms a step (best {:.1f}), {} tok/s, {:.1f} MFLOP a token, products alone {:.1f} ms: {:.0f} "
      "% of the ceiling\n",
      name_of(dtype), device->pool().size(), median * 1e3, seconds.front() * 1e3,
      format_si(static_cast<double>(batch.tokens()) / median),
      products.flops / static_cast<double>(batch.tokens()) * 1e-6, ceiling * 1e3, 100 * ceiling / median);
}
