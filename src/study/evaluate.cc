#include "study/evaluate.h"

#include "eval/baselines.h"

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

}  // namespace

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
  if (const ControlTokens c = model.control(); c.fim_begin < 0 || c.fim_hole < 0 || c.fim_end < 0) return j;
  const LineResult infilled = infill_lines(model, task.lines, o.prompt_bytes, o.line_tokens);
  Json infill = scores_of(infilled, o.seed);
  if (o.records) infill["records"] = infilled.to_json(o.seed);
  j["infill"] = infill;
  return j;
}

}  // namespace ballast
