#include "cli/commands.h"
#include "inspect/doctor.h"

namespace ballast::cli {

void cmd_doctor(CommandLine& line) {
  std::string folder, model, out;
  DoctorOptions options;
  bool all = false, json = false;
  line.positional("DIR", folder,
                  "a model folder, a checkpoint of a run, or a run folder; exits with 1 where something is ill");
  line.option("-m,--model", model, "DIR", "the same as the word");
  line.option("--probe-rows", options.probe_rows, "N", "random rows that each router decides (default 512)");
  line.flag("-v,--verbose", all, "what every figure means, not only those that are not good");
  line.flag("--json", json, "the result as JSON, with every layer's figures");
  line.out(out, "FILE", "write the result there instead of printing it");
  line.threads(options.threads);
  line.unused_seed();
  if (!line.parse()) return;
  if (folder.empty()) folder = model;
  line.require(!folder.empty(), "a model folder or a run folder");

  const Diagnosis diagnosis = examine(folder, options);
  emit(json ? diagnosis.to_json().dump(2) + "\n" : diagnosis.to_text(all), out);
  if (!diagnosis.healthy()) throw Negative{};
}

}  // namespace ballast::cli
