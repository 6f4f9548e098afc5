#include "base/human.h"
#include "cli/commands.h"
#include "inspect/convert.h"

namespace ballast::cli {

void cmd_convert(CommandLine& line) {
  std::string folder, model, out, size = "5GB", compare;
  ConvertOptions options;
  bool json = false;
  line.positional("DIR", folder, "a model folder; it is read and left as it is");
  line.option("-m,--model", model, "DIR", "the same as the word");
  line.out(out, "DIR", "the new model folder; it must not exist yet");
  line.option("--dtype", options.dtype, "TYPE",
              "f32, bf16 or fp8 (blocks of 128 x 128 with scales, as the hub's DeepSeek-V3); default: as stored. FP8 "
              "stays FP8 byte for byte");
  line.option("--shard-size", size, "SIZE", "largest file of weights, as 5GB or 500MB (default 5GB)");
  line.flag("--center-bias", options.center_bias,
            "subtract each router bias's mean, in f32; routing is blind to it, bf16 is not");
  line.option("--compare", compare, "DIR",
              "with --dtype fp8: the FP8 checkpoint these weights came from; says how many codes and scales changed");
  line.flag("--json", json, "the result as JSON");
  line.threads(options.threads);
  line.unused_seed();
  if (!line.parse()) return;
  if (folder.empty()) folder = model;
  line.require(!folder.empty(), "a model folder");
  line.require(!out.empty(), "the new folder, --out DIR");

  options.compare = compare;
  options.max_shard_bytes = parse_bytes(size, "--shard-size");
  const ConvertReport report = convert(folder, out, options);
  print(json ? report.to_json().dump(2) + "\n" : report.to_text());
}

}  // namespace ballast::cli
