// The balance loss of a whole training step against the formula written out by hand (DeepSeek-V3, arXiv 2412.19437, eq.
// 17-20), and against what it must not be: computed from softmax scores, or from biased ones, where the router has
// sigmoid scores and a bias. The wrong ones differ on the same input, so a step that made the mistake would fail here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "model/weights.h"
#include "train/step.h"

namespace ballast {
namespace {

enum class Mistake { none, softmax, biased_scores };

// Mean over sequences of sum_k f_k P_k with f from the K best scores of each token.
double by_hand(const std::vector<double>& logits, const std::vector<double>& bias, int64_t experts, int64_t k,
               int64_t sequences, Mistake m) {
  const int64_t tokens = std::ssize(logits) / experts / sequences;
  double loss = 0;
  for (int64_t q = 0; q < sequences; ++q) {
    std::vector<double> f(experts), p(experts);
    for (int64_t t = q * tokens; t < (q + 1) * tokens; ++t) {
      std::vector<double> s(experts);
      for (int64_t e = 0; e < experts; ++e) {
        const double z = logits[t * experts + e];
        s[e] =
            m == Mistake::softmax ? std::exp(z) : 1 / (1 + std::exp(-z)) + (m == Mistake::biased_scores ? bias[e] : 0);
      }
      const double sum = std::accumulate(s.begin(), s.end(), 0.0);
      for (int64_t e = 0; e < experts; ++e) {
        const int64_t better = std::count_if(s.begin(), s.end(), [&](double other) { return other > s[e]; });
        f[e] += better < k ? double(experts) / double(k * tokens) : 0;
        p[e] += s[e] / sum / double(tokens);
      }
    }
    loss += std::inner_product(f.begin(), f.end(), p.begin(), 0.0) / double(sequences);
  }
  return loss;
}

TEST(AuxLoss, IsOfUnbiasedSigmoidScores) {
  const auto folder = std::filesystem::path(BALLAST_SOURCE_DIR) / "tests/golden/v3-tiny";
  const ModelConfig config = read_model_config(folder);
  const auto device = Device::make(DeviceKind::ref);
  ParamStore params(*device, make_param_table(config), {.storage = DType::f64});
  load_weights(params, Checkpoint::open(folder));
  Model model(config, params);
  constexpr int64_t kRows = 2, kLength = 12;
  Batch batch(kRows, kLength, kRows);
  for (int64_t r = 0; r < kRows; ++r) {
    std::vector<int32_t> tokens(kLength);
    for (int64_t i = 0; i < kLength; ++i) tokens[i] = static_cast<int32_t>((r * 29 + i * i * 5) % config.vocab_size);
    set_row(batch, r, tokens, std::vector<int64_t>(kLength, 0), true);
  }
  TrainStep step(model, batch, {.aux_seq = 1, .backward = false});
  step.begin();
  Trace trace;
  step.run(batch, batch.n_valid, batch.n_valid_mtp, 1, true, &trace);

  const int64_t experts = config.n_routed_experts;
  const Tensor logits_TE = trace.routing[0].logits;
  const std::vector<double> logits(logits_TE.as<double>(), logits_TE.as<double>() + logits_TE.size());
  std::vector<double> bias(static_cast<size_t>(experts));
  params.read(params.table().model.blocks[1].moe.bias, 0, bias.data(), experts);
  const auto expected = [&](Mistake m) { return by_hand(logits, bias, experts, config.num_experts_per_tok, kRows, m); };
  const double loss = step.pass().aux_loss.at<double>(0, 0);
  EXPECT_NEAR(loss, expected(Mistake::none), 1e-12);
  EXPECT_GT(std::abs(loss - expected(Mistake::softmax)), 1e-2);
  EXPECT_GT(std::abs(loss - expected(Mistake::biased_scores)), 1e-2);
}

}  // namespace
}  // namespace ballast
