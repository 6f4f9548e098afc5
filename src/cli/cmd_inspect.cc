#include "cli/commands.h"
#include "inspect/inspect.h"

namespace ballast::cli {

void cmd_inspect(CommandLine& line) {
  std::string path, model, out;
  bool all = false, json = false;
  int threads = 0;
  line.positional("DIR|FILE", path, "a model folder, a config.json, a .safetensors file or a token shard");
  line.option("-m,--model", model, "DIR", "the same as the word");
  line.flag("-v,--verbose", all, "every tensor");
  line.flag("--json", json, "the result as JSON");
  line.out(out, "FILE", "write the result there instead of printing it");
  line.threads(threads);
  line.unused_seed();
  if (!line.parse()) return;
  if (path.empty()) path = model;
  line.require(!path.empty(), "a model folder or a file");

  const Json found = inspect(path, all);
  emit(json ? found.dump(2) + "\n" : inspect_text(found), out);
}

}  // namespace ballast::cli
