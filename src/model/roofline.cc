#include "model/roofline.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace ballast {
namespace {

// One layer's parameters by kind; those of matrices, and the rest (biases, norms).
struct LayerCounts {
  int64_t attention, attention_bias, ffn, shared, router, expert, norms;
};

int64_t swiglu(int64_t hidden, int64_t width) { return 3 * hidden * width; }

LayerCounts count_layer(const ModelConfig& c, int layer) {
  const int64_t d = c.hidden_size, heads = c.num_attention_heads, q_rank = c.q_lora_rank.value_or(0);
  const int64_t q_width = heads * c.qk_head_dim(), latent = c.kv_lora_rank + c.qk_rope_head_dim;
  LayerCounts n{};
  n.attention = (q_rank ? d * q_rank + q_rank * q_width : d * q_width) + d * latent +
                c.kv_lora_rank * heads * (c.qk_nope_head_dim + c.v_head_dim) + heads * c.v_head_dim * d;
  if (c.attention_bias) n.attention_bias = q_rank + latent + d;
  n.norms = 2 * d + c.kv_lora_rank + q_rank;
  if (c.is_moe_layer(layer)) {
    n.shared = swiglu(d, int64_t{c.n_shared_experts} * c.moe_intermediate_size);
    n.router = c.n_routed_experts * d;
    n.expert = swiglu(d, c.moe_intermediate_size);
  } else {
    n.ffn = swiglu(d, c.intermediate_size);
  }
  return n;
}

// Parameters of the matrices that one token is multiplied with in one layer.
int64_t multiplied(const ModelConfig& c, const LayerCounts& n) {
  return n.attention + n.ffn + n.shared + n.router + c.num_experts_per_tok * n.expert;
}

int main_moe_layers(const ModelConfig& c) {
  int layers = 0;
  for (int i = 0; i < c.num_hidden_layers; ++i) layers += c.is_moe_layer(i);
  return layers;
}

constexpr int kBatches[] = {1, 2, 4, 8, 16, 32, 64, 128};

// From top_k - 1 down to half of it, at most eight columns.
std::vector<int> table_ks(int top_k) {
  const int lowest = std::max(1, top_k / 2), step = std::max(1, (top_k - lowest + 7) / 8);
  std::vector<int> ks;
  for (int k = top_k - 1; k >= lowest; k -= step) ks.push_back(k);
  return ks;
}

// With two decimals in the largest unit below the value: scaled(36.62e9, {"B", "kB", "MB", "GB"}) == "36.62 GB".
std::string scaled(double value, const std::array<const char*, 5>& units) {
  size_t i = 0;
  for (; std::abs(value) >= 1000 && i + 1 < units.size(); ++i) value /= 1000;
  return fmt::format("{:.{}f} {}", value, i == 0 ? 0 : 2, units[i]);
}
std::string bytes_text(double bytes) { return scaled(bytes, {"B", "kB", "MB", "GB", "TB"}); }
std::string count_text(double count) { return scaled(count, {"", "k", "M", "B", "T"}); }  // B: billion, as in "671B"

}  // namespace

ModelCounts count_parameters(const ModelConfig& c) {
  const int64_t d = c.hidden_size;
  ModelCounts n;
  n.embedding = c.vocab_size * d;
  n.head = c.tie_word_embeddings ? 0 : n.embedding;
  n.norms = d;
  for (int i = 0; i < c.num_hidden_layers; ++i) {
    const LayerCounts layer = count_layer(c, i);
    n.attention += layer.attention + layer.attention_bias;
    n.norms += layer.norms;
    n.dense_ffn += layer.ffn;
    n.shared_experts += layer.shared;
    n.router += layer.router;
    n.routed_experts += c.n_routed_experts * layer.expert;
    n.expert = std::max(n.expert, layer.expert);
  }
  for (int i = c.num_hidden_layers; i < c.total_layers(); ++i) {
    const LayerCounts layer = count_layer(c, i);
    // eh_proj; enorm, hnorm and the norm before the shared head
    n.mtp += layer.attention + layer.attention_bias + layer.norms + layer.ffn + layer.shared + layer.router +
             c.n_routed_experts * layer.expert + 2 * d * d + 3 * d;
  }
  n.active = n.attention + n.norms + n.dense_ffn + n.shared_experts + n.router + c.vocab_size * d +
             int64_t{main_moe_layers(c)} * c.num_experts_per_tok * n.expert;
  return n;
}

double training_flops_per_token(const ModelConfig& c, int sequence, AttentionCount attention) {
  const double keys = attention == AttentionCount::causal ? (sequence + 1) / 2.0 : sequence;
  const double per_key = 2.0 * c.num_attention_heads * (c.qk_head_dim() + c.v_head_dim);
  const double head = 2.0 * c.vocab_size * c.hidden_size;
  double forward = head;
  for (int i = 0; i < c.total_layers(); ++i) {
    forward += 2.0 * multiplied(c, count_layer(c, i)) + per_key * keys;
    if (i >= c.num_hidden_layers) forward += 2.0 * 2 * c.hidden_size * c.hidden_size + head;  // eh_proj
  }
  return 3 * forward;
}

TrainingMemory training_memory(const ModelCounts& counts, int weight_bytes) {
  const int64_t n = counts.total();
  return {n * weight_bytes, weight_bytes == 4 ? 0 : n * 4, n * 4, n * 8};
}

double ByteModel::experts_read(double batch, double k) const {
  return experts == 0 ? 0 : experts * (1 - std::pow(1 - k / experts, batch));
}

