// The shape of a DeepSeek-V3-family model. Fields carry the names of Hugging Face's config.json, in files, in recipes
// ([model]) and here; defaults are DeepSeek-V3's (transformers' configuration_deepseek_v3.py).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace ballast {

// YaRN (Peng et al. 2023, arXiv 2309.00071) as DeepSeek uses it. mscale and mscale_all_dim: 0 means "not given".
struct RopeScaling {
  std::string type = "default";
  double factor = 1;
  double beta_fast = 32;
  double beta_slow = 1;
  double mscale = 0;
  double mscale_all_dim = 0;
  int original_max_position_embeddings = 0;

  template <class V>
  void visit(V& v) {
    v("type", type, "default (plain rotary angles) or yarn");
    v("factor", factor, "context extension over original_max_position_embeddings");
    v("beta_fast", beta_fast, "rotations over the original context above which a frequency is kept");
    v("beta_slow", beta_slow, "rotations over the original context below which a frequency is divided by factor");
    v("mscale", mscale, "weight of ln(factor) in the scale of cos and sin; 0: not given");
    v("mscale_all_dim", mscale_all_dim, "weight of ln(factor) in the softmax scale; 0: not given");
    v("original_max_position_embeddings", original_max_position_embeddings, "context before extension, in tokens");
  }
};

struct ModelConfig {
  int vocab_size = 129280;
  int hidden_size = 7168;
  int intermediate_size = 18432;
  int moe_intermediate_size = 2048;
  int num_hidden_layers = 61;
  int num_attention_heads = 128;
  int n_shared_experts = 1;
  int n_routed_experts = 256;
  int num_experts_per_tok = 8;
  int n_group = 8;
  int topk_group = 4;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 2.5;
  std::string scoring_func = "sigmoid";
  std::string topk_method = "noaux_tc";
  std::optional<int> q_lora_rank = 1536;
  int kv_lora_rank = 512;
  int qk_nope_head_dim = 128;
  int qk_rope_head_dim = 64;
  int v_head_dim = 128;
  int first_k_dense_replace = 3;
  int moe_layer_freq = 1;
  int num_nextn_predict_layers = 1;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  int max_position_embeddings = 4096;
  bool tie_word_embeddings = false;
  bool attention_bias = false;
  double initializer_range = 0.02;
  std::string hidden_act = "silu";
  double aux_loss_alpha = 0.0001;
  bool seq_aux = true;
  std::optional<int> bos_token_id = 0;
  std::optional<int> eos_token_id = 1;
  std::optional<int> pad_token_id;

  template <class V>
  void visit(V& v) {
    v("vocab_size", vocab_size, "rows of the embedding and of the output head");
    v("hidden_size", hidden_size, "width of the residual stream");
    v("intermediate_size", intermediate_size, "width of the dense layers' feed-forward network");
    v("moe_intermediate_size", moe_intermediate_size, "width of one expert");
    v("num_hidden_layers", num_hidden_layers, "decoder layers, without the MTP layers");
    v("num_attention_heads", num_attention_heads, "attention heads");
    v("n_shared_experts", n_shared_experts, "experts that every token passes, as one network of their summed width");
    v("n_routed_experts", n_routed_experts, "experts to choose from in each MoE layer");
    v("num_experts_per_tok", num_experts_per_tok, "routed experts per token (top-k)");
    v("n_group", n_group, "groups the routed experts are split into; 1: no group limit");
    v("topk_group", topk_group, "groups a token may use");
    v("norm_topk_prob", norm_topk_prob, "divide the chosen scores by their sum");
    v("routed_scaling_factor", routed_scaling_factor, "factor on the routed experts' weights");
    v("scoring_func", scoring_func, "score of a router logit: sigmoid or softmax");
    v("topk_method", topk_method, "choice of experts: noaux_tc (bias, groups), greedy or group_limited_greedy");
    v("q_lora_rank", q_lora_rank, "rank of the query latent; none: queries come straight from the residual stream");
    v("kv_lora_rank", kv_lora_rank, "rank of the key-value latent, the part of the cache that is shared by all heads");
    v("qk_nope_head_dim", qk_nope_head_dim, "query and key dimensions per head without position");
    v("qk_rope_head_dim", qk_rope_head_dim, "query and key dimensions per head with rotary position");
    v("v_head_dim", v_head_dim, "value dimensions per head");
    v("first_k_dense_replace", first_k_dense_replace, "layers at the bottom that are dense");
    v("moe_layer_freq", moe_layer_freq, "every how many layers (by index) one is MoE, above the dense ones");
    v("num_nextn_predict_layers", num_nextn_predict_layers, "multi-token prediction (MTP) layers");
    v("rms_norm_eps", rms_norm_eps, "epsilon of the layers' RMS norms (the two latent norms keep 1e-6)");
    v("rope_theta", rope_theta, "base of the rotary frequencies");
    v.section("rope_scaling", rope_scaling, "extension of the context by YaRN");
    v("max_position_embeddings", max_position_embeddings, "longest context, in tokens");
    v("tie_word_embeddings", tie_word_embeddings, "the output head is the embedding");
    v("attention_bias", attention_bias, "biases in q_a_proj, kv_a_proj_with_mqa and o_proj");
    v("initializer_range", initializer_range, "standard deviation of the initial weights (DeepSeek-V3: 0.006)");
    v("hidden_act", hidden_act, "activation of the feed-forward networks; only silu");
    v("aux_loss_alpha", aux_loss_alpha, "weight of the balance loss in the published training");
    v("seq_aux", seq_aux, "that loss is taken per sequence");
    v("bos_token_id", bos_token_id, "token at the beginning of a document");
    v("eos_token_id", eos_token_id, "token at the end of a document");
    v("pad_token_id", pad_token_id, "token that fills batches");
  }

