#include "model/roofline.h"

#include "cli/commands.h"
#include "model/weights.h"

namespace ballast::cli {

void cmd_roofline(CommandLine& line) {
  std::string path, out;
  bool json = false;
  double weight_bytes = 1;
  int threads = 0;
  line.positional("CONFIG.JSON|DIR", path,
                  "a config.json of the DeepSeek family, or the folder with it; no weights needed");
  line.option("--weight-bytes", weight_bytes, "B",
              "bytes per parameter: 1 for FP8 (default), 2 for bf16, 0.5 for 4 bits");
  line.flag("--json", json, "the same as JSON");
  line.out(out, "FILE", "write the result there instead of printing it");
  line.threads(threads);
  line.unused_seed();
  if (!line.parse()) return;
  line.require(!path.empty(), "a config.json or a folder with one");

  const ModelConfig config = read_model_config(path);
  emit(json ? roofline_json(config, weight_bytes).dump(2) + "\n" : roofline_text(config, weight_bytes), out);
}

}  // namespace ballast::cli
