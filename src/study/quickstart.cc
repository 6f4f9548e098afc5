#include "study/quickstart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/config.h"
#include "base/file.h"
#include "base/human.h"
#include "base/interrupt.h"
#include "base/jsonl.h"
#include "base/log.h"
#include "base/toml.h"
#include "base/version.h"
#include "core/cpu_features.h"
#include "data/fim.h"
#include "data/shards.h"
#include "infer/generate.h"
#include "infer/load.h"
#include "infer/shipped_model.h"
#include "model/roofline.h"
#include "report/report.h"
#include "study/engine_generator.h"
#include "study/evaluate.h"
#include "study/quickstart_bands.h"
#include "study/quickstart_recipe.h"
#include "study/sample_hook.h"
#include "study/skip_study.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

constexpr double kFullMinutes = 6;
constexpr int64_t kStepsBf16 = 367, kStepsF32 = 184;  // of 4096 tokens: 1.5M and 0.75M
const std::vector<std::string> kArms{"sign_centered", "none", "aux_global"};

int64_t main_steps(DType dtype, double minutes) {
  const int64_t full = dtype == DType::bf16 ? kStepsBf16 : kStepsF32;
  if (minutes <= 0 || minutes >= kFullMinutes) return full;
  return std::max<int64_t>(24, std::llround(static_cast<double>(full) * minutes / kFullMinutes * 0.9));
}
// The other arms stop at a third, a multiple of three so that validations meet there.
int64_t arm_steps(int64_t main) { return std::max<int64_t>(3, main / 9 * 3); }

class Quickstart {
 public:
  explicit Quickstart(const QuickstartOptions& options)
      : o_(options), dtype_(compute_dtype(options.dtype)), steps_(main_steps(dtype_, options.minutes)) {}

  Json run() {
    if (o_.fresh) remove_runs();
    load_summary();
    if (finished()) {
      print_summary();
      return summary_;
    }
    announce();
    stage("corpus", [&] { corpus(); });
    prepare_inputs();
    for (const std::string& arm : kArms) stage("train " + arm, [&] { train_arm(arm); });
    stage("held-out", [&] { held_out(); });
    stage("lines", [&] { lines(); });
    stage("skip", [&] { skip(); });
    if (shipped()) stage("skip " + std::string(kShippedModel), [&] { skip_shipped(); });
    summary_["finished"] = true;
    write();
    print_summary();
    return summary_;
  }

 private:
  fs::path data() const { return o_.out / "data"; }
  fs::path file() const { return o_.out / "summary.json"; }
  fs::path main_checkpoint() const {
    const auto c = latest_checkpoint(o_.out / "sign_centered" / "checkpoints");
    if (!c) fail(ErrorKind::file, (o_.out / "sign_centered").string(), "has no checkpoint; start again with --fresh");
    return *c;
  }

  // --- stages
  // ----------------------------------------------------------------------------------------------------------
  void remove_runs() {
    for (const char* name : {"data", "none", "aux_global", "sign_centered"}) fs::remove_all(o_.out / name);
    for (const char* name : {"summary.json", "samples.jsonl"}) fs::remove(o_.out / name);
  }

  // What a summary was made with; another recipe must not go on with it.
  Json key() const {
    Json k = Json::object();
    k["dtype"] = name_of(dtype_);
    k["steps"] = steps_;
    k["seed"] = o_.seed;
    k["corpus"] = config_to_json(o_.corpus);
    return k;
  }

  void load_summary() {
    if (fs::exists(file())) {
      summary_ = Json::read(file());
      const Json* then = summary_.find("key");
      if (then && then->dump() == key().dump()) return;
      fail(ErrorKind::usage, o_.out.string(),
           "holds a quickstart with other settings; --fresh starts anew, --out DIR goes elsewhere");
    }
    summary_ = Json::object();
    summary_["format"] = 1;
    summary_["key"] = key();
    summary_["seconds"] = Json::object();
    summary_["commands"] = Json::array();
  }
  bool finished() const { return summary_.find("finished") != nullptr; }

  void announce() const {
    const double scale = o_.minutes > 0 ? std::min(1.0, o_.minutes / kFullMinutes) : 1;
    log_info(
        "quickstart: corpus and tokenizer 0.1 min, training three arms {:.1f} min, held-out figures 0.5 min, skipping "
        "{:.1f} min ({} on {}, {} steps{})",
        4.4 * scale, 0.8, name_of(dtype_), cpu_isa(), steps_, scale < 1 ? ", a shortened run" : "");
    log_info("report: {}", (fs::absolute(o_.out) / "report.html").string());
  }

