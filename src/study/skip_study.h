// What skipping experts costs and buys on one model and one machine: quality on held-out tokens beside the same tokens
// without a policy, and speed with all policies interleaved.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/stats.h"
#include "infer/engine.h"

namespace ballast {

struct SkipStudyOptions {
  int64_t score_tokens = 12288;
  int64_t window = 512;
  int64_t calibration_tokens = 4096;
  int rounds = 10;
  int64_t prompt = 512, decode = 128;
  int64_t seed = 1;
  std::vector<std::string> policies = {"topk", "minp", "random"};

  template <class V>
  void visit(V& v) {
    v("score_tokens", score_tokens, "held-out tokens scored under every policy");
    v("window", window, "context of the scored tokens, in tokens");
    v("calibration_tokens", calibration_tokens, "tokens, other than the scored ones, that choose min-p's thresholds");
    v("rounds", rounds, "speed: passes forth and back through all policies");
    v("prompt", prompt, "speed: tokens of the prompt");
    v("decode", decode, "speed: tokens decoded after it");
    v("seed", seed, "of the choice of files, the random policy and the intervals");
    v("policies", policies, "which policies to compare with off, each at its settings");
  }
};

struct SkipResult {
  std::string policy;
  Json settings = Json::object();
  double executed_k = 0;  // experts read per token and MoE layer while decoding, counted by the kernel
  double pp = 0, tg = 0;  // tokens/s of prompts and of decoding, at the median time
  double speedup = 0, speedup_lo = 0, speedup_hi = 0;  // of decoding, over `off`
  double predicted = 0;                                // the byte model's, at executed_k
  double dnll = 0, dnll_lo = 0, dnll_hi = 0;           // nats per token, policy - off
  double kl = 0;                                       // mean KL(off || policy), nats
  double same_top1 = 1;                                // share of tokens with the same most probable token
  Json to_json() const;
};

// What a study will do, and how long it takes at most: at the speed of a window and of a few decoded tokens without a
// policy, measured before it starts. Policies only leave work out.
struct SkipPlan {
  int64_t tokens = 0, windows = 0;  // scored under every policy
  int64_t policies = 0;             // and `off`
  int64_t calibration_tokens = 0;   // read once, for min-p's thresholds
  int64_t timed_runs = 0;           // of prompt and decoding
  double seconds_per_window = 0, seconds_per_token = 0;
  double quality_minutes = 0, speed_minutes = 0;

  double minutes() const { return quality_minutes + speed_minutes; }
  double minutes_per_policy() const { return minutes() / double(policies + 1); }
  std::string text() const;
  Json to_json() const;
};

struct SkipStudy {
  SkipPlan plan;
  std::vector<SkipResult> rows;   // the first is `off` against `off`: the floor below which nothing is resolved
  int64_t tokens = 0, files = 0;  // scored under every policy
  double nll = 0;                 // nats per token of `off`
  bool calibrated_apart = true;   // min-p's thresholds come from tokens that are not among the scored ones
  SkipStudyOptions options;

  Json rows_json() const;
  // {plan, rows, nll, tokens, files, intervals}
  Json to_json() const;
  // What the intervals resample: {"speedup": ..., "dnll": ...}.
  Json intervals_json() const;
  std::string table() const;
};

// The engine that a study runs on, and what it holds beside it, in bytes: for infer/memory_plan.h. Throws Error{usage}
// where the model was not made for so many positions.
EngineOptions skip_study_engine(const ModelConfig& config, const SkipStudyOptions& options);
int64_t skip_study_bytes(const ModelConfig& config, const SkipStudyOptions& options);

// `documents`: token ids of held-out files, each with its bos. Throws Error{usage} where they hold too few tokens or
// the options make no sense, Error{unsupported} for a model without experts or one that does not compute in f32 or bf16
// on a CPU, Error{interrupted} after SIGINT. Says its plan in a log line, and shows its progress.
SkipStudy study_skip(Model& model, std::span<const std::vector<int32_t>> documents, const SkipStudyOptions& options);

}  // namespace ballast
