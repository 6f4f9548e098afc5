#include "infer/score.h"

#include <gtest/gtest.h>

#include "infer/golden_test.h"

namespace ballast {
namespace {

TEST(ScoreWindows, ScoreEveryTokenButTheFirstOnce) {
  for (const int64_t tokens : {1, 2, 5, 8, 9, 30})
    for (const int64_t stride : {0, 1, 3, 8}) {
      int64_t done = 1;
      for (const ScoreWindow& w : score_windows(tokens, 8, stride)) {
        EXPECT_LE(w.end - w.begin, 8);
        EXPECT_GT(w.scored, 0);
        EXPECT_LT(w.scored, w.end - w.begin);
        EXPECT_EQ(w.end - w.scored, done);
        if (stride > 0 && w.begin > 0) {
          EXPECT_GE(w.end - w.scored - w.begin, std::min<int64_t>(8 - stride, 7));
        }
        done = w.end;
      }
      EXPECT_EQ(done, std::max<int64_t>(tokens, 1));
    }
  EXPECT_THROW(score_windows(5, 1, 0), Error);
  EXPECT_THROW(score_windows(5, 4, 5), Error);
}

TEST(Scorer, EqualsTheLogitsOfAPrefill) {
  Golden g(DeviceKind::cpu);
  const auto ids = Golden::ids(24);
  Engine engine(g.model(), {.context = 16, .prefill_chunk = 5});
  const TokenScores scores = Scorer(engine).document(ids, 6);
  ASSERT_EQ(scores.nll.size(), 23u);
  int64_t checked = 0;
  for (const ScoreWindow& w : score_windows(24, 16, 6))
    for (int64_t at = w.end - w.scored; at < w.end; ++at, ++checked) {
      engine.prefill(0, std::span(ids).subspan(w.begin, at - w.begin));
      const auto z = row(engine.logits(), 0);
      double sum = 0;
      for (const double v : z) sum += std::exp(v);
      EXPECT_NEAR(scores.nll[at - 1], std::log(sum) - z[ids[at]], 1e-5);
      EXPECT_EQ(scores.correct[at - 1], engine.argmax(0) == ids[at]);
    }
  EXPECT_EQ(checked, 23);
}

TEST(Scorer, DocumentsDoNotSeeEachOther) {
  Golden g(DeviceKind::ref, DType::f64);
  const auto ids = Golden::ids(10);
  Engine engine(g.model(), {.context = 16, .prefill_chunk = 4});
  Scorer scorer(engine);
  const auto first = scorer.document(ids).nll;
  scorer.document(std::vector<int32_t>{5, 4, 3, 2, 1, 6, 7});
  EXPECT_EQ(scorer.document(ids).nll, first);
}

}  // namespace
}  // namespace ballast