  template <class F>
  void stage(const std::string& name, F&& body) {
    if (summary_["seconds"].find(name)) return;
    const double begun = steady_seconds();
    body();
    if (interrupted()) fail(ErrorKind::interrupted, o_.out.string(), "stopped; the same command goes on where it was");
    summary_["seconds"][name] = steady_seconds() - begun;
    write();
    write_report(o_.out);
  }

  void write() {
    fs::create_directories(o_.out);
    write_file_atomic(file(), summary_.dump(1) + "\n");
  }

  void command(std::string text) { summary_["commands"].push_back(std::move(text)); }

  void corpus() {
    log_info("corpus: source files to documents, a tokenizer of {} tokens, shards", o_.corpus.tokenizer.vocab_size);
    const PreparedCorpus made = prepare_corpus(o_.corpus, data());
    summary_["corpus"] = made.report;
    command(o_.command);
    command(fmt::format("ballast corpus --out {}", data().string()));
  }

  // What later stages need of the corpus, also when its stage was done by an earlier process.
  void prepare_inputs() {
    corpus_ = collect_corpus(o_.corpus.corpus);
    tokenizer_.emplace(Tokenizer::load(data() / "tokenizer.json"));
    const RunConfig c = recipe("sign_centered");
    const ModelCounts counts = count_parameters(c.model);
    const ByteModel bytes = byte_model(c.model, dtype_ == DType::bf16 ? 2 : 4, dtype_ == DType::bf16 ? 2 : 4);
    Json model = Json::object();
    model["params_total"] = counts.total();
    model["params_active"] = counts.active;
    model["routed_byte_share"] = bytes.routed_share(1);
    summary_["model"] = model;
    Json h = Json::object();
    h["shape"] = fmt::format(
        "{} layers ({} dense) and one MTP layer, hidden {}, {} experts top-{} + {} shared of width {}, "
        "{} heads, q_lora {}, kv_lora {}, vocabulary {}",
        c.model.num_hidden_layers, c.model.first_k_dense_replace, c.model.hidden_size, c.model.n_routed_experts,
        c.model.num_experts_per_tok, c.model.n_shared_experts, c.model.moe_intermediate_size,
        c.model.num_attention_heads, c.model.q_lora_rank.value_or(0), c.model.kv_lora_rank, c.model.vocab_size);
    h["tokens"] = steps_ * c.data.batch_size * c.data.seq_len;
    h["corpus_hash"] = corpus_.hash();
    h["dtype"] = name_of(dtype_);
    h["isa"] = cpu_isa();
    h["machine"] =
        fmt::format("{}, {} threads", cpu_model(), o_.threads > 0 ? o_.threads : ThreadPool::available_cores());
    h["commit"] = build_commit();
    h["experts"] = c.model.n_routed_experts;
    h["experts_per_tok"] = c.model.num_experts_per_tok;
    h["tokens_per_step"] = c.data.batch_size * c.data.seq_len;
    summary_["header"] = h;
    Json labels = Json::object();
    labels["none"] = "none (no bias, no global loss; sequence-wise loss 1e-4)";
    labels["aux_global"] = "aux_global (global-batch loss 1e-3, no bias; sequence-wise loss 1e-4)";
    labels["sign_centered"] = "sign_centered (bias; sequence-wise loss 1e-4): the main run";
    summary_["arm_labels"] = labels;
    if (o_.minutes > 0 && o_.minutes < kFullMinutes)
      summary_["label"] =
          fmt::format("a run shortened to {:g} minutes: its figures are not those of the full quickstart", o_.minutes);
  }

  RunConfig recipe(const std::string& arm) const {
    RunConfig c = quickstart_recipe(arm, dtype_, o_.minutes);
    c.data.train_shard = (data() / "train.shard").string();
    c.data.valid_shard = (data() / "held_out.shard").string();
    c.data.tokenizer = (data() / "tokenizer.json").string();
    c.train.seed = o_.seed;
    c.train.dtype = name_of(dtype_);
    c.model.vocab_size = tokenizer_ ? tokenizer_->vocab_size() : o_.corpus.tokenizer.vocab_size;
    return c;
  }

