#include "study/evaluate.h"

#include <fmt/format.h>

#include <functional>

#include "base/human.h"
#include "eval/baselines.h"
#include "eval/line_completion.h"
#include "infer/score.h"

namespace ballast {

namespace {

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
    seconds += seconds_of([&] { model.generate({&line, 1}); }) * static_cast<double>(tasks.size());
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

Json evaluate_held_out(Generator& model, const Corpus& corpus, const EvaluateOptions& o) {
  const Documents train = corpus.part(Split::train);
  const Documents held_out = sample_documents(corpus.part(Split::held_out), o.max_bytes, o.seed);
  const HeldOutResult ours =
      score_held_out(model, held_out, {.stride = o.stride > 0 ? o.stride : model.context_length() / 2});
  const HeldOutResult rivals[] = {score_uniform(held_out), score_ngram5(train, held_out), score_xz_file(held_out),
                                  score_xz_primed(train, held_out)};
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
  Json beaten = Json::object();
  for (const HeldOutResult& rival : rivals) {
    j[rival.name] = rival.bpb();
    beaten[rival.name] = beats(ours, rival, o.seed);
  }
  j["beats"] = beaten;
  // xz primed with the whole training part is a mark to look at, not a trivial rival: it carries that part with it.
  j["at_floor"] = !(beats(ours, rivals[0], o.seed) && beats(ours, rivals[1], o.seed) && beats(ours, rivals[2], o.seed));
  Json notes = Json::object();
  notes["model"] = ours.note;
  for (const HeldOutResult& rival : rivals) notes[rival.name] = rival.note;
  j["notes"] = notes;
  if (o.records) j["records"] = ours.to_json(o.seed);
  return j;
}

Json evaluate_lines(Generator& model, const Corpus& corpus, const EvaluateOptions& o) {
  const auto tasks = make_line_tasks(corpus.part(Split::held_out), {o.lines, o.prompt_bytes, o.seed});
  const LineResult ours = complete_lines(model, tasks, o.line_tokens);
  const std::vector<LineResult> rivals{
      predict_previous_line(tasks), predict_successor(corpus.part(Split::train), tasks), predict_in_file_repeat(tasks)};
  const auto scores = [&](const LineResult& r) {
    const Interval em = r.exact_match_interval(o.seed), es = r.edit_similarity_interval(o.seed);
    Json j = Json::object();
    j["em"] = 100 * r.exact_match();
    j["es"] = r.edit_similarity();
    j["em_lo"] = 100 * em.lo;
    j["em_hi"] = 100 * em.hi;
    j["es_lo"] = es.lo;
    j["es_hi"] = es.hi;
    return j;
  };
  Json j = scores(ours);
  j["lines"] = static_cast<int64_t>(tasks.size());
  j["em_at_floor"] = exact_match_at_floor(ours, rivals, o.seed);
  j["es_at_floor"] = edit_similarity_at_floor(ours, rivals, o.seed);
  Json list = Json::object();
  for (const LineResult& r : rivals) list[r.name] = scores(r);
  j["rivals"] = list;
  if (o.records) j["records"] = ours.to_json(o.seed);
  return j;
}

}  // namespace ballast
