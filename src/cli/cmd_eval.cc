#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "infer/memory_plan.h"
#include "infer/shipped_model.h"
#include "study/engine_generator.h"
#include "study/evaluate.h"
#include "train/config.h"

namespace ballast::cli {
namespace {

struct EvalKeys {
  CorpusOptions corpus;
  EvaluateOptions eval;
  SkipConfig skip;

  template <class V>
  void visit(V& v) {
    v.section("corpus", corpus, "the text: its held-out part is scored, its training part trains the rivals");
    v.section("eval", eval, "how much of it");
    v.section("skip", skip, "which of the chosen experts run");
  }
};

// "heldout.bpb  1.523", a line per figure.
void figures(const Json& json, const std::string& prefix, std::string& text) {
  for (const auto& [key, value] : json.as_object()) {
    if (value.is_object()) {
      figures(value, prefix + key + ".", text);
    } else if (!value.is_array()) {
      text += fmt::format("{:<32} {}\n", prefix + key, value.is_string() ? value.as_string() : value.dump());
    }
  }
}

}  // namespace

void cmd_eval(CommandLine& line) {
  EvalKeys config;
  std::string model_folder, dtype = "auto", out;
  int64_t context = 0, seed = 0;
  int threads = 0;
  bool json = false;
  line.config(config);
  line.option("-m,--model", model_folder, "DIR",
              "the model: a checkpoint of ours or a Hugging Face folder (default: ballast-nano, which comes with the "
              "program)");
  line.option(
      "--context", context, "N",
      "tokens that the model sees at once; what a model was trained on is best (default: all it can, up to 1024; "
      "512 for ballast-nano)");
  line.option("--dtype", dtype, "TYPE", "type of the matrices: auto, f32 or bf16");
  line.shortcut("--source", "corpus.source", "DIR...");
  line.shortcut("--jsonl", "corpus.jsonl", "FILE");
  line.shortcut("--field", "corpus.field", "KEY");
  line.flag("--json", json, "the result as JSON");
  line.option("--seed", seed, "N", "seed of the choice of documents and lines, and of the intervals");
  line.out(out, "FILE", "write the result there instead of printing it");
  line.threads(threads);
  if (!line.parse()) return;
  const std::filesystem::path folder = model_or_shipped(model_folder);

  config.eval.seed = static_cast<uint64_t>(seed);
  OpenedModel opened = open_model(folder);
  opened.tokenizer();
  const auto device = Device::make(DeviceKind::cpu, threads);
  const DType storage = compute_dtype(dtype);
  if (context == 0)
    context = model_folder.empty() ? kShippedContext : std::min<int64_t>(1024, opened.config.max_position_embeddings);
  check_positions(opened.config, context, "--context", fmt::format("{} tokens", context));
  const EngineOptions options{.slots = 1, .context = context};
  const MemoryPlan memory = plan_memory(opened, *device, storage, options);
  const AvailableMemory available = available_memory();
  admit(memory, available, folder);
  const Corpus corpus = collect_corpus(config.corpus);
  const LoadedModel model = load_model(std::move(opened), *device, storage);
  Engine engine(*model.model, options);
  EngineGenerator generator(engine, model.tokenizer(), config.skip);
  const EvaluatePlan plan = plan_evaluation(generator, corpus, config.eval);
  log_info("{}", plan.text());
  Json result = Json::object();
  result["plan"] = plan.to_json();
  result["plan"]["memory"] = memory.to_json(available);
  const EvaluationTask task = make_evaluation_task(corpus, config.eval);
  result["heldout"] = evaluate_held_out(generator, task);
  result["line"] = evaluate_lines(generator, task);
  std::string text;
  figures(result, "", text);
  emit(json ? result.dump(2) + "\n" : text, out);
}

}  // namespace ballast::cli