  void train_arm(const std::string& arm) {
    const RunConfig c = recipe(arm);
    log_info("training {}: {} of {} steps of {} tokens", arm, c.schedule.run_steps(), c.schedule.steps,
             c.data.batch_size * c.data.seq_len);
    TrainHooks hooks;
    hooks.sample = sample_hook(data() / "tokenizer.json", completion_task().prompt, o_.out / "samples.jsonl");
    const TrainSummary s = train({.config = c, .run = o_.out / arm, .resume = true, .threads = o_.threads}, hooks);
    if (s.interrupted) fail(ErrorKind::interrupted, o_.out.string(), "stopped and saved; the same command goes on");
    command(fmt::format("ballast train --config {} --out {}", (o_.out / arm / "config.toml").string(),
                        (o_.out / arm).string()));
    summary_["train"][arm] = s.to_json();
    log_info(
        "{}: {} tokens at {} tok/s, {:.0f} % of the matrix products' rate; MaxVio {:.2f} (worst layer), {} dead "
        "experts",
        arm, s.tokens, format_si(s.tok_per_s), 100 * s.ceiling_share, s.max_vio_worst, s.dead);
    if (arm == "sign_centered" && !s.balanced_at_half)
      summary_["balance_note"] =
          "Balance was not reached: at half of the main run some layer's 20-step mean MaxVio was 0.5 or more.";
    if (arm == "none") compare_at_stop();
    if (arm == "sign_centered") link_model();
  }

  // <out>/model: the main run's checkpoint under a name that commands and docs can use.
  void link_model() const {
    const fs::path link = o_.out / "model";
    fs::remove(link);
    fs::create_directory_symlink(fs::relative(main_checkpoint(), o_.out), link);
  }

  // Both arms' validation at the step where `none` stopped.
  void compare_at_stop() {
    const int64_t step = arm_steps(steps_);
    for (const char* arm : {"none", "sign_centered"})
      summary_["train"][std::string(arm) + "_at"] = figures_at(arm, step);
    const double gap = loss_at("sign_centered") - loss_at("none");
    const double spread = (dtype_ == DType::bf16 ? kBandsBf16 : kBandsF32).spread;
    summary_["loss_note"] = fmt::format(
        "At step {} the validation loss of sign_centered minus none is {:+.4f} nats; over seeds one arm's loss varies "
        "by {:.4f} "
        "(standard deviation, measured in bf16: docs/results/quickstart.md): {}.",
        step, gap, spread, std::abs(gap) <= 2 * spread ? "not resolved" : "outside of two standard deviations");
    log_info("{}", summary_["loss_note"].as_string());
  }
  double loss_at(const std::string& arm) { return summary_["train"].at(arm + "_at").at("val_loss_last").as_double(); }

  // An arm's figures as they stood after `step`, read off its records: validation there, MaxVio over the 20 steps
  // before.
  Json figures_at(const std::string& arm, int64_t step) const {
    JsonlReader reader(o_.out / arm / "metrics.jsonl");
    Json line, at = Json::object();
    double mean = 0, n = 0;
    std::map<std::string, double> layers;
    at["step"] = step;
    while (reader.next(line)) {
      const int64_t s = line.at("step").as_int();
      if (s > step) continue;
      if (const Json* loss = line.find("val/loss")) at[s == 0 ? "val_loss_first" : "val_loss_last"] = *loss;
      if (!line.find("max_vio/mean") || s <= step - 20) continue;
      for (const auto& [key, value] : line.as_object())
        if (key.starts_with("max_vio/layer_")) layers[key] += value.as_double();
      mean += line.at("max_vio/mean").as_double();
      ++n;
      for (const char* key : {"tokens", "dead"}) at[key] = line.at(key);
    }
    double worst = 0;
    for (const auto& [key, sum] : layers) worst = std::max(worst, sum / n);
    at["max_vio_worst"] = worst;
    at["max_vio_mean"] = mean / n;
    return at;
  }

  struct Task {
    std::string source, prompt, truth;
  };
  // The first held-out file's first function body: its head as prompt, the next lines as truth.
  Task completion_task() const {
    for (const Document* d : corpus_.part(Split::held_out)) {
      const size_t at = d->text.find("\n    def ", d->text.size() / 3);
      if (at == std::string::npos) continue;
      const size_t end = d->text.find('\n', at + 1);
      if (end == std::string::npos || end + 160 > d->text.size()) continue;
      const size_t begin = d->text.rfind("\n\n", at > 300 ? at - 300 : 0);
      const size_t from = begin == std::string::npos ? 0 : begin + 2;
      return {d->path, d->text.substr(from, end - from), d->text.substr(end, 160)};
    }
    return {"", "def main():", ""};
  }

