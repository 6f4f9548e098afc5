#include "model/hub_tensors.h"

#include <gtest/gtest.h>

namespace ballast {
namespace {

ModelConfig small(bool tied = false) {
  ModelConfig c;
  c.vocab_size = 40, c.hidden_size = 16, c.intermediate_size = 20, c.moe_intermediate_size = 9;
  c.num_hidden_layers = 2, c.num_attention_heads = 2, c.n_routed_experts = 8, c.num_experts_per_tok = 2;
  c.n_group = 4, c.topk_group = 2, c.q_lora_rank = 12, c.kv_lora_rank = 12, c.qk_nope_head_dim = 6;
  c.qk_rope_head_dim = 4, c.v_head_dim = 5, c.first_k_dense_replace = 1, c.attention_bias = true;
  c.tie_word_embeddings = tied;
  return c;
}

TEST(HubTensors, RolesAreThoseOfTheHubsFp8Files) {
  const HubTensors hub(make_param_table(small()));
  const auto all_are = [&](HubRole role, const std::vector<std::string>& names) {
    for (const std::string& name : names) EXPECT_EQ(hub.role(name), role) << name;
  };
  const std::string layer = "model.layers.1.", mtp = "model.layers.2.";
  all_are(HubRole::block_matrix, {layer + "self_attn.q_a_proj.weight", layer + "self_attn.kv_b_proj.weight",
                                  layer + "mlp.experts.7.down_proj.weight", layer + "mlp.shared_experts.up_proj.weight",
                                  "model.layers.0.mlp.gate_proj.weight", mtp + "self_attn.o_proj.weight"});
  all_are(HubRole::matrix, {"model.embed_tokens.weight", "lm_head.weight", mtp + "eh_proj.weight",
                            mtp + "embed_tokens.weight", mtp + "shared_head.head.weight"});
  all_are(HubRole::full, {layer + "mlp.gate.weight", layer + "input_layernorm.weight", "model.norm.weight",
                          mtp + "enorm.weight", mtp + "shared_head.norm.weight", layer + "self_attn.o_proj.bias"});
  all_are(HubRole::bias, {layer + "mlp.gate.e_score_correction_bias", mtp + "mlp.gate.e_score_correction_bias"});
  all_are(HubRole::scale, {layer + "self_attn.q_a_proj.weight_scale_inv"});
  all_are(HubRole::other, {"model.layers.3.input_layernorm.weight", layer + "mlp.gate.bias", "x"});
  EXPECT_EQ(hub.find(layer + "mlp.gate.weight")->shape, (std::vector<int64_t>{8, 16}));
  EXPECT_EQ(hub.find("x"), nullptr);
  EXPECT_EQ(hub.names().front(), "model.embed_tokens.weight");
}

TEST(HubTensors, ATiedHeadIsACopy) {
  const HubTensors hub(make_param_table(small(true)));
  EXPECT_EQ(hub.role("model.embed_tokens.weight"), HubRole::matrix);
  EXPECT_EQ(hub.role("lm_head.weight"), HubRole::matrix);
  EXPECT_EQ(hub.find("lm_head.weight"), nullptr);
}

}  // namespace
}  // namespace ballast