double ByteModel::step_bytes(double experts_read, double context_tokens) const {
  return fixed + moe_layers * experts_read * expert + context_tokens * cache_per_token;
}

double ByteModel::speedup(double batch, double k) const {
  return step_bytes(experts_read(batch, top_k)) / step_bytes(experts_read(batch, k));
}

double ByteModel::routed_share(double batch) const {
  const double total = step_bytes(experts_read(batch, top_k));
  return (total - fixed) / total;
}

double ByteModel::ridge_batch(double peak, double bandwidth, double weight_bytes) const {
  const double rows_per_expert = peak * weight_bytes / (2 * bandwidth);
  return rows_per_expert * experts / top_k;
}

ByteModel byte_model(const ModelConfig& c, double weight_bytes, double cache_bytes) {
  const ModelCounts n = count_parameters(c);
  ByteModel m{};
  m.moe_layers = main_moe_layers(c);
  m.experts = m.moe_layers ? c.n_routed_experts : 0;
  m.top_k = m.moe_layers ? c.num_experts_per_tok : 0;
  m.expert = weight_bytes * n.expert;
  m.fixed = weight_bytes * (n.active - n.norms) - double(m.moe_layers) * m.top_k * m.expert;
  m.cache_per_token = cache_bytes * c.num_hidden_layers * (c.kv_lora_rank + c.qk_rope_head_dim);
  return m;
}

std::string roofline_text(const ModelConfig& c, double weight_bytes) {
  const ModelCounts n = count_parameters(c);
  const ByteModel m = byte_model(c, weight_bytes);
  std::string text;
  const auto line = [&](const char* what, const std::string& value, const std::string& note = {}) {
    text += fmt::format("{:<28}{:>12}{}\n", what, value, note.empty() ? "" : "  " + note);
  };
  line("parameters", count_text(n.without_mtp()), n.mtp ? "and " + count_text(n.mtp) + " in MTP layers" : "");
  line("active per token", count_text(n.active));
  line("bytes per decoded token", bytes_text(m.step_bytes(m.top_k)), fmt::format("{:g} per parameter", weight_bytes));
  line("  attention", bytes_text(weight_bytes * n.attention));
  line("  shared experts", bytes_text(weight_bytes * n.shared_experts));
  line("  dense layers", bytes_text(weight_bytes * n.dense_ffn));
  line("  head", bytes_text(weight_bytes * c.vocab_size * c.hidden_size));
  line("  router", bytes_text(weight_bytes * n.router));
  line("  routed experts", bytes_text(m.step_bytes(m.top_k) - m.fixed),
       fmt::format("{:.1f} % of the bytes", 100 * m.routed_share(1)));
  line("all routed experts", bytes_text(weight_bytes * n.routed_experts));
  line("cache per token", bytes_text(m.cache_per_token), "2 per element");
  if (m.experts == 0) return text + "no MoE layer: nothing to skip\n";

  text += fmt::format(
      "\nBound of the speed-up from k instead of {} experts per token (bytes read; no cache, no overhead)\n"
      "{:>6}{:>14}{:>14}",
      m.top_k, "batch", "experts read", "bytes");
  const std::vector<int> ks = table_ks(m.top_k);
  for (const int k : ks) text += fmt::format("{:>8}", fmt::format("k={}", k));
  text += '\n';
  for (const int batch : kBatches) {
    const double read = m.experts_read(batch, m.top_k);
    text += fmt::format("{:>6}{:>14.2f}{:>14}", batch, read, bytes_text(m.step_bytes(read)));
    for (const int k : ks) text += fmt::format("{:>8.3f}", m.speedup(batch, k));
    text += '\n';
  }
  return text;
}

Json roofline_json(const ModelConfig& c, double weight_bytes) {
  const ModelCounts n = count_parameters(c);
  const ByteModel m = byte_model(c, weight_bytes);
  Json json = Json::object();
  Json& parameters = json["parameters"];
  parameters["total"] = n.total();
  parameters["without_mtp"] = n.without_mtp();
  parameters["active"] = n.active;
  parameters["embedding"] = n.embedding;
  parameters["head"] = n.head;
  parameters["attention"] = n.attention;
  parameters["dense_ffn"] = n.dense_ffn;
  parameters["shared_experts"] = n.shared_experts;
  parameters["routed_experts"] = n.routed_experts;
  parameters["router"] = n.router;
  parameters["norms"] = n.norms;
  parameters["mtp"] = n.mtp;
  json["weight_bytes"] = weight_bytes;
  json["fixed_bytes"] = m.fixed;
  json["expert_bytes"] = m.expert;
  json["cache_bytes_per_token"] = m.cache_per_token;
  json["routed_byte_share"] = m.routed_share(1);
  json["top_k"] = m.top_k;
  Json& table = json["table"] = Json::array();
  for (const int batch : kBatches) {
    const double read = m.experts_read(batch, m.top_k);
    Json row = Json::object();
    row["batch"] = batch;
    row["experts_read"] = read;
    row["bytes"] = m.step_bytes(read);
    Json& speedup = row["speedup"] = Json::array();
    for (const int k : table_ks(m.top_k)) {
      Json cell = Json::object();
      cell["k"] = k;
      cell["bound"] = m.speedup(batch, k);
      speedup.push_back(std::move(cell));
    }
    table.push_back(std::move(row));
  }
  return json;
}

}  // namespace ballast
