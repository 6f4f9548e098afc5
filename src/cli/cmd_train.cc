#include <fmt/format.h>

#include "base/error.h"
#include "base/human.h"
#include "cli/commands.h"
#include "train/trainer.h"

namespace ballast::cli {
namespace fs = std::filesystem;
namespace {

std::string plan_text(const Json& plan) {
  const auto number = [&](const char* key) { return plan.at(key).as_double(); };
  const double state = number("bytes_masters_moments_gradients"), weights = number("bytes_bf16_weights");
  const double step = number("seconds_per_step_at_ceiling");
  return fmt::format(
      "parameters      {} ({})\n"
      "memory          {} masters, gradients and AdamW's moments (f32)\n"
      "                {} bf16 weights; activations and scratch come on top\n"
      "compute type    {}\n"
      "work            {}FLOP a token\n"
      "time            {:.3f} s a step at this machine's rate of matrix products, so at least {} for {} steps\n",
      format_si(number("params_total")), plan.at("params_total").as_int(), format_bytes(state), format_bytes(weights),
      plan.at("dtype").as_string(), format_si(number("flops_per_token")), step, format_duration(step * number("steps")),
      plan.at("steps").as_int());
}

}  // namespace

void cmd_train(CommandLine& line) {
  TrainOptions options;
  std::string out = "run/train", init_from;
  bool fresh = false, dry_run = false;
  line.config(options.config);
  line.flag("--resume", options.resume, "go on from the newest checkpoint in --out, to the same losses as without the break");
  line.flag("--fresh", fresh, "start anew where --out has a run already");
  line.option("--init-from", init_from, "DIR", "start from the weights of a Hugging Face checkpoint, with a fresh optimizer");
  line.flag("--dry-run", dry_run, "print parameters, memory by kind, FLOPs a token and time, and stop");
  line.shortcut("--seed", "train.seed", "N");
  line.out(out, "DIR", "the run's folder (default run/train)");
  line.threads(options.threads);
  if (!line.parse()) return;

  if (dry_run) return print(plan_text(describe_training(options.config, options.threads)));
  options.run = out;
  if (!init_from.empty()) options.init_from = init_from;
  if (!options.resume && !fresh && fs::exists(options.run / "metrics.jsonl"))
    fail(ErrorKind::usage, out, "has a run already; --resume goes on with it, --fresh replaces it");
  const TrainSummary summary = train(options);
  if (summary.interrupted)
    fail(ErrorKind::interrupted, out, "stopped after step {} and saved; the same command with --resume goes on", summary.steps);
  print(summary.to_json().dump(2) + "\n");
}

}  // namespace ballast::cli
