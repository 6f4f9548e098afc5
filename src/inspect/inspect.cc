#include "inspect/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "base/error.h"
#include "data/shards.h"
#include "inspect/weight_statistics.h"
#include "model/hub_tensors.h"
#include "model/roofline.h"
#include "model/weights.h"
#include "train/bias_health.h"

namespace ballast {
namespace fs = std::filesystem;
namespace {

Json names_json(const std::vector<std::string>& names) { return Json(Json::Array(names.begin(), names.end())); }

Json shape_json(const ModelConfig& c) {
  Json json = Json::object();
  json["family"] = c.scoring_func == "softmax" ? "deepseek_v2" : "deepseek_v3";
  json["layers"] = c.total_layers();
  json["moe_layers"] = static_cast<int64_t>(c.moe_layers().size());
  json["hidden_size"] = c.hidden_size;
  json["vocab_size"] = c.vocab_size;
  json["num_nextn_predict_layers"] = c.num_nextn_predict_layers;
  json["num_attention_heads"] = c.num_attention_heads;
  json["kv_lora_rank"] = c.kv_lora_rank;
  json["q_lora_rank"] = c.q_lora_rank ? Json(*c.q_lora_rank) : Json();
  json["qk_nope_head_dim"] = c.qk_nope_head_dim;
  json["qk_rope_head_dim"] = c.qk_rope_head_dim;
  json["v_head_dim"] = c.v_head_dim;
  json["max_position_embeddings"] = c.max_position_embeddings;
  json["n_routed_experts"] = c.n_routed_experts;
  json["num_experts_per_tok"] = c.num_experts_per_tok;
  json["n_group"] = c.n_group;
  json["topk_group"] = c.topk_group;
  json["n_shared_experts"] = c.n_shared_experts;
  json["moe_intermediate_size"] = c.moe_intermediate_size;
  json["scoring_func"] = c.scoring_func;
  json["topk_method"] = c.topk_method;
  return json;
}

Json parameters_json(const ModelCounts& n) {
  Json json = Json::object();
  json["total"] = n.total();
  json["active"] = n.active;
  json["embedding"] = n.embedding;
  json["head"] = n.head;
  json["attention"] = n.attention;
  json["dense_ffn"] = n.dense_ffn;
  json["shared_experts"] = n.shared_experts;
  json["routed_experts"] = n.routed_experts;
  json["router"] = n.router;
  json["mtp"] = n.mtp;
  return json;
}

Json bytes_json(const ModelConfig& c, double weight_bytes) {
  const ByteModel m = byte_model(c, weight_bytes);
  Json json = Json::object();
  json["weight_bytes"] = weight_bytes;
  json["per_token"] = m.step_bytes(m.experts_read(1, m.top_k));
  json["routed_share"] = m.routed_share(1);
  json["cache_per_token"] = m.cache_per_token;
  return json;
}

// What training and serving hold, without activations. `stored`: bytes of the weights as they lie on the disk, or 0.
Json memory_json(const ModelConfig& c, uint64_t stored) {
  const ModelCounts n = count_parameters(c);
  Json json = Json::object();
  for (const auto& [name, bytes] : {std::pair("bf16", 2), std::pair("f32", 4)}) {
    const TrainingMemory t = training_memory(n, bytes);
    Json& train = json["train"][name] = Json::object();
    train["weights"] = t.weights;
    train["master"] = t.master;
    train["gradients"] = t.gradients;
    train["moments"] = t.moments;
    train["total"] = t.total();
    json["serve"][name] = n.total() * bytes;
  }
  if (stored) json["serve"]["as_stored"] = stored;
  json["cache_of_full_context"] = byte_model(c).cache_per_token * c.max_position_embeddings;
  return json;
}

Json weights_json(const Checkpoint& checkpoint) {
  std::map<std::string, int64_t> types;
  std::set<fs::path> files;
  int64_t elements = 0;
  for (const std::string& name : checkpoint.names()) {
    const FileTensor& t = checkpoint.at(name);
    ++types[name_of(t.dtype)];
    elements += t.elements();
    files.insert(checkpoint.file_of(name));
  }
  Json json = Json::object();
  json["tensors"] = static_cast<int64_t>(checkpoint.names().size());
  json["files"] = static_cast<int64_t>(files.size());
  json["bytes"] = checkpoint.total_bytes();
  json["elements"] = elements;
  Json& dtypes = json["dtypes"] = Json::object();
  for (const auto& [type, n] : types) dtypes[type] = n;
  return json;
}

Json list_json(const Checkpoint& checkpoint) {
  Json list = Json::array();
  for (const std::string& name : checkpoint.names()) {
    const FileTensor& t = checkpoint.at(name);
    Json one = Json::object();
    one["name"] = name;
    one["dtype"] = name_of(t.dtype);
    one["shape"] = Json(Json::Array(t.shape.begin(), t.shape.end()));
    list.push_back(std::move(one));
  }
  return list;
}

// Against what config.json asks for.
Json comparison_json(const Checkpoint& checkpoint, const ParamTable& table) {
  const HubTensors hub(table);
  std::vector<std::string> missing, shapes, unexpected, copies, scales;
  for (const std::string& name : hub.names()) {
    const FileTensor* found = checkpoint.find(name);
    const auto& wanted = hub.find(name)->shape;
    if (!found)
      missing.push_back(name);
    else if (found->shape != wanted)
      shapes.push_back(fmt::format("{} is {}, the shape needs {}", name, shape_text(found->shape), shape_text(wanted)));
  }
  for (const std::string& name : checkpoint.names()) {
    if (hub.find(name)) continue;
    const HubRole role = hub.role(name);
    (role == HubRole::other ? unexpected : role == HubRole::scale ? scales : copies).push_back(name);
  }
  Json json = Json::object();
  json["missing"] = names_json(missing);
  json["of_another_shape"] = names_json(shapes);
  json["unexpected"] = names_json(unexpected);
  json["copies_of_embedding_and_head"] = names_json(copies);
  json["scales"] = static_cast<int64_t>(scales.size());
  return json;
}

Json router_json(const Router& r) {
  Json json = Json::object();
  json["layer"] = r.layer;
  if (r.gate_dtype) json["gate"]["dtype"] = name_of(*r.gate_dtype);
  if (const std::vector<double> norms = row_norms(r); !norms.empty()) {
    const auto [low, high] = std::minmax_element(norms.begin(), norms.end());
    double mean = 0;
    for (const double n : norms) mean += n / static_cast<double>(norms.size());
    Json& gate = json["gate"];
    gate["row_norm_min"] = *low;
    gate["row_norm_mean"] = mean;
    gate["row_norm_max"] = *high;
  }
  if (!r.bias.empty()) {
    const BiasShape b = bias_shape(r.bias);
    Json& bias = json["bias"] = Json::object();
    bias["dtype"] = name_of(*r.bias_dtype);
    bias["mean"] = b.mean;
    bias["deviation"] = b.deviation;
    bias["min"] = b.low;
    bias["max"] = b.high;
  }
  return json;
}

Json fp8_json(const Fp8Statistics& s) {
  Json json = Json::object();
  json["tensors"] = s.tensors;
  json["codes"] = s.codes;
  json["scales"] = s.scales;
  json["smallest_scale"] = s.smallest;
  json["largest_scale"] = s.largest;
  json["degenerate_scales"] = s.degenerate;
  json["bad"] = names_json(s.bad);
  return json;
}

bool has_weights(const fs::path& folder) {
  return fs::exists(folder / "model.safetensors") || fs::exists(folder / "model.safetensors.index.json");
}

void add_shape(const ModelConfig& config, Json& json, double weight_bytes, uint64_t stored) {
  json["shape"] = shape_json(config);
  json["parameters"] = parameters_json(count_parameters(config));
  json["decoding"] = bytes_json(config, weight_bytes);
  json["memory"] = memory_json(config, stored);
}

void add_weights(const Checkpoint& checkpoint, Json& json, bool all) {
  json["weights"] = weights_json(checkpoint);
  if (const Fp8Statistics fp8 = fp8_statistics(checkpoint); fp8.tensors) json["fp8"] = fp8_json(fp8);
  if (all) json["list"] = list_json(checkpoint);
}

void add_model(const fs::path& folder, Json& json, bool all) {
  const ModelConfig announced = read_model_config(folder);
  if (!has_weights(folder)) {
    if (const auto files = safetensors_in(folder); !files.empty()) json["files_without_index"] = names_json(files);
    return add_shape(announced, json, 2, 0);
  }
  const Checkpoint checkpoint = Checkpoint::open(folder);
  const ModelConfig config = read_model_config(folder, checkpoint);
  const ParamTable table = make_param_table(config);
  Json weights = Json::object();
  add_weights(checkpoint, weights, all);
  const auto elements = weights.at("weights").at("elements").as_double();
  const double mean_bytes = elements > 0 ? static_cast<double>(checkpoint.total_bytes()) / elements : 2;
  add_shape(config, json, std::round(mean_bytes * 2) / 2, checkpoint.total_bytes());
  for (Json::Member& member : weights.as_object()) json[member.first] = std::move(member.second);
  json["tensors"] = comparison_json(checkpoint, table);
  json["tensors"]["mtp_layers_left_out"] = announced.num_nextn_predict_layers - config.num_nextn_predict_layers;
  Json& routers = json["routers"] = Json::array();
  for (const int layer : config.moe_layers()) routers.push_back(router_json(read_router(checkpoint, table, layer)));
}

Json shard_json(const fs::path& file) {
  const ShardReader shard(file);
  const ShardHeader& h = shard.header();
  Json json = Json::object();
  json["split"] = h.split;
  json["documents"] = static_cast<int64_t>(shard.documents());
  json["tokens"] = static_cast<int64_t>(shard.tokens());
  json["text_bytes"] = static_cast<int64_t>(shard.text_bytes());
  json["vocab_size"] = static_cast<int64_t>(h.vocab_size);
  json["tokenizer_hash"] = h.tokenizer_hash;
  json["corpus_hash"] = h.corpus_hash;
  json["repo_context"] = h.repo_context;
  json["fim_rate"] = h.fim_rate;
  json["fim_seed"] = static_cast<int64_t>(h.fim_seed);
  return json;
}

}  // namespace

Json inspect(const fs::path& path, bool all) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) fail(ErrorKind::file, path.string(), "no such file or folder");
  Json json = Json::object();
  json["path"] = path.string();
  if (fs::is_directory(status)) {
    add_model(path, json, all);
  } else if (path.extension() == ".safetensors") {
    add_weights(Checkpoint::open(path), json, true);
  } else if (path.extension() == ".json") {
    add_shape(read_model_config(path), json, 2, 0);
  } else if (path.extension() == ".shard") {
    json["shard"] = shard_json(path);
  } else {
    fail(ErrorKind::usage, path.string(), "neither a folder nor a .safetensors, .json or .shard file");
  }
  return json;
}

}  // namespace ballast