  // --- figures of the main run's model, and of the shipped one beside it
  // ---------------------------------------------------------------
  template <class F>
  void with_model(const fs::path& folder, int64_t context, F&& body) {
    auto device = Device::make(DeviceKind::cpu, o_.threads);
    LoadedModel model = load_model(folder, *device, dtype_);
    Engine engine(*model.model, {.slots = 1, .context = context, .prefill_chunk = 512});
    EngineGenerator generator(engine, model.tokenizer());
    body(model, engine, generator);
  }

  // The shipped model has seen none of the default corpus; of other sources it may have, so it stays out of those.
  std::optional<fs::path> shipped() const {
    const bool default_corpus = o_.corpus.corpus.source.empty() && o_.corpus.corpus.jsonl.empty();
    return default_corpus ? find_shipped_model() : std::nullopt;
  }
  Json& shipped_summary() {
    summary_["shipped"]["name"] = kShippedModel;
    return summary_["shipped"];
  }
  bool is_short() const { return o_.minutes > 0 && o_.minutes < 4; }

  const EvaluationTask& evaluation() {
    const EvaluateOptions options{
        .max_bytes = is_short() ? 200'000 : 0, .lines = 100, .prompt_bytes = 512, .line_tokens = 32};
    if (!evaluation_) evaluation_ = make_evaluation_task(corpus_, options);
    return *evaluation_;
  }

  void held_out() {
    const int64_t context = recipe("sign_centered").data.seq_len;
    with_model(main_checkpoint(), context, [&](LoadedModel&, Engine&, EngineGenerator& g) {
      summary_["heldout"] = evaluate_held_out(g, evaluation());
    });
    command(fmt::format("ballast eval -m {} --context {}", (o_.out / "model").string(), context));
    band();
    if (const auto folder = shipped()) {
      with_model(*folder, kShippedContext, [&](LoadedModel&, Engine&, EngineGenerator& g) {
        shipped_summary()["heldout"] = evaluate_held_out(g, evaluation(), kShippedContext);  // no overlap, for time
      });
    }
  }

  void lines() {
    const int64_t context = recipe("sign_centered").data.seq_len;
    const Task task = completion_task();
    const auto complete = [&](LoadedModel& model, Engine& engine) {
      GenerateOptions options;
      options.max_new_tokens = 48;
      return generate(engine, model.tokenizer(), Prompt{task.prompt, {}}, options).text;
    };
    with_model(main_checkpoint(), context, [&](LoadedModel& model, Engine& engine, EngineGenerator& g) {
      summary_["line"] = evaluate_lines(g, evaluation());
      Json c = Json::object();
      c["prompt"] = task.prompt;
      c["truth"] = task.truth;
      c["output"] = complete(model, engine);
      c["source"] = task.source;
      summary_["completion"] = c;
    });
    command(fmt::format("ballast generate -m {} -p 'def '", (o_.out / "model").string()));
    if (const auto folder = shipped()) {
      with_model(*folder, kShippedContext, [&](LoadedModel& model, Engine& engine, EngineGenerator& g) {
        shipped_summary()["line"] = evaluate_lines(g, evaluation());
        shipped_summary()["output"] = complete(model, engine);
      });
    }
  }

  void skip() {
    SkipStudyOptions options{.score_tokens = 8192, .rounds = 8};
    if (is_short()) options = {.score_tokens = 2048, .calibration_tokens = 1024, .rounds = 3};
    study_skipping(main_checkpoint(), options, summary_);
    command(fmt::format("ballast study skip -m {}", (o_.out / "model").string()));
  }

  // Of the shipped model, on fewer tokens and in fewer rounds than of the fresh one, for time; the report says so.
  void skip_shipped() {
    const fs::path folder = shipped().value();
    SkipStudyOptions options{.score_tokens = 2048, .calibration_tokens = 1024, .rounds = 3};
    if (is_short()) options.rounds = 2;
    study_skipping(folder, options, shipped_summary());
    command(fmt::format("ballast study skip -m {}", folder.string()));
  }

  void study_skipping(const fs::path& folder, const SkipStudyOptions& options, Json& summary) {
    auto device = Device::make(DeviceKind::cpu, o_.threads);
    LoadedModel model = load_model(folder, *device, dtype_);
    const TextEncoder encoder = text_encoder(model.tokenizer(), "");
    std::vector<std::vector<int32_t>> documents;
    for (const Document* d : corpus_.part(Split::held_out))
      documents.push_back(encode_document(encoder, d->text, std::nullopt));
    const SkipStudy study = study_skip(*model.model, documents, options);
    summary["skip"] = study.rows_json();
    summary["intervals"] = study.intervals_json();
    summary["skip_tokens"] = study.tokens;
    summary["skip_rounds"] = options.rounds;
  }

  // "in band", or what differs from what this recipe is expected to give.
  void band() {
    if (o_.minutes > 0 && o_.minutes < kFullMinutes) {
      summary_["band"] = "not compared: a shortened run";
      return;
    }
    if (!o_.corpus.corpus.source.empty() || !o_.corpus.corpus.jsonl.empty() || o_.corpus.corpus.repo_context) {
      summary_["band"] = "not compared: the bands are for the default corpus";
      return;
    }
    const QuickstartBands& b = dtype_ == DType::bf16 ? kBandsBf16 : kBandsF32;
    const double loss = summary_["train"].at("sign_centered").at("val_loss_last").as_double();
    const double bpb = summary_["heldout"].at("bpb").as_double();
    std::string text;
    const auto check = [&](const char* what, double v, const Band& band) {
      if (v < band.low || v > band.high)
        text += fmt::format("{}{} {:.3f} is outside of [{:.3f}, {:.3f}]", text.empty() ? "" : "; ", what, v, band.low,
                            band.high);
    };
    check("validation loss", loss, b.val_loss);
    check("bits per byte", bpb, b.bpb);
    summary_["band"] = text.empty() ? "in band" : text;
  }

  void print_summary() {
    const auto number = [&](const char* section, const char* key) {
      const Json* s = summary_.find(section);
      const Json* v = s ? s->find(key) : nullptr;
      return v && v->is_number() ? fmt::format("{:.3f}", v->as_double()) : std::string("?");
    };
    log_info("held-out bits per byte {} (uniform 8, 5-gram {}, xz per file {}, xz primed {}): {}",
             number("heldout", "bpb"), number("heldout", "ngram5"), number("heldout", "xz_file"),
             number("heldout", "xz_primed"), summary_.find("band") ? summary_["band"].as_string() : "");
    log_info("line completion: exact match {} %, edit similarity {}", number("line", "em"), number("line", "es"));
    if (const Json* s = summary_.find("shipped"); s && s->find("heldout") && s->find("line")) {
      const auto of = [&](const char* section, const char* key) { return s->at(section).at(key).as_double(); };
      log_info("{}, which comes with the program: {:.3f} bits per byte, exact match {:.1f} %, edit similarity {:.1f}",
               kShippedModel, of("heldout", "bpb"), of("line", "em"), of("line", "es"));
    }
    if (const Json* note = summary_.find("balance_note")) log_warning("{}", note->as_string());
    log_info("report: {}", (fs::absolute(o_.out) / "report.html").string());
  }

  const QuickstartOptions& o_;
  DType dtype_;
  int64_t steps_;
  Json summary_;
  Corpus corpus_;
  std::optional<Tokenizer> tokenizer_;
  std::optional<EvaluationTask> evaluation_;
};

}  // namespace

RunConfig quickstart_recipe(const std::string& arm, DType dtype, double minutes) {
  RunConfig c;
  read_config(c, parse_toml(kQuickstartRecipe, "the quickstart's recipe"), "the quickstart's recipe");
  const int64_t steps = main_steps(dtype, minutes), stop = arm_steps(steps);
  c.schedule.steps = steps;
  c.train.eval_every = stop / 3;
  c.train.checkpoint_every = std::max<int64_t>(20, steps / 4);
  if (arm == "sign_centered") {
    c.train.sample_every = std::max<int64_t>(1, stop / 3);
  } else {
    c.balance.rule = "none";
    c.schedule.stop_after = stop;
    if (arm == "aux_global") c.aux.global = 1e-3;
  }
  return c;
}

Json quickstart(const QuickstartOptions& options) {
  install_interrupt_handler();
  return Quickstart(options).run();
}

}  // namespace ballast
