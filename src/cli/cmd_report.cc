#include <fmt/format.h>

#include "cli/commands.h"
#include "report/report.h"

namespace ballast::cli {

void cmd_report(CommandLine& line) {
  std::vector<std::string> runs;
  std::string out;
  int threads = 0;
  line.positional("RUN", runs, "run folders; with several, their curves are drawn over each other");
  line.out(out, "FILE.html", "the page (default: report.html in the run's folder, ./report.html for several runs)");
  line.threads(threads);
  line.unused_seed();
  if (!line.parse()) return;
  line.require(!runs.empty(), "at least one run folder");

  const ReportFiles files = runs.size() == 1 && out.empty()
                                ? write_report(runs.front())
                                : write_report({runs.begin(), runs.end()}, out.empty() ? "report.html" : out);
  print(fmt::format("{}\n{}\n{}\n", files.html.string(), files.csv.string(), files.markdown.string()));
}

}  // namespace ballast::cli
