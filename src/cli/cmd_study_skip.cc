#include "base/memory.h"
#include "cli/commands.h"
#include "infer/memory_plan.h"
#include "study/documents.h"
#include "study/skip_study.h"
#include "train/config.h"

namespace ballast::cli {
namespace {

struct StudyKeys {
  SkipStudyOptions study;
  TextOptions text;

  template <class V>
  void visit(V& v) {
    v.section("study", study, "how much is scored and timed");
    v.section("text", text, "what is scored");
  }
};

}  // namespace

void cmd_study_skip(CommandLine& line) {
  StudyKeys config;
  std::string model_folder, dtype = "auto", out;
  int threads = 0;
  bool json = false;
  line.config(config);
  line.option("-m,--model", model_folder, "DIR", "the model: a checkpoint of ours or a Hugging Face folder");
  line.shortcut("--text", "text.source", "SRC");
  line.shortcut("--shard", "text.source", "FILE");
  line.option("--dtype", dtype, "TYPE", "type of the matrices: auto, f32 or bf16");
  line.flag("--json", json, "the result as JSON");
  line.shortcut("--seed", "study.seed", "N");
  line.out(out, "FILE", "write the result there instead of printing it");
  line.threads(threads);
  if (!line.parse()) return;
  line.require(!model_folder.empty() && !config.text.source.empty(), "a model and a text, -m DIR --text SRC");

  OpenedModel opened = open_model(model_folder);
  const auto documents = read_documents(config.text, opened);
  const auto device = Device::make(DeviceKind::cpu, threads);
  const DType storage = compute_dtype(dtype);
  MemoryPlan memory = plan_memory(opened, *device, storage, skip_study_engine(opened.config, config.study));
  memory.buffers += skip_study_bytes(opened.config, config.study);
  const AvailableMemory available = available_memory();
  admit(memory, available, model_folder);
  const LoadedModel model = load_model(std::move(opened), *device, storage);
  const SkipStudy study = study_skip(*model.model, documents, config.study);
  if (!json) return emit(study.table(), out);
  Json result = study.to_json();
  result["plan"]["memory"] = memory.to_json(available);
  emit(result.dump(2) + "\n", out);
}

}  // namespace ballast::cli
