#include "model/config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.h"
#include "core/fp8.h"

namespace ballast {
namespace {

// Fills a config's fields from the members of a JSON object that bear their names.
class HfReader {
 public:
  HfReader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}

  void operator()(const char* key, int& field, const char*) {
    if (const Json* v = given(key)) field = as_int(key, *v);
  }
  void operator()(const char* key, double& field, const char*) {
    if (const Json* v = given(key)) field = v->as_double(where_ + ": " + key);
  }
  void operator()(const char* key, bool& field, const char*) {
    if (const Json* v = given(key)) field = v->as_bool(where_ + ": " + key);
  }
  void operator()(const char* key, std::string& field, const char*) {
    if (const Json* v = given(key)) field = v->as_string(where_ + ": " + key);
  }
  void operator()(const char* key, std::optional<int>& field, const char*) {
    const Json* v = json_.find(key);
    if (!v) return;
    if (v->is_array()) v = v->as_array().empty() ? nullptr : &v->as_array().front();
    field = !v || v->is_null() ? std::nullopt : std::optional<int>(as_int(key, *v));
    if (field && *field == -1) field.reset();  // how older files say none
  }
  template <class T>
  void section(const char*, T&, const char*) {}  // rope_scaling: two styles, read_rope() below

 private:
  const Json* given(const char* key) const {
    const Json* v = json_.find(key);
    return v && !v->is_null() ? v : nullptr;
  }
  int as_int(const char* key, const Json& v) const {
    const int64_t n = v.as_int(where_ + ": " + key);
    if (n < std::numeric_limits<int>::min() || n > std::numeric_limits<int>::max())
      fail(ErrorKind::format, where_ + ": " + key, "{} is out of range", n);
    return static_cast<int>(n);
  }

  const Json& json_;
  std::string where_;
};

class HfWriter {
 public:
  explicit HfWriter(Json& json) : json_(json) {}
  template <class T>
  void operator()(const char* key, T& field, const char*) {
    json_[key] = Json(field);
  }
  void operator()(const char* key, std::optional<int>& field, const char*) {
    json_[key] = field ? Json(*field) : Json(nullptr);
  }
  void section(const char* key, RopeScaling& rope, const char*) {
    Json& member = json_[key] = Json(nullptr);
    if (rope.type == "default") return;
    HfWriter writer(member);
    rope.visit(writer);
    if (rope.mscale == 0) erase(member, "mscale");
    if (rope.mscale_all_dim == 0) erase(member, "mscale_all_dim");
  }

