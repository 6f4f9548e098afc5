#include "model/config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/config.h"
#include "base/error.h"

namespace ballast {
namespace {

ModelConfig parse(std::string_view text) { return parse_hf_config(Json::parse(text), "config.json"); }

std::string usage_error(const ModelConfig& config) {
  try {
    validate(config);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::usage);
    return e.what();
  }
  return "";
}

TEST(ModelConfig, HubStyle) {
  const ModelConfig c = parse(R"({"model_type": "deepseek_v2", "hidden_size": 64, "q_lora_rank": null,
      "scoring_func": "softmax", "topk_method": "greedy", "n_group": null, "topk_group": null, "rope_theta": 10000,
      "rope_scaling": {"type": "yarn", "factor": 8, "mscale": 0.707, "mscale_all_dim": 0.707,
                       "original_max_position_embeddings": 64}, "eos_token_id": [7, 8], "torch_dtype": "bfloat16"})");
  EXPECT_EQ(c.hidden_size, 64);
  EXPECT_FALSE(c.q_lora_rank);
  EXPECT_EQ(c.topk_method, "greedy");
  EXPECT_EQ(c.n_group, 1);
  EXPECT_EQ(c.rope_scaling.type, "yarn");
  EXPECT_EQ(c.rope_scaling.original_max_position_embeddings, 64);
  EXPECT_EQ(c.num_nextn_predict_layers, 0);
  EXPECT_EQ(c.eos_token_id, 7);
  EXPECT_FALSE(c.norm_topk_prob);
}

TEST(ModelConfig, Transformers5Style) {
  const ModelConfig c = parse(R"({"model_type": "deepseek_v3", "num_mtp_layers": 2, "dtype": null,
      "rope_parameters": {"rope_type": "yarn", "rope_theta": 50000.0, "factor": 4.0},
      "max_position_embeddings": 4096})");
  EXPECT_EQ(c.scoring_func, "sigmoid");
  EXPECT_EQ(c.topk_method, "noaux_tc");
  EXPECT_EQ(c.num_nextn_predict_layers, 2);
  EXPECT_EQ(c.rope_theta, 50000);
  EXPECT_EQ(c.rope_scaling.factor, 4);
  EXPECT_EQ(c.rope_scaling.original_max_position_embeddings, 4096);  // transformers' fallback
  const ModelConfig plain = parse(R"({"model_type": "deepseek_v3", "rope_parameters": {"rope_type": "default", "rope_theta": 3.0}})");
  EXPECT_EQ(plain.rope_scaling.type, "default");
  EXPECT_EQ(plain.rope_theta, 3);
}

TEST(ModelConfig, NullIsNoneWhereThePublishedCodeReadsItSo) {
  const ModelConfig c = parse(R"({"model_type": "deepseek_v3", "n_shared_experts": null, "n_routed_experts": null,
                                  "n_group": null, "topk_group": null, "pad_token_id": -1})");
  EXPECT_EQ(c.n_shared_experts, 0);
  EXPECT_TRUE(c.moe_layers().empty());
  EXPECT_EQ(c.n_group, 1);
  EXPECT_EQ(c.topk_group, 1);
  EXPECT_FALSE(c.pad_token_id.has_value());
}

TEST(ModelConfig, RoundTrip) {
  ModelConfig c;
  c.q_lora_rank.reset();
  c.rope_scaling = {
      .type = "yarn", .factor = 40, .mscale = 1, .mscale_all_dim = 1, .original_max_position_embeddings = 4096};
  const Json json = to_hf_config(c, "float32");
  EXPECT_EQ(json.at("architectures").as_array()[0].as_string(), "DeepseekV3ForCausalLM");
  const ModelConfig back = parse_hf_config(Json::parse(json.dump(1)), "round trip");
  EXPECT_EQ(to_hf_config(back, "float32").dump(), json.dump());
  c.scoring_func = "softmax";
  c.rope_scaling = {};
  EXPECT_EQ(to_hf_config(c, "float32").at("model_type").as_string(), "deepseek_v2");
  EXPECT_TRUE(to_hf_config(c, "float32").at("rope_scaling").is_null());
}

