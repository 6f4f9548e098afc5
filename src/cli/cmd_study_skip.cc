#include "cli/commands.h"
#include "data/shards.h"
#include "infer/load.h"
#include "study/skip_study.h"
#include "train/config.h"

namespace ballast::cli {
namespace {

struct StudyKeys {
  SkipStudyOptions study;

  template <class V>
  void visit(V& v) {
    v.section("study", study, "how much is scored and timed");
  }
};

}  // namespace

void cmd_study_skip(CommandLine& line) {
  StudyKeys config;
  std::string model_folder, shard_file, dtype = "auto", out;
  int threads = 0;
  bool json = false;
  line.config(config);
  line.option("-m,--model", model_folder, "DIR", "the model: a checkpoint of ours or a Hugging Face folder");
  line.option("--shard", shard_file, "FILE", "held-out token shard of its tokenizer, as `ballast corpus` writes it");
  line.option("--dtype", dtype, "TYPE", "type of the matrices: auto, f32 or bf16");
  line.flag("--json", json, "the result as JSON");
  line.shortcut("--seed", "study.seed", "N");
  line.out(out, "FILE", "write the result there instead of printing it");
  line.threads(threads);
  if (!line.parse()) return;
  line.require(!model_folder.empty() && !shard_file.empty(), "a model and a held-out shard, -m DIR --shard FILE");

  const ShardReader shard(shard_file);
  const auto device = Device::make(DeviceKind::cpu, threads);
  const LoadedModel model = load_model(model_folder, *device, compute_dtype(dtype));
  std::vector<std::vector<int32_t>> documents;
  for (int64_t d = 0; d < shard.documents(); ++d) documents.push_back(shard.document(d));
  const SkipStudy study = study_skip(*model.model, documents, config.study);
  emit(json ? study.rows_json().dump(2) + "\n" : study.table(), out);
}

}  // namespace ballast::cli
