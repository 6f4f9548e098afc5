#include "cli/commands.h"

namespace ballast::cli {

void cmd_completion(CommandLine& line) {
  std::string shell, out;
  int threads = 0;
  line.positional("SHELL", shell, "bash, zsh or fish");
  line.out(out, "FILE", "write the script there instead of printing it");
  line.threads(threads);
  line.unused_seed();
  if (!line.parse()) return;
  line.require(!shell.empty(), "a shell");
  emit(completion_script(shell), out);
}

}  // namespace ballast::cli