TEST(ModelConfig, BadFilesNameFileAndKey) {
  const auto message = [](std::string_view text) -> std::string {
    try {
      parse(text);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message("[]").find("config.json"), std::string::npos);
  EXPECT_NE(message(R"({"hidden_size": "big"})").find("config.json: hidden_size"), std::string::npos);
  EXPECT_NE(message(R"({"hidden_size": 9999999999})").find("config.json: hidden_size"), std::string::npos);
  EXPECT_NE(message(R"({"hidden_size": 1.5})").find("config.json: hidden_size"), std::string::npos);
  EXPECT_NE(message(R"({"vocab_size": 9})").find("config.json: no 'model_type'"), std::string::npos);
  EXPECT_NE(message(R"({"metadata": {}, "weight_map": {}})").find("an index of weights"), std::string::npos);
  EXPECT_NE(message(R"({"model_type": "llama"})").find("llama"), std::string::npos);
  EXPECT_NE(message(R"({"model_type": "deepseek_v3", "rope_scaling": {"type": "linear", "factor": 2}})").find("linear"), std::string::npos);
  EXPECT_NE(message(R"({"model_type": "deepseek_v3", "rope_scaling": {"type": "yarn"}})").find("factor"), std::string::npos);
  EXPECT_NE(message(R"({"model_type": "deepseek_v3", "rope_scaling": 3})").find("rope_scaling"), std::string::npos);
  EXPECT_NE(message(R"({"model_type": "deepseek_v3", "num_key_value_heads": 8})").find("num_key_value_heads"), std::string::npos);
  EXPECT_NE(message(R"({"model_type": "deepseek_v2", "mlp_bias": true})").find("config.json: mlp_bias"), std::string::npos);
}

TEST(ModelConfig, QuantizedAsDeepSeekDoesOrRefused) {
  const auto message = [](const std::string& quantization) -> std::string {
    try {
      parse(R"({"model_type": "deepseek_v3", "quantization_config": )" + quantization + "}");
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const std::string place = "config.json: quantization_config";
  EXPECT_EQ(message(R"({"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]})"), "");
  EXPECT_EQ(message("null"), "");
  EXPECT_EQ(message(R"({"quant_method": "awq", "bits": 4})").find(place), 0u);
  EXPECT_EQ(message(R"({"quant_method": "fp8", "fmt": "e5m2", "weight_block_size": [128, 128]})").find(place), 0u);
  EXPECT_EQ(message(R"({"quant_method": "fp8", "weight_block_size": [64, 128]})").find(place), 0u);
  EXPECT_EQ(message(R"({"quant_method": "fp8"})").find(place), 0u);
  EXPECT_EQ(message("3").find(place), 0u);
}

TEST(ModelConfig, SaysHowWeightsAreStored) {
  Json hub = Json::parse(R"({"torch_dtype": "bfloat16", "hidden_size": 64, "quantization_config": {"fmt": "e4m3", "mine": 1}})");
  set_weight_dtype(hub, "fp8");
  EXPECT_EQ(hub.at("quantization_config").at("mine").as_int(), 1);  // what is true already stays
  set_weight_dtype(hub, "float32");
  EXPECT_EQ(hub.dump(), Json::parse(R"({"torch_dtype": "float32", "hidden_size": 64})").dump());
  set_weight_dtype(hub, "fp8");
  EXPECT_EQ(hub.at("torch_dtype").as_string(), "bfloat16");
  EXPECT_NO_THROW(parse_hf_config(hub, "config.json"));
  EXPECT_EQ(hub.at("quantization_config").at("weight_block_size").as_array()[1].as_int(), 128);
  Json new_style = Json::parse(R"({"dtype": null, "quantization_config": null})");
  set_weight_dtype(new_style, "bfloat16");
  EXPECT_EQ(new_style.dump(), Json::parse(R"({"dtype": "bfloat16"})").dump());
}

TEST(ModelConfig, ValidateNamesTheKey) {
  EXPECT_EQ(usage_error(ModelConfig{}), "");
  const auto expect = [](const char* key, auto change) {
    ModelConfig c;
    change(c);
    EXPECT_EQ(usage_error(c).find("model." + std::string(key) + ":"), 0u) << key << " / " << usage_error(c);
  };
  expect("hidden_size", [](auto& c) { c.hidden_size = -4; });
  expect("hidden_size", [](auto& c) { c.hidden_size = 1 << 30; });
  expect("vocab_size", [](auto& c) { c.vocab_size = 0; });
  expect("num_experts_per_tok", [](auto& c) { c.num_experts_per_tok = 257; });
  expect("num_experts_per_tok", [](auto& c) { c.num_experts_per_tok = 129; });  // 4 groups of 32
  expect("num_experts_per_tok", [](auto& c) { c.num_experts_per_tok = 0; });
  expect("n_group", [](auto& c) { c.n_group = 7; });
  expect("n_group", [](auto& c) { c.n_group = 256, c.topk_group = 256; });
  expect("topk_group", [](auto& c) { c.topk_group = 9; });
  expect("n_routed_experts", [](auto& c) { c.n_routed_experts = 0; });
  expect("qk_rope_head_dim", [](auto& c) { c.qk_rope_head_dim = 63; });
  expect("q_lora_rank", [](auto& c) { c.q_lora_rank = 0; });
  expect("moe_layer_freq", [](auto& c) { c.moe_layer_freq = 0; });
  expect("scoring_func", [](auto& c) { c.scoring_func = "tanh"; });
  expect("topk_method", [](auto& c) { c.topk_method = "greedy"; });
  expect("rope_scaling.factor", [](auto& c) { c.rope_scaling = {.type = "yarn", .factor = 0.5}; });
  expect("eos_token_id", [](auto& c) { c.eos_token_id = 129280; });
  expect("hidden_act", [](auto& c) { c.hidden_act = "gelu"; });
  ModelConfig huge;
  huge.vocab_size = huge.hidden_size = huge.intermediate_size = huge.moe_intermediate_size = 1 << 28;
  EXPECT_NE(usage_error(huge).find("parameters"), std::string::npos);
  ModelConfig dense;
  dense.n_routed_experts = 0;
  dense.first_k_dense_replace = dense.total_layers();
  EXPECT_EQ(usage_error(dense), "");
}

TEST(ModelConfig, IsASectionOfARecipe) {
  ModelConfig c;
  apply_override(c, "rope_scaling.type", "yarn");
  apply_override(c, "q_lora_rank", "none");
  apply_override(c, "num_experts_per_tok", "4");
  EXPECT_EQ(c.rope_scaling.type, "yarn");
  EXPECT_FALSE(c.q_lora_rank);
  ModelConfig back;
  read_config(back, config_to_json(c), "recipe");
  EXPECT_EQ(to_hf_config(back, "float32").dump(), to_hf_config(c, "float32").dump());
}

TEST(ModelConfig, MoeLayers) {
  ModelConfig c;
  c.num_hidden_layers = 5, c.first_k_dense_replace = 2;
  EXPECT_EQ(c.moe_layers(), (std::vector<int>{2, 3, 4, 5}));  // 5 is the MTP layer
  c.moe_layer_freq = 2;
  EXPECT_EQ(c.moe_layers(), (std::vector<int>{2, 4}));
}

// Expected values: transformers 5.23, DeepseekV3RotaryEmbedding.inv_freq (DeepseekV2's for the second) and
// DeepseekV3Attention.scaling for these settings.
TEST(ModelConfig, RopeAsInTransformers) {
  ModelConfig v3;
  v3.qk_nope_head_dim = 24, v3.qk_rope_head_dim = 16;
  v3.rope_scaling = {
      .type = "yarn", .factor = 4, .mscale = 1, .mscale_all_dim = 1, .original_max_position_embeddings = 64};
  EXPECT_EQ(rope_inv_freq(v3), (std::vector<double>{0x1p+0, 0x1.e5b9dp-3, 0x1.999998p-5, 0x1.030dc6p-7, 0x1.47ae14p-9,
                                                    0x1.9e7c7p-11, 0x1.0624dep-12, 0x1.4b96cp-14}));
  EXPECT_DOUBLE_EQ(rope_attention_factor(v3), 1);
  EXPECT_DOUBLE_EQ(attention_scale(v3), 0.20499101155963545);

  ModelConfig v2_lite;
  v2_lite.qk_nope_head_dim = 16, v2_lite.qk_rope_head_dim = 8;
  v2_lite.rope_scaling = {
      .type = "yarn", .factor = 8, .mscale = 0.707, .mscale_all_dim = 0.707, .original_max_position_embeddings = 64};
  EXPECT_EQ(rope_inv_freq(v2_lite), (std::vector<double>{0x1p+0, 0x1.ccccce0p-5, 0x1.47ae14p-10, 0x1.0624dep-13}));
  EXPECT_DOUBLE_EQ(attention_scale(v2_lite), 0.268555296902063);
  v2_lite.rope_scaling.mscale_all_dim = 0;
  EXPECT_DOUBLE_EQ(rope_attention_factor(v2_lite), 0.1 * std::log(8.0) + 1);
  EXPECT_DOUBLE_EQ(attention_scale(v2_lite), 1 / std::sqrt(24.0));

  ModelConfig plain;
  plain.qk_rope_head_dim = 8, plain.rope_theta = 50000;
  EXPECT_EQ(rope_inv_freq(plain), (std::vector<double>{0x1p+0, 0x1.11ea82p-4, 0x1.2515fep-8, 0x1.3998eep-12}));
}

}  // namespace
}  // namespace ballast
