#include <fmt/format.h>

#include "cli/commands.h"
#include "data/prepare.h"

namespace ballast::cli {

void cmd_corpus(CommandLine& line) {
  CorpusRecipe config;
  std::string out = "data";
  int threads = 0;
  line.config(config);
  line.shortcut("--source", "corpus.source", "DIR...");
  line.shortcut("--jsonl", "corpus.jsonl", "FILE");
  line.shortcut("--field", "corpus.field", "KEY");
  line.shortcut("--license", "corpus.license", "SPDX...");
  line.shortcut("--exclude-benchmarks", "corpus.exclude_benchmarks", "FILE...");
  line.shortcut("--tokenizer", "tokenizer.file", "FILE");
  line.shortcut("--vocab-size", "tokenizer.vocab_size", "N");
  line.shortcut("--fim-rate", "fim.rate", "SHARE");
  line.shortcut("--seed", "fim.seed", "N");
  line.out(out, "DIR", "folder for manifest.jsonl, tokenizer.json, train.shard and held_out.shard (default data)");
  line.threads(threads);
  if (!line.parse()) return;

  const PreparedCorpus made = prepare_corpus(config, out, threads);
  print(made.report.dump(2) + "\n");
  print(fmt::format("{}\n{}\n{}\n{}\n", made.manifest.string(), made.tokenizer.string(), made.train_shard.string(),
                    made.held_out_shard.string()));
}

}  // namespace ballast::cli
