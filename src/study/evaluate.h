// Item 3 of the quickstart and `ballast eval`: held-out bits per byte and line completion of a model, each beside its
// trivial rivals on exactly the same bytes and lines.
#pragma once

#include "data/corpus.h"
#include "eval/generator.h"
#include "eval/heldout.h"
#include "eval/line_completion.h"

namespace ballast {

struct EvaluateOptions {
  int64_t max_bytes = 0;  // of held-out documents, whole ones; 0: all
  int64_t stride = 0;     // of the windows, in tokens; 0: half of the context
  int64_t lines = 100;
  int64_t prompt_bytes = 1024;
  int line_tokens = 40;  // most tokens of a completed line
  uint64_t seed = 0;
  bool records = false;  // per-document and per-line records in the result

  template <class V>
  void visit(V& v) {
    v("max_bytes", max_bytes, "bytes of held-out text to score, in whole documents; 0: all");
    v("stride", stride, "tokens between the beginnings of two windows of the model's context; 0: half of the context");
    v("lines", lines, "lines to complete");
    v("prompt_bytes", prompt_bytes, "bytes of context before a line");
    v("line_tokens", line_tokens, "most tokens of a completed line");
    v("records", records, "a record per document and per line in the result");
  }
};

// How much there is to do, and how long it takes at the speed of the first window and the first line, which it
// measures.
struct EvaluatePlan {
  int64_t tokens = 0, windows = 0;  // held-out ones to be scored
  int64_t lines = 0;                // to be completed
  double minutes = 0;               // of the model; the trivial rivals come on top
  std::string text() const;
  Json to_json() const;
};
EvaluatePlan plan_evaluation(Generator& model, const Corpus& corpus, const EvaluateOptions& options);

// What every model is measured on, and its rivals' results there, which do not depend on the model.
struct EvaluationTask {
  EvaluateOptions options;
  Documents held_out;  // of the corpus, which outlives this
  std::vector<HeldOutResult> text_rivals;
  std::vector<LineTask> lines;
  std::vector<LineResult> line_rivals;
};
EvaluationTask make_evaluation_task(const Corpus& corpus, const EvaluateOptions& options);

// {bpb, bpb_lo, bpb_hi, accuracy, ngram5, xz_file, xz_primed, uniform, at_floor, ...}. `stride`: another one than the
// options', in tokens; 0: theirs.
Json evaluate_held_out(Generator& model, const EvaluationTask& task, int64_t stride = 0);
// {em, es, em_at_floor, es_at_floor, rivals: {name: {em, es}}, infill: {em, es}}; em and es are per cent. `infill`: the
// same lines with what stands behind them given too; absent where the model has no FIM tokens.
Json evaluate_lines(Generator& model, const EvaluationTask& task);

}  // namespace ballast