 private:
  static void erase(Json& object, std::string_view key) {
    std::erase_if(object.as_object(), [&](const Json::Member& m) { return m.first == key; });
  }
  Json& json_;
};

// rope_parameters (transformers 5) wins over rope_scaling (the hub), as it does in transformers.
void read_rope(const Json& json, const std::string& where, ModelConfig& config) {
  const Json* rope = json.find("rope_parameters");
  const char* key = "rope_parameters";
  if (!rope || rope->is_null()) rope = json.find(key = "rope_scaling");
  if (!rope || rope->is_null()) return;
  const std::string place = where + ": " + key;
  rope->as_object(place);
  HfReader reader(*rope, place);
  reader("rope_theta", config.rope_theta, "");
  RopeScaling& scaling = config.rope_scaling;
  scaling.original_max_position_embeddings = config.max_position_embeddings;
  scaling.visit(reader);
  reader("rope_type", scaling.type, "");
  if (scaling.type != "default" && scaling.type != "yarn")
    fail(ErrorKind::unsupported, place, "rotary scaling of type '{}'; this program knows default and yarn",
         scaling.type);
  if (scaling.type == "default") {
    scaling = RopeScaling{};
    return;
  }
  const Json* factor = rope->find("factor");
  if (!factor || factor->is_null()) fail(ErrorKind::format, place, "yarn needs a 'factor'");
  bool truncate = true;
  reader("truncate", truncate, "");
  const Json* attention_factor = rope->find("attention_factor");
  if (!truncate || (attention_factor && !attention_factor->is_null()))
    fail(ErrorKind::unsupported, place,
         "keys 'attention_factor' and 'truncate: false', which no model of the family uses");
}

// The files themselves say which tensors are quantized; what the config says must be what the loader can decode.
void check_quantization(const Json& json, const std::string& where) {
  const Json* q = json.find("quantization_config");
  if (!q || q->is_null()) return;
  const std::string place = where + ": quantization_config";
  q->as_object(place);
  HfReader reader(*q, place);
  std::string method, format = "e4m3";
  reader("quant_method", method, "");
  reader("fmt", format, "");
  if (method != "fp8" || format != "e4m3")
    fail(ErrorKind::unsupported, place, "weights quantized as '{}' ({}); this program reads fp8 with fmt e4m3", method,
         format);
  const Json* block = q->find("weight_block_size");
  std::vector<int64_t> sides;
  if (block && block->is_array())
    for (const Json& side : block->as_array()) sides.push_back(side.as_int(place + ": weight_block_size"));
  if (sides != std::vector<int64_t>{kFp8Block, kFp8Block})
    fail(ErrorKind::unsupported, place, "weight_block_size must be [{0}, {0}], one scale per block", kFp8Block);
}

ModelConfig family_defaults(const Json& json, const std::string& where) {
  if (json.find("weight_map"))
    fail(ErrorKind::format, where, "an index of weights; a model is named by the folder that holds it");
  if (!json.find("model_type") && !json.find("architectures") && !json.find("hidden_size"))
    fail(ErrorKind::format, where,
         "no 'model_type', no 'architectures' and no 'hidden_size': not a model's config.json");
  std::string type = "deepseek_v3";
  HfReader(json, where)("model_type", type, "");
  std::string architecture;
  if (const Json* names = json.find("architectures"); names && names->is_array() && !names->as_array().empty())
    architecture = names->as_array().front().as_string(where + ": architectures");
  if (type == "deepseek_v3" || architecture == "DeepseekV3ForCausalLM") return {};
  if (type != "deepseek_v2")
    fail(ErrorKind::unsupported, where + ": model_type", "'{}'; this program knows deepseek_v3 and deepseek_v2", type);
  ModelConfig c;
  c.vocab_size = 102400, c.hidden_size = 4096, c.intermediate_size = 11008, c.moe_intermediate_size = 1407;
  c.num_hidden_layers = 32, c.num_attention_heads = 32, c.max_position_embeddings = 2048;
  c.n_shared_experts = 2, c.n_routed_experts = 64, c.num_experts_per_tok = 6, c.first_k_dense_replace = 0;
  c.n_group = 1, c.topk_group = 1, c.norm_topk_prob = false, c.routed_scaling_factor = 1;
  c.scoring_func = "softmax", c.topk_method = "greedy";
  c.num_nextn_predict_layers = 0, c.aux_loss_alpha = 0.001, c.bos_token_id = 1, c.eos_token_id = 2;
  return c;
}

bool is_null_member(const Json& json, std::string_view key) {
  const Json* v = json.find(key);
  return v && v->is_null();
}

// YaRN section 3.4, DeepSeek-V2's form.
double yarn_mscale(double factor, double weight) { return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0; }

// The pair of dimensions that turns `rotations` times over `context` tokens (YaRN equation 17 solved for d).
double correction_dim(double rotations, int dim, double base, int context) {
  return dim * std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(base));
}

}  // namespace

std::vector<int> ModelConfig::moe_layers() const {
  std::vector<int> layers;
  for (int i = 0; i < total_layers(); ++i)
    if (is_moe_layer(i)) layers.push_back(i);
  return layers;
}

ModelConfig parse_hf_config(const Json& json, std::string_view where_view) {
  const std::string where(where_view);
  json.as_object(where);
  ModelConfig config = family_defaults(json, where);
  HfReader reader(json, where);
  reader("num_mtp_layers", config.num_nextn_predict_layers, "");
  config.visit(reader);
  if (is_null_member(json, "n_group")) config.n_group = 1;
  if (is_null_member(json, "topk_group")) config.topk_group = config.n_group;
  // As the published code reads them: no shared experts; a dense model.
  if (is_null_member(json, "n_shared_experts")) config.n_shared_experts = 0;
  if (is_null_member(json, "n_routed_experts")) config.first_k_dense_replace = config.total_layers();
  read_rope(json, where, config);
  check_quantization(json, where);

  int kv_heads = config.num_attention_heads;
  reader("num_key_value_heads", kv_heads, "");
  if (kv_heads != config.num_attention_heads)
    fail(ErrorKind::unsupported, where + ": num_key_value_heads",
         "{} beside num_attention_heads {}; latent attention has one key-value head per head", kv_heads,
         config.num_attention_heads);
  bool mlp_bias = false, interleave = true;
  reader("mlp_bias", mlp_bias, "");
  if (mlp_bias) fail(ErrorKind::unsupported, where + ": mlp_bias", "true; no model of the family has one");
  reader("rope_interleave", interleave, "");
  if (!interleave) fail(ErrorKind::unsupported, where + ": rope_interleave", "false; only interleaved pairs are known");
  return config;
}

