#include <fmt/format.h>

#include "cli/commands.h"
#include "study/quickstart.h"

namespace ballast::cli {

void cmd_quickstart(CommandLine& line) {
  QuickstartOptions options;
  std::string out = options.out.string();
  line.config(options.corpus);
  line.shortcut("--source", "corpus.source", "DIR...");
  line.shortcut("--jsonl", "corpus.jsonl", "FILE");
  line.shortcut("--field", "corpus.field", "KEY");
  line.option("--minutes", options.minutes, "M", "a shorter run, labelled as such; the full one takes about six");
  line.option("--dtype", options.dtype, "TYPE",
              "auto (bf16 where the CPU multiplies it natively, else f32), f32 or bf16");
  line.flag("--fresh", options.fresh, "start anew instead of going on, or showing what is finished");
  line.option("--seed", options.seed, "N", "seed of weights, data order and evaluation");
  line.out(out, "DIR", "the run's folder (default run/quickstart)");
  line.threads(options.threads);
  if (!line.parse()) return;
  options.out = out;
  options.command = "ballast quickstart";
  quickstart(options);
}

}  // namespace ballast::cli
