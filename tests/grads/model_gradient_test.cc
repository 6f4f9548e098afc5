// The gradient of the whole shipped model: the layers that train and serve run on Device::ref, backward in f64, and every
// scalar of every tensor is held to a complex step of the forward pass in c128:
//   dL/dw = Im L(w + ih) / h,  h = 1e-50,
// which has no cancellation, so that what differs is a wrong derivative and not a step size.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdio>

#include "base/rng.h"
#include "train/step.h"

namespace ballast {
namespace {

using Complex = std::complex<double>;
constexpr double kStep = 1e-50;
constexpr double kTolerance = 1e-9;  // of a tensor's largest gradient; f64 is at 5e-15 on these shapes

// Small enough that every scalar's step is a whole forward pass; every mechanism of the architecture is in it.
ModelConfig tiny_config() {
  ModelConfig c;
  c.vocab_size = 11;
  c.hidden_size = 6;
  c.intermediate_size = 5;
  c.moe_intermediate_size = 3;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 2;
  c.n_shared_experts = 1;
  c.n_routed_experts = 8;
  c.num_experts_per_tok = 3;
  c.n_group = 4;
  c.topk_group = 2;
  c.q_lora_rank = 4;
  c.kv_lora_rank = 3;
  c.qk_nope_head_dim = 2;
  c.qk_rope_head_dim = 2;
  c.v_head_dim = 3;
  c.first_k_dense_replace = 1;
  c.num_nextn_predict_layers = 1;
  return c;
}

// Two rows of packed documents; the last one of a row is a single token, which predicts nothing.
Batch packed_batch(const ModelConfig& config, int64_t seq_len, uint64_t seed) {
  constexpr int64_t kRows = 2;
  Batch batch(kRows, seq_len, kRows * seq_len);
  Rng rng(seed, 1);
  for (int64_t r = 0; r < kRows; ++r) {
    std::vector<int32_t> tokens;
    std::vector<int64_t> documents;
    for (int64_t i = 0; i < seq_len; ++i) {
      tokens.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(config.vocab_size))));
      documents.push_back(i < 4 - r ? 0 : i + 1 < seq_len ? 1 : 2);
    }
    set_row(batch, r, tokens, documents, true);
  }
  return batch;
}

// Weights of a size at which no nonlinearity is nearly linear, norms away from 1, a bias that changes choices.
void fill(ParamStore& params) {
  for (size_t id = 0; id < params.table().list.size(); ++id) {
    const Param& p = params.table().list[id];
    Rng rng(3, id);
    std::vector<double> values(static_cast<size_t>(p.size()));
    for (double& v : values) v = p.kind == ParamKind::vector ? 1 + 0.3 * rng.normal() : 0.5 * rng.normal();
    params.write(static_cast<ParamId>(id), 0, values.data(), p.size());
  }
}

class GradientCheck {
 public:
  GradientCheck(const ModelConfig& config, int64_t seq_len)
      : config_(config), table_(make_param_table(config)),
        batches_{packed_batch(config, seq_len, 1), packed_batch(config, seq_len, 2)} {
    for (const Batch& b : batches_) {
      targets_ += b.n_valid;
      mtp_targets_ += b.n_valid_mtp;
    }
  }

  void run() {
    ParamStore real(*device_, table_, {.storage = DType::f64, .training = true});
    fill(real);
    Model real_model(config_, real);
    TrainStep backward(real_model, batches_[0], options(true));
    const double total = objective<double>(backward);
    real.finish_gradients();

    ParamStore complex(*device_, table_, {.storage = DType::c128});
    fill(complex);
    Model complex_model(config_, complex);
    TrainStep forward(complex_model, batches_[0], options(false));
    EXPECT_NEAR(objective<Complex>(forward).real(), total, 1e-13 * std::abs(total));

    int64_t scalars = 0;
    double worst = 0;
    for (size_t id = 0; id < table_.list.size(); ++id) {
      if (table_.list[id].kind == ParamKind::buffer) continue;
      for (const HubTensor& t : table_.list[id].hub) {
        worst = std::max(worst, check_tensor(t, real.grad(static_cast<ParamId>(id)).as<double>() + t.offset,
                                             complex.weight(static_cast<ParamId>(id)).as<Complex>() + t.offset, forward));
        scalars += t.size();
      }
    }
    std::printf("%lld scalars, worst difference %.1e of a tensor's largest gradient\n", static_cast<long long>(scalars),
                worst);
  }

