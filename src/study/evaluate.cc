#include "study/evaluate.h"

#include <fmt/format.h>

#include <functional>

#include "base/human.h"
#include "eval/baselines.h"
#include "infer/score.h"

namespace ballast {
namespace {

Json scores_of(const LineResult& r, uint64_t seed) {
  const Interval em = r.exact_match_interval(seed), es = r.edit_similarity_interval(seed);
  Json j = Json::object();
  j["em"] = 100 * r.exact_match();
  j["es"] = r.edit_similarity();
  j["em_lo"] = 100 * em.lo;
  j["em_hi"] = 100 * em.hi;
  j["es_lo"] = es.lo;
  j["es_hi"] = es.hi;
  return j;
}

bool has_fim(Generator& model) {
  const ControlTokens c = model.control();
  return c.fim_begin >= 0 && c.fim_hole >= 0 && c.fim_end >= 0;
}

double seconds_of(const std::function<void()>& work) {
  work();  // brings the weights into memory
  const double begin = steady_seconds();
  work();
  return steady_seconds() - begin;
}

}  // namespace

EvaluatePlan plan_evaluation(Generator& model, const Corpus& corpus, const EvaluateOptions& o) {
  const int64_t context = model.context_length(), stride = o.stride > 0 ? o.stride : context / 2;
  EvaluatePlan plan;
  ScoreRequest first;
  int64_t read = 0;
  for (const Document* d : sample_documents(corpus.part(Split::held_out), o.max_bytes, o.seed)) {
    std::vector<int32_t> ids = model.encode(d->text);
    if (model.control().bos >= 0) ids.insert(ids.begin(), model.control().bos);
    const auto windows = score_windows(std::ssize(ids), context, stride);
    plan.windows += std::ssize(windows);
    for (const ScoreWindow& w : windows) {
      plan.tokens += w.scored;
      read += w.end - w.begin;
      if (w.end - w.begin > std::ssize(first.tokens))
        first = {{ids.begin() + w.begin, ids.begin() + w.end}, w.scored};
    }
  }
  double seconds = 0;
  if (plan.windows > 0)
    seconds = seconds_of([&] { model.score({&first, 1}); }) * static_cast<double>(read) /
              static_cast<double>(first.tokens.size());
  const auto tasks = make_line_tasks(corpus.part(Split::held_out), {o.lines, o.prompt_bytes, o.seed});
  plan.lines = std::ssize(tasks);
  if (!tasks.empty()) {
    const GenerateRequest line{.prompt = tasks.front().prompt, .max_new_tokens = o.line_tokens};
    const double times = has_fim(model) ? 2 : 1;  // completed, and filled in
    seconds += seconds_of([&] { model.generate({&line, 1}); }) * times * static_cast<double>(tasks.size());
  }
  plan.minutes = seconds / 60;
  return plan;
}

std::string EvaluatePlan::text() const {
  return fmt::format("{} tokens in {} windows to be scored and {} lines to be completed: about {} of the model", tokens,
                     windows, lines, format_duration(60 * minutes));
}

Json EvaluatePlan::to_json() const {
  return Json(Json::Object{{"tokens", tokens}, {"windows", windows}, {"lines", lines}, {"minutes", minutes}});
}

EvaluationTask make_evaluation_task(const Corpus& corpus, const EvaluateOptions& o) {
  const Documents train = corpus.part(Split::train), held_out = corpus.part(Split::held_out);
  EvaluationTask task;
  task.options = o;
  task.held_out = sample_documents(held_out, o.max_bytes, o.seed);
  task.text_rivals = {score_uniform(task.held_out), score_ngram5(train, task.held_out), score_xz_file(task.held_out),
                      score_xz_primed(train, task.held_out)};
  task.lines = make_line_tasks(held_out, {o.lines, o.prompt_bytes, o.seed});
  task.line_rivals = {predict_previous_line(task.lines), predict_successor(train, task.lines),
                      predict_in_file_repeat(task.lines)};
  return task;
}

Json evaluate_held_out(Generator& model, const EvaluationTask& task, int64_t stride) {
  const EvaluateOptions& o = task.options;
  if (stride == 0) stride = o.stride > 0 ? o.stride : model.context_length() / 2;
  const HeldOutResult ours = score_held_out(model, task.held_out, {.stride = stride});
  const Interval interval = ours.interval(o.seed);
  Json j = Json::object();
  j["bpb"] = ours.bpb();
  j["bpb_lo"] = interval.lo;
  j["bpb_hi"] = interval.hi;
  j["macro_bpb"] = ours.macro_bpb();
  j["accuracy"] = ours.accuracy();
  j["bytes"] = ours.bytes();
  j["documents"] = static_cast<int64_t>(ours.documents.size());
  j["interval"] = "95 %, resampling files; not the training seed";
  // xz primed with the whole training part is a mark to look at, not a trivial rival: it carries that part with it.
  bool at_floor = false;
  Json beaten = Json::object(), notes = Json::object();
  notes["model"] = ours.note;
  for (const HeldOutResult& rival : task.text_rivals) {
    const bool won = beats(ours, rival, o.seed);
    j[rival.name] = rival.bpb();
    beaten[rival.name] = won;
    notes[rival.name] = rival.note;
    at_floor = at_floor || (!won && rival.name != "xz_primed");
  }
  j["beats"] = beaten;
  j["at_floor"] = at_floor;
  j["notes"] = notes;
  if (o.records) j["records"] = ours.to_json(o.seed);
  return j;
}

Json evaluate_lines(Generator& model, const EvaluationTask& task) {
  const EvaluateOptions& o = task.options;
  const LineResult ours = complete_lines(model, task.lines, o.line_tokens);
  Json j = scores_of(ours, o.seed);
  j["lines"] = static_cast<int64_t>(task.lines.size());
  j["em_at_floor"] = exact_match_at_floor(ours, task.line_rivals, o.seed);
  j["es_at_floor"] = edit_similarity_at_floor(ours, task.line_rivals, o.seed);
  Json rivals = Json::object();
  for (const LineResult& r : task.line_rivals) rivals[r.name] = scores_of(r, o.seed);
  j["rivals"] = rivals;
  if (o.records) j["records"] = ours.to_json(o.seed);
  if (!has_fim(model)) return j;
  const LineResult infilled = infill_lines(model, task.lines, o.prompt_bytes, o.line_tokens);
  Json infill = scores_of(infilled, o.seed);
  if (o.records) infill["records"] = infilled.to_json(o.seed);
  j["infill"] = infill;
  return j;
}

}  // namespace ballast