  // Factor on the gate weights: routed_scaling_factor, but 1 where a softmax router normalizes them: the published V2
  // code does one or the other, V3's both.
  double gate_scale() const {
    const bool normalized_softmax = scoring_func == "softmax" && norm_topk_prob && num_experts_per_tok > 1;
    return normalized_softmax ? 1.0 : routed_scaling_factor;
  }
  int qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  int total_layers() const { return num_hidden_layers + num_nextn_predict_layers; }
  // Layer `index` in [0, total_layers()); the MTP layers follow the others and obey the same rule.
  bool is_moe_layer(int index) const { return index >= first_k_dense_replace && index % moe_layer_freq == 0; }
  std::vector<int> moe_layers() const;  // ascending, MTP layers included
};

// Reads config.json in the hub's style (rope_scaling, rope_theta, scoring_func, topk_method, num_nextn_predict_layers)
// or in transformers 5's (rope_parameters, num_mtp_layers; a deepseek_v3 model without scoring_func routes by sigmoid
// and noaux_tc). Absent keys take the family's defaults (deepseek_v3 or deepseek_v2); unknown ones are ignored, as
// transformers does. Of a list of end tokens the first counts. Does not validate. Throws Error{format} naming `where`
// and the key, Error{unsupported} for another family, another rotary scaling, or weights quantized in another way than
// DeepSeek's FP8 (e4m3 with a scale per 128 x 128 block).
ModelConfig parse_hf_config(const Json& json, std::string_view where);

// The hub's style: DeepseekV3ForCausalLM, or DeepseekV2ForCausalLM where the router's scores are softmax. `torch_dtype`
// is the dtype of the weights beside it ("float32", "bfloat16").
Json to_hf_config(const ModelConfig& config, std::string_view torch_dtype);

// Makes a config.json say how the weights beside it are stored: "float32", "bfloat16", or "fp8", which is the hub's
// quantization_config of DeepSeek-V3 beside bfloat16. The key for the dtype is the one that is there, torch_dtype or
// transformers 5's dtype. All other keys stay as they are.
void set_weight_dtype(Json& config, std::string_view dtype);

// Throws Error{usage} naming the first key whose value no model can have, and says what would do.
void validate(const ModelConfig& config, std::string_view where = "model");

// Inverse frequencies of the rotary angles, (qk_rope_head_dim / 2): angle = position * inv_freq. Rounded to float step
// by step as transformers does (modeling_rope_utils.py, _compute_yarn_parameters), because checkpoints are trained so.
std::vector<double> rope_inv_freq(const ModelConfig& config);
// Factor on cos and sin: 1 unless YaRN's mscale and mscale_all_dim differ.
double rope_attention_factor(const ModelConfig& config);
// Factor on q.k before the softmax: 1/sqrt(qk_head_dim), times (0.1 * mscale_all_dim * ln(factor) + 1)^2 under YaRN.
double attention_scale(const ModelConfig& config);

}  // namespace ballast
