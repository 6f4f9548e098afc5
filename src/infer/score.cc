#include "infer/score.h"

#include "ops/cross_entropy/cross_entropy.h"

namespace ballast {

std::vector<ScoreWindow> score_windows(int64_t tokens, int64_t context, int64_t stride) {
  if (context < 2) fail(ErrorKind::usage, "context", "{}: a token is scored from at least one before it", context);
  if (stride < 0 || stride > context)
    fail(ErrorKind::usage, "stride", "{} is not in 0..{}, the context", stride, context);
  // A window's first token has nothing before it: without overlap nobody would score it.
  const int64_t step = stride == 0 ? context - 1 : std::min(stride, context - 1);
  std::vector<ScoreWindow> windows;
  for (int64_t begin = 0, done = 1; done < tokens; begin += step) {
    const int64_t end = std::min(begin + context, tokens);
    windows.push_back({begin, end, end - done});
    done = end;
  }
  return windows;
}

Scorer::Scorer(Engine& engine) : engine_(engine) {
  const int64_t n = engine.options().prefill_chunk;
  const DType full = engine.logits().dtype;
  memory_ = Buffer(engine.device(), static_cast<size_t>(n) * (2 * size_of(full) + 2 * sizeof(int32_t)));
  char* at = static_cast<char*>(memory_.data());
  const auto take = [&](DType t) {
    const Tensor x(at, t, {n});
    at += x.bytes();
    return x;
  };
  loss_ = take(full);
  lse_ = take(full);
  targets_ = take(DType::i32);
  correct_ = take(DType::i32);
}

ScoredRows Scorer::rows(const Tensor& logits, std::span<const int32_t> targets) {
  Device& device = engine_.device();
  const int64_t n = logits[0];
  device.upload(targets_.data, targets.data(), targets.size_bytes());
  device.synchronize();
  ops::cross_entropy_forward(device, {.logits = logits,
                                      .targets = targets_.rows(0, n),
                                      .loss = loss_.rows(0, n),
                                      .lse = lse_.rows(0, n),
                                      .correct = correct_.rows(0, n)});
  const auto download = [&](const Tensor& from, std::vector<double>& to) {
    to.resize(static_cast<size_t>(n));
    if (from.dtype == DType::f64) return device.download(to.data(), from.data, to.size() * sizeof(double));
    narrow_.resize(to.size());
    device.download(narrow_.data(), from.data, narrow_.size() * sizeof(float));
    std::copy(narrow_.begin(), narrow_.end(), to.begin());
  };
  download(loss_, host_nll_);
  download(lse_, host_lse_);
  integers_.resize(static_cast<size_t>(n));
  device.download(integers_.data(), correct_.data, integers_.size() * sizeof(int32_t));
  host_correct_.assign(integers_.begin(), integers_.end());
  return {logits, host_nll_, host_lse_, host_correct_};
}

void Scorer::window(std::span<const int32_t> tokens, int64_t scored, TokenScores& out) {
  window(tokens, scored, [&](const ScoredRows& r) {
    out.nll.insert(out.nll.end(), r.nll.begin(), r.nll.end());
    out.correct.insert(out.correct.end(), r.correct.begin(), r.correct.end());
  });
}

TokenScores Scorer::document(std::span<const int32_t> tokens, int64_t stride) {
  TokenScores all;
  for (const ScoreWindow& w : score_windows(static_cast<int64_t>(tokens.size()), engine_.options().context, stride))
    window(tokens.subspan(w.begin, w.end - w.begin), w.scored, all);
  return all;
}

}  // namespace ballast
