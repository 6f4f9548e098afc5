#include <fmt/format.h>

#include "base/error.h"
#include "base/human.h"
#include "cli/commands.h"
#include "dist/mpi.h"
#include "study/sample_hook.h"
#include "train/plan.h"
#include "train/trainer.h"

namespace ballast::cli {
namespace fs = std::filesystem;
namespace {

// The plan as people read it; every figure keeps its key.
std::string plan_text(const Json& plan) {
  std::string text;
  for (const auto& [section, value] : plan.as_object()) {
    if (!value.is_object()) {
      text += fmt::format("{:<22}{}\n", section, value.is_number() ? format_si(value.as_double()) : value.as_string());
      continue;
    }
    for (const auto& [key, number] : value.as_object()) {
      const double v = number.as_double();
      text += fmt::format("{:<22}{:<22}{}\n", section, key,
                          section == "memory_bytes"    ? format_bytes(v)
                          : key.starts_with("seconds") ? format_duration(v)
                                                       : format_si(v));
    }
  }
  return text;
}

}  // namespace

void cmd_train(CommandLine& line) {
  TrainOptions options;
  std::string out = "run/train", init_from;
  bool fresh = false, dry_run = false;
  line.config(options.config);
  line.flag("--resume", options.resume,
            "go on from the newest checkpoint in --out, to the same losses as without the break");
  line.flag("--fresh", fresh, "start anew where --out has a run already");
  line.option("--init-from", init_from, "DIR",
              "start from the weights of a Hugging Face checkpoint, with a fresh optimizer");
  line.flag("--dry-run", dry_run, "print parameters, memory by kind, FLOPs a token and time, and stop");
  line.shortcut("--seed", "train.seed", "N");
  line.out(out, "DIR", "the run's folder (default run/train)");
  line.threads(options.threads);
  if (!line.parse()) return;

  if (options.resume && fresh)
    fail(ErrorKind::usage, "train", "--resume goes on with the run in --out, --fresh replaces it: one of them");
  validate(options.config);  // before ranks join: what is wrong is said once
  if (dry_run) {
    if (launched_rank() > 0) return;
    const Json plan = plan_training(options.config, options.threads);
    print(plan_text(plan));
    return admit_training(plan);
  }
  Communicator& ranks = launched_ranks();
  options.ranks = &ranks;
  options.run = out;
  if (!init_from.empty()) options.init_from = init_from;
  const bool used = fs::exists(options.run / "metrics.jsonl") || fs::exists(options.run / "checkpoints");
  if (used && !options.resume && !fresh && ranks.lead())
    fail(ErrorKind::usage, out, "has a run already; --resume goes on with it, --fresh replaces it");
  TrainHooks hooks;
  if (options.config.train.sample_every > 0) {
    if (options.config.data.tokenizer.empty())
      fail(ErrorKind::usage, "train.sample_every", "samples need data.tokenizer, a tokenizer.json");
    hooks.sample = sample_hook(options.config.data.tokenizer, "def main():\n", options.run / "samples.jsonl");
  }
  ranks.barrier();  // all have seen whether a run is there before the leading one begins to write
  const TrainSummary summary = train(options, hooks);
  if (summary.interrupted)
    fail(ErrorKind::interrupted, out, "stopped after step {} and saved; the same command with --resume goes on",
         summary.steps);
  if (ranks.lead()) print(summary.to_json().dump(2) + "\n");
}

}  // namespace ballast::cli
