#include <fmt/format.h>

#include "cli/commands.h"
#include "report/corpus_report.h"

namespace ballast::cli {

void cmd_corpus_report(CommandLine& line) {
  std::string folder, out;
  int threads = 0;
  line.positional("DIR", folder, "the folder that `ballast corpus` wrote, with manifest.jsonl");
  line.out(out, "FILE", "write the tables there instead of printing them");
  line.threads(threads);
  line.unused_seed();
  if (!line.parse()) return;
  line.require(!folder.empty(), "the corpus's folder");

  const CorpusReport report = write_corpus_report(folder);
  emit(report.text + fmt::format("\n{}\n{}\n", report.html.string(), report.markdown.string()), out);
}

}  // namespace ballast::cli
