#include "model/roofline.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/testing.h"
#include "formats/safetensors.h"

namespace ballast {
namespace {

// The published shapes.
ModelConfig v3() { return ModelConfig{}; }  // DeepSeek-V3 671B: the defaults

ModelConfig v2_lite() {  // DeepSeek-V2-Lite 16B
  ModelConfig c;
  c.vocab_size = 102400, c.hidden_size = 2048, c.intermediate_size = 10944, c.moe_intermediate_size = 1408;
  c.num_hidden_layers = 27, c.num_attention_heads = 16, c.num_nextn_predict_layers = 0;
  c.n_shared_experts = 2, c.n_routed_experts = 64, c.num_experts_per_tok = 6, c.n_group = 1, c.topk_group = 1;
  c.scoring_func = "softmax", c.topk_method = "greedy", c.norm_topk_prob = false, c.routed_scaling_factor = 1;
  c.q_lora_rank.reset();
  c.first_k_dense_replace = 1;
  return c;
}

ModelConfig nano() {
  ModelConfig c;
  c.vocab_size = 4096, c.hidden_size = 256, c.intermediate_size = 704, c.moe_intermediate_size = 128;
  c.num_hidden_layers = 6, c.num_attention_heads = 4, c.num_nextn_predict_layers = 0, c.first_k_dense_replace = 1;
  c.n_shared_experts = 1, c.n_routed_experts = 16, c.num_experts_per_tok = 4, c.n_group = 1, c.topk_group = 1;
  c.q_lora_rank.reset();
  c.kv_lora_rank = 64, c.qk_nope_head_dim = 64, c.qk_rope_head_dim = 32, c.v_head_dim = 64;
  return c;
}

TEST(Roofline, ParametersOfThePublishedModels) {
  const ModelCounts big = count_parameters(v3());
  EXPECT_EQ(big.expert, 44'040'192);
  EXPECT_NEAR(big.shared_experts / 1e9, 2.554, 0.0005);
  EXPECT_NEAR(big.attention / 1e9, 11.413, 0.0005);
  EXPECT_NEAR(big.dense_ffn / 1e9, 1.189, 0.0005);
  EXPECT_NEAR(big.head / 1e9, 0.927, 0.0005);
  EXPECT_NEAR(big.router / 1e9, 0.106, 0.0005);
  EXPECT_NEAR(big.routed_experts / 1e9, 653.9, 0.05);
  EXPECT_NEAR(big.without_mtp() / 1e9, 671.0, 0.05);  // "671B"
  EXPECT_NEAR(big.active / 1e9, 36.6, 0.05);          // "37B"
  EXPECT_NEAR(big.mtp / 1e9, 11.6, 0.1);              // the hub's 14B repeat embedding and head

  const ModelCounts lite = count_parameters(v2_lite());
  EXPECT_EQ(lite.expert, 8'650'752);
  EXPECT_NEAR(lite.shared_experts / 1e9, 0.450, 0.0005);
  EXPECT_NEAR(lite.attention / 1e9, 0.372, 0.0005);
  EXPECT_NEAR(lite.dense_ffn / 1e9, 0.067, 0.0005);
  EXPECT_NEAR(lite.head / 1e9, 0.210, 0.0005);
  EXPECT_NEAR(lite.router / 1e9, 0.003, 0.0005);
  EXPECT_NEAR(lite.routed_experts / 1e9, 14.39, 0.01);
  EXPECT_NEAR(lite.without_mtp() / 1e9, 15.7, 0.05);  // "16B"
  EXPECT_NEAR(lite.active / 1e9, 2.45, 0.01);         // "2.4B"
  EXPECT_EQ(lite.mtp, 0);
}

struct Row {
  int batch;
  double experts_read, gigabytes;
  std::vector<double> speedups;
};

void expect_table(const ByteModel& m, const std::vector<int>& ks, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const double read = m.experts_read(row.batch, m.top_k);
    EXPECT_NEAR(read, row.experts_read, 0.0051) << row.batch;
    EXPECT_NEAR(m.step_bytes(read) / 1e9, row.gigabytes, 0.0051) << row.batch;
    for (size_t i = 0; i < ks.size(); ++i)
      EXPECT_NEAR(m.speedup(row.batch, ks[i]), row.speedups[i], 0.002) << row.batch << " k=" << ks[i];
  }
}

TEST(Roofline, BoundsOfV3) {
  const ByteModel m = byte_model(v3());
  EXPECT_NEAR(m.fixed / 1e9, 16.19, 0.005);
  EXPECT_EQ(m.cache_per_token, 70272);
  EXPECT_NEAR(m.routed_share(1), 20.43 / 36.62, 0.0005);
  expect_table(m, {6, 5, 4},
               {{1, 8.00, 36.62, {1.162, 1.265, 1.387}},
                {2, 15.75, 56.42, {1.214, 1.360, 1.547}},
                {4, 30.53, 94.18, {1.249, 1.431, 1.678}},
                {8, 57.42, 162.86, {1.261, 1.459, 1.740}},
                {16, 101.96, 276.63, {1.242, 1.432, 1.709}},
                {32, 163.31, 433.35, {1.191, 1.345, 1.576}},
                {64, 222.44, 584.38, {1.109, 1.205, 1.355}},
                {128, 251.60, 658.86, {1.032, 1.067, 1.130}}});
  const double saturated = m.step_bytes(m.experts_read(64, 8)), budget = m.step_bytes(128);
  EXPECT_NEAR(budget / 1e9, 343, 0.5);
  EXPECT_NEAR(saturated / budget, 1.70, 0.005);
  EXPECT_NEAR((m.step_bytes(0, 32.0 * 32768) - m.fixed) / 1e9, 74, 0.5);  // 32 sequences of 32k
  EXPECT_NEAR(m.ridge_batch(1979e12, 4.8e12, 1), 6600, 50);               // H200, FP8
}

TEST(Roofline, BoundsOfV2Lite) {
  const ByteModel m = byte_model(v2_lite());
  EXPECT_NEAR(m.fixed / 1e9, 1.102, 0.0005);
  EXPECT_EQ(m.cache_per_token, 31104);
  expect_table(m, {5, 4, 3},
               {{1, 6.00, 2.45, {1.101, 1.225, 1.380}},
                {2, 11.44, 3.67, {1.126, 1.292, 1.518}},
                {4, 20.83, 5.79, {1.135, 1.322, 1.600}},
                {8, 34.88, 8.95, {1.120, 1.295, 1.572}},
                {16, 50.75, 12.52, {1.081, 1.207, 1.419}},
                {32, 61.26, 14.88, {1.031, 1.088, 1.200}},
                {64, 63.88, 15.47, {1.003, 1.013, 1.043}},
                {128, 64.00, 15.50, {1.000, 1.000, 1.002}}});
  EXPECT_NEAR(m.step_bytes(m.experts_read(64, 6)) / m.step_bytes(32), 1.86, 0.005);
  EXPECT_NEAR(m.ridge_batch(1979e12, 4.8e12, 1), 2200, 10);
}

TEST(Roofline, BytesFollowTheWeightsWidth) {
  const ByteModel narrow = byte_model(v2_lite(), 1), wide = byte_model(v2_lite(), 2, 4);
  EXPECT_DOUBLE_EQ(wide.step_bytes(7), 2 * narrow.step_bytes(7));
  EXPECT_DOUBLE_EQ(wide.cache_per_token, 2 * narrow.cache_per_token);
  EXPECT_DOUBLE_EQ(wide.speedup(4, 3), narrow.speedup(4, 3));
}

TEST(Roofline, TrainingFlops) {
  EXPECT_NEAR(training_flops_per_token(nano(), 512, AttentionCount::causal) / 1e6, 38.3, 0.05);
  EXPECT_NEAR(training_flops_per_token(nano(), 512, AttentionCount::square) / 1e6, 44.2, 0.05);
  // One MTP layer: a MoE layer, a second head pass and eh_proj.
  ModelConfig deep = nano(), mtp = nano();
  deep.num_hidden_layers = 7, mtp.num_nextn_predict_layers = 1;
  const double extra = 3 * 2.0 * (4096 * 256 + 2 * 256 * 256);
  EXPECT_DOUBLE_EQ(training_flops_per_token(mtp, 512, AttentionCount::causal),
                   training_flops_per_token(deep, 512, AttentionCount::causal) + extra);
}

TEST(Roofline, CountsByHand) {
  ModelConfig c = nano();
  c.q_lora_rank = 96, c.attention_bias = true, c.num_nextn_predict_layers = 1, c.tie_word_embeddings = true;
  const ModelCounts n = count_parameters(c);
  const int64_t attention = 256 * 96 + 96 * 4 * 96 + 256 * 96 + 64 * 4 * 128 + 256 * 256 + (96 + 96 + 256);
  const int64_t norms = 2 * 256 + 64 + 96, expert = 3 * 256 * 128, router = 16 * 256;
  EXPECT_EQ(n.attention, 6 * attention);
  EXPECT_EQ(n.norms, 6 * norms + 256);
  EXPECT_EQ(n.head, 0);
  EXPECT_EQ(n.routed_experts, 5 * 16 * expert);
  EXPECT_EQ(n.mtp, attention + norms + 17 * expert + router + 2 * 256 * 256 + 3 * 256);
  EXPECT_EQ(n.active, 6 * attention + 6 * norms + 256 + 3 * 256 * 704 + 5 * (5 * expert + router) + 4096 * 256);
  const TrainingMemory bf16 = training_memory(n, 2), f32 = training_memory(n, 4);
  EXPECT_EQ(bf16.total(), 18 * n.total());
  EXPECT_EQ(f32.total(), 16 * n.total());
}

// Every parameter of a real file is counted, and none that is not there.
TEST(Roofline, CountsEqualTheFiles) {
  const auto goldens = shared_dir() / "data/goldens";
  SKIP_WITHOUT(goldens);
  for (const char* model : {"v3", "moonlight", "v2-lite", "v2"}) {
    const auto folder = goldens / model;
    const ModelConfig config = parse_hf_config(Json::read(folder / "config.json"), "config.json");
    validate(config);
    const Checkpoint checkpoint = Checkpoint::open(folder);
    int64_t in_file = 0;
    for (const std::string& name : checkpoint.names())
      if (!name.ends_with("e_score_correction_bias")) in_file += checkpoint.at(name).elements();
    EXPECT_EQ(count_parameters(config).total(), in_file) << model;
  }
}

TEST(Roofline, TextAndJson) {
  const std::string text = roofline_text(v3());
  for (const char* part : {"671.03 B", "36.62 GB", "k=4", "162.86 GB", "1.740", "55.8 %"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  const Json json = roofline_json(v2_lite());
  const Json::Array& table = json.at("table").as_array();
  ASSERT_EQ(table.size(), 8u);
  EXPECT_EQ(table[2].at("batch").as_int(), 4);
  EXPECT_EQ(table[2].at("speedup").as_array()[2].at("k").as_int(), 3);
  EXPECT_NEAR(table[2].at("speedup").as_array()[2].at("bound").as_double(), 1.600, 0.002);
  ModelConfig dense = nano();
  dense.first_k_dense_replace = 6;
  EXPECT_NE(roofline_text(dense).find("nothing to skip"), std::string::npos);
  EXPECT_EQ(roofline_json(dense).at("routed_byte_share").as_double(), 0);
}

}  // namespace
}  // namespace ballast