Json to_hf_config(const ModelConfig& config, std::string_view torch_dtype) {
  const bool v2 = config.scoring_func == "softmax";
  Json json = Json::object();
  json["architectures"] = Json(Json::Array{Json(v2 ? "DeepseekV2ForCausalLM" : "DeepseekV3ForCausalLM")});
  json["model_type"] = v2 ? "deepseek_v2" : "deepseek_v3";
  json["torch_dtype"] = torch_dtype;
  json["use_cache"] = true;
  json["attention_dropout"] = 0.0;
  json["num_key_value_heads"] = config.num_attention_heads;
  ModelConfig copy = config;
  HfWriter writer(json);
  copy.visit(writer);
  return json;
}

void set_weight_dtype(Json& config, std::string_view dtype) {
  const bool fp8 = dtype == "fp8";
  const Json stored(fp8 ? "bfloat16" : dtype);
  const bool new_key = config.find("dtype");
  if (new_key) config["dtype"] = stored;
  if (!new_key || config.find("torch_dtype")) config["torch_dtype"] = stored;
  if (!fp8) std::erase_if(config.as_object(), [](const Json::Member& m) { return m.first == "quantization_config"; });
  const Json* quantization = config.find("quantization_config");
  if (!fp8 || (quantization && !quantization->is_null())) return;
  Json& q = config["quantization_config"] = Json::object();
  q["activation_scheme"] = "dynamic";
  q["fmt"] = "e4m3";
  q["quant_method"] = "fp8";
  q["weight_block_size"] = Json(Json::Array{Json(kFp8Block), Json(kFp8Block)});
}

std::vector<double> rope_inv_freq(const ModelConfig& config) {
  const int dim = config.qk_rope_head_dim, pairs = dim / 2;
  const RopeScaling& yarn = config.rope_scaling;
  double low = 0, high = 0;
  if (yarn.type == "yarn") {
    const int context = yarn.original_max_position_embeddings;
    low = std::max(std::floor(correction_dim(yarn.beta_fast, dim, config.rope_theta, context)), 0.0);
    high = std::min(std::ceil(correction_dim(yarn.beta_slow, dim, config.rope_theta, context)), dim - 1.0);
    if (low == high) high += 0.001;  // prevents a division by zero
  }
  std::vector<double> inv_freq(pairs);
  for (int i = 0; i < pairs; ++i) {
    const float wave = static_cast<float>(std::pow(config.rope_theta, static_cast<float>(2 * i) / dim));
    const float kept = 1.0f / wave;
    if (yarn.type != "yarn") {
      inv_freq[i] = kept;
      continue;
    }
    const float stretched = 1.0f / (static_cast<float>(yarn.factor) * wave);
    const float ramp = (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float keep = 1.0f - std::min(std::max(ramp, 0.0f), 1.0f);
    inv_freq[i] = stretched * (1.0f - keep) + kept * keep;
  }
  return inv_freq;
}

double rope_attention_factor(const ModelConfig& config) {
  const RopeScaling& yarn = config.rope_scaling;
  if (yarn.type != "yarn") return 1;
  if (yarn.mscale == 0 || yarn.mscale_all_dim == 0) return yarn_mscale(yarn.factor, 1);
  return yarn_mscale(yarn.factor, yarn.mscale) / yarn_mscale(yarn.factor, yarn.mscale_all_dim);
}

double attention_scale(const ModelConfig& config) {
  const RopeScaling& yarn = config.rope_scaling;
  const double scale = 1 / std::sqrt(static_cast<double>(config.qk_head_dim()));
  if (yarn.type != "yarn" || yarn.mscale_all_dim == 0) return scale;
  const double mscale = yarn_mscale(yarn.factor, yarn.mscale_all_dim);
  return scale * mscale * mscale;
}

}  // namespace ballast
