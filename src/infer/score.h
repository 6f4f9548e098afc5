// How probable a model finds a given text.
#pragma once

#include <span>
#include <vector>

#include "infer/engine.h"

namespace ballast {

// Tokens [begin, end) of a document go through the model in one piece; the last `scored` of them are scored.
struct ScoreWindow {
  int64_t begin, end, scored;
};

// Windows of at most `context` tokens that begin every `stride` tokens and score what none before them scored: every
// token but the first, once, given at least context - stride tokens where the document has them. stride 0: the least
// overlap, one token. Throws Error{usage} for a context below 2 or a stride outside [0, context].
std::vector<ScoreWindow> score_windows(int64_t tokens, int64_t context, int64_t stride);

// Some of a window's scored tokens, in order. Host memory, valid during the call.
struct ScoredRows {
  Tensor logits;                     // (n, V) full: row i is what token i was predicted from
  std::span<const double> nll, lse;  // (n): -log p in nats, and log sum exp of the row
  std::span<const uint8_t> correct;  // (n): 1 where the token was the most probable one (the first of equals)
};

struct TokenScores {
  std::vector<double> nll;
  std::vector<uint8_t> correct;
};

// Scores tokens through slot 0 of an engine, with the engine's skip plan.
class Scorer {
 public:
  explicit Scorer(Engine& engine);

  // The last `scored` of `tokens`, 0 < scored < tokens.size() <= context + 1. on_rows(ScoredRows) is called for every
  // chunk of the prefill that has some.
  template <class F>
  void window(std::span<const int32_t> tokens, int64_t scored, F&& on_rows) {
    const int64_t inputs = static_cast<int64_t>(tokens.size()) - 1, first = inputs - scored;
    CHECK(scored > 0 && first >= 0);
    engine_.score(0, tokens.first(static_cast<size_t>(inputs)), [&](int64_t position, const Tensor& logits) {
      const int64_t begin = std::max(first, position), end = position + logits[0];
      if (begin < end)
        on_rows(rows(logits.rows(begin - position, end - position),
                     tokens.subspan(static_cast<size_t>(begin + 1), static_cast<size_t>(end - begin))));
    });
  }
  // Appends the window's scores.
  void window(std::span<const int32_t> tokens, int64_t scored, TokenScores& out);
  // A whole document: the score of every token but the first. Its windows begin afresh, without what came before.
  TokenScores document(std::span<const int32_t> tokens, int64_t stride = 0);

 private:
  ScoredRows rows(const Tensor& logits, std::span<const int32_t> targets);

  Engine& engine_;
  Buffer memory_;
  Tensor targets_, loss_, lse_, correct_;
  std::vector<double> host_nll_, host_lse_;
  std::vector<uint8_t> host_correct_;
  std::vector<float> narrow_;
  std::vector<int32_t> integers_;
};

}  // namespace ballast