 private:
  static StepOptions options(bool backward) {
    return {.mtp_loss_weight = 0.3, .aux_seq = 0.2, .aux_global = 0.1, .backward = backward};
  }

  // A whole step, two micro-batches: what training minimizes. The auxiliary weights are large, so that they show.
  template <class T>
  T objective(TrainStep& step) {
    step.begin();
    T total(0);
    for (const Batch& b : batches_) {
      step.run(b, targets_, mtp_targets_, static_cast<int64_t>(batches_.size()), false);
      const TrainBatch& out = step.tensors();
      for (int64_t i = 0; i < b.tokens(); ++i) {
        if (b.targets[i] >= 0) total += out.loss.at<T>(i) * out.scale.at<T>(0);
        if (b.mtp_targets[i] >= 0) total += out.mtp_loss.at<T>(i) * out.mtp_scale.at<T>(0);
      }
      const Tensor aux = step.pass().aux_loss;
      for (int64_t l = 0; l < aux[0]; ++l) total += (aux.at<T>(l, 0) + aux.at<T>(l, 1)) * step.pass().aux_scale.at<T>(0);
    }
    return total;
  }

  double check_tensor(const HubTensor& t, const double* gradient, Complex* weights, TrainStep& forward) {
    double difference = 0, largest = 0;
    for (int64_t i = 0; i < t.size(); ++i) {
      weights[i] += Complex(0, kStep);
      const double expected = objective<Complex>(forward).imag() / kStep;
      weights[i] = weights[i].real();
      difference = std::max(difference, std::isfinite(gradient[i]) ? std::abs(gradient[i] - expected) : INFINITY);
      largest = std::max(largest, std::abs(expected));
    }
    // An expert that nothing was routed to: exactly zero on both sides.
    EXPECT_LE(difference, kTolerance * largest) << t.name << ": largest gradient " << largest;
    return largest > 0 ? difference / largest : difference;
  }

  std::unique_ptr<Device> device_ = Device::make(DeviceKind::ref, 1);
  ModelConfig config_;
  ParamTable table_;
  std::vector<Batch> batches_;
  int64_t targets_ = 0, mtp_targets_ = 0;
};

TEST(ModelGradient, EveryScalarEqualsComplexStep) { GradientCheck(tiny_config(), 6).run(); }

TEST(ModelGradient, WithoutQueryLatentGroupsOrNormalization) {
  ModelConfig c = tiny_config();
  c.q_lora_rank.reset();
  c.n_group = c.topk_group = 1;
  c.norm_topk_prob = false;
  GradientCheck(c, 6).run();
}

TEST(ModelGradient, SoftmaxRouterOfV2) {
  ModelConfig c = tiny_config();
  c.scoring_func = "softmax";
  c.topk_method = "group_limited_greedy";
  c.norm_topk_prob = false;
  c.n_shared_experts = 2;
  GradientCheck(c, 6).run();
}

TEST(ModelGradient, SoftmaxRouterNormalized) {
  ModelConfig c = tiny_config();
  c.scoring_func = "softmax";
  c.topk_method = "greedy";
  c.num_nextn_predict_layers = 0;
  GradientCheck(c, 6).run();
}

TEST(ModelGradient, AttentionBiasesAndTiedEmbedding) {
  ModelConfig c = tiny_config();
  c.attention_bias = c.tie_word_embeddings = true;
  GradientCheck(c, 6).run();
}

TEST(ModelGradient, AttentionBiasesWithoutQueryLatent) {
  ModelConfig c = tiny_config();
  c.q_lora_rank.reset();
  c.attention_bias = true;
  c.num_nextn_predict_layers = 0;
  GradientCheck(c, 6).run();
}

// More of everything, and YaRN.
TEST(SlowModelGradient, ThreeMoeLayersWithYarn) {
  ModelConfig c = tiny_config();
  c.vocab_size = 23;
  c.hidden_size = 12;
  c.num_hidden_layers = 4;
  c.num_attention_heads = 3;
  c.n_routed_experts = 12;
  c.qk_rope_head_dim = 4;
  c.kv_lora_rank = 5;
  c.max_position_embeddings = 64;
  c.rope_scaling = {.type = "yarn", .factor = 4, .mscale = 0.7, .mscale_all_dim = 1,
                    .original_max_position_embeddings = 16};
  GradientCheck(c, 9).run();
}

}  // namespace
}  // namespace ballast
