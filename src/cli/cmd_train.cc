#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "train/plan.h"
#include "train/trainer.h"

namespace ballast::cli {
namespace fs = std::filesystem;

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

  if (dry_run) return print(plan_training(options.config, options.threads).dump(2) + "\n");
  options.run = out;
  if (!init_from.empty()) options.init_from = init_from;
  const bool used = fs::exists(options.run / "metrics.jsonl") || fs::exists(options.run / "checkpoints");
  if (used && !options.resume && !fresh)
    fail(ErrorKind::usage, out, "has a run already; --resume goes on with it, --fresh replaces it");
  const TrainSummary summary = train(options);
  if (summary.interrupted)
    fail(ErrorKind::interrupted, out, "stopped after step {} and saved; the same command with --resume goes on", summary.steps);
  print(summary.to_json().dump(2) + "\n");
}

}  // namespace ballast::cli
